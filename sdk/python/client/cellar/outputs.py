"""What programs write and what is told of files, as values."""
from __future__ import annotations

import base64
import builtins
import json
from dataclasses import dataclass
from typing import Any, Optional, Union

from . import errors, types
from ._sse import SentEvent


@dataclass(frozen=True)
class Output:
    """A piece of what a command or process wrote, or its end.

    `type`: "stdout" or "stderr", with `data`; "stale", older output than this is not kept any more; "exit", the last one,
    with `result` of a command, or `process`.
    """

    type: str
    data: bytes = b""
    place: Optional[int] = None  # behind it: how many bytes of both streams came before
    result: Optional[types.ExecResult] = None
    process: Optional[types.Process] = None

    @property
    def text(self) -> str:
        """`data` as text. A letter that is cut in two by the end of a piece is not whole in either."""
        return self.data.decode("utf-8", "replace")


def bytes_of(fields: Any) -> bytes:
    """Output as the API has it, {text} or {b64}."""
    return base64.b64decode(fields["b64"]) if "b64" in fields else str(fields["text"]).encode("utf-8", "surrogatepass")


def output_of_command(event: SentEvent) -> Output:
    fields = json.loads(event.data)
    if event.type == "exit":
        return Output("exit", result=fields)
    if event.type == "error":
        raise failure_of(fields)
    return Output(event.type, bytes_of(fields))


def failure_of(fields: Any) -> errors.CellarError:
    """What the event `error` of a stream says."""
    kind = errors.UnavailableError if fields.get("retryable") is True else errors.InternalError
    return kind(fields["error"], code=fields.get("code"), remediation=fields.get("remediation"),
                retryable=fields.get("retryable") is True, request_id=fields.get("request_id"))


def output_of_process(event: SentEvent) -> Output:
    place = int(event.id) if event.id else None
    fields = json.loads(event.data)
    if event.type == "exit":
        return Output("exit", process=fields)
    if event.type == "stale":
        return Output("stale", place=place)
    return Output(event.type, bytes_of(fields), place)


def event_of(event: SentEvent) -> types.Event:
    value: types.Event = json.loads(event.data)
    return value


@dataclass(frozen=True)
class FileContent:
    bytes: "builtins.bytes"
    size: int
    etag: Optional[str] = None
    not_modified: bool = False


@dataclass(frozen=True)
class FileEvent:
    """`type`: "ready" at the beginning; "reset" after a break, when what happened between is not told: list again; so after
    "overflow". "created", "modified", "deleted" and "renamed" (`from_path`) are what happens."""

    type: str
    path: Optional[str] = None
    kind: Optional[str] = None  # "file" or "directory"
    from_path: Optional[str] = None


def file_event_of(event: SentEvent) -> FileEvent:
    fields = json.loads(event.data)
    if event.type == "error":
        raise failure_of(fields)
    return FileEvent(event.type, fields.get("path"), fields.get("type"), fields.get("from"))


Content = Union[str, bytes, bytearray, memoryview, Any]  # or a file, or pieces of text or bytes
