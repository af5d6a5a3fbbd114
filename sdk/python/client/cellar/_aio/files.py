from __future__ import annotations

from typing import Any, AsyncIterable, AsyncIterator, Dict, List, Optional, Union

from .. import types
from .._follow import Watch
from .._wire import Query, Request, body_of, file_path, without_none
from ..outputs import Content, FileContent, FileEvent, file_event_of
from .core import AsyncCore, AsyncStream

Mode = Union[int, str, None]


class AsyncFiles:
    """The cell's files below /work. Paths are relative to it."""

    def __init__(self, core: AsyncCore, cell_path: str) -> None:
        self._core, self._path = core, cell_path + "/files"

    async def read(
        self,
        path: str,
        *,
        start: Optional[int] = None,
        end: Optional[int] = None,
        if_match: Optional[str] = None,
        if_none_match: Optional[str] = None,
    ) -> FileContent:
        """A file, or of it the bytes from `start` up to and without `end`; a negative `start` is counted from its end.

        `if_none_match`: an etag; where the file still has it, the answer is `not_modified` and holds no bytes.
        """
        headers = without_none({"Range": byte_range(start, end), "If-Match": if_match, "If-None-Match": if_none_match})
        request = Request("GET", self._of(path), headers=headers, repeatable=True, timeout_s=self._core.timeout_s)
        answer = await self._core.fetch(request)
        return FileContent(answer.body, len(answer.body), answer.headers.get("etag"), answer.status == 304)

    async def read_bytes(self, path: str, *, start: Optional[int] = None, end: Optional[int] = None) -> bytes:
        return (await self.read(path, start=start, end=end)).bytes

    async def read_text(self, path: str, *, start: Optional[int] = None, end: Optional[int] = None, encoding: str = "utf-8") -> str:
        return (await self.read_bytes(path, start=start, end=end)).decode(encoding)

    async def write(
        self,
        path: str,
        content: Content,
        *,
        mode: Mode = None,
        if_match: Optional[str] = None,
        if_none_match: Optional[str] = None,
    ) -> Dict[str, Any]:
        """Replaces a file, durably; its folders are made. Text is written as UTF-8.

        `mode` such as 0o755. `if_match`: only where the file has this etag. `if_none_match="*"`: only where there is none.
        """
        return await self._put(path, content, {"mode": octal(mode)}, if_match, if_none_match, repeatable=if_match is None
                               and if_none_match is None)

    async def append(self, path: str, content: Content) -> Dict[str, Any]:
        """Adds to the end of a file."""
        return await self._put(path, content, {"append": 1}, None, None, repeatable=False)

    async def list(self, path: str = "", *, recursive: bool = False) -> types.FileList:
        """The entries of a folder."""
        query = {"list": 1 if path else None, "recursive": 1 if recursive else None}
        return await self._core.get(self._of(path), query)

    async def stat(self, path: str = "") -> Dict[str, Any]:
        """Type, size, mode, mtime and etag; of a link itself."""
        return await self._core.get(self._of(path), {"stat": 1})

    async def delete(self, path: str, *, if_match: Optional[str] = None) -> None:
        """A file, a link, or a folder with all in it."""
        headers = {} if if_match is None else {"If-Match": if_match}
        repeatable = if_match is None  # A second try could meet what the first one has done.
        request = Request("DELETE", self._of(path), headers=headers, repeatable=repeatable, timeout_s=self._core.timeout_s)
        await self._core.fetch(request)

    async def rename(self, from_path: str, to_path: str, *, overwrite: Optional[bool] = None) -> Dict[str, Any]:
        """The folders of `to_path` are made."""
        fields = without_none({"from": from_path, "to": to_path, "overwrite": overwrite})
        return await self._core.post(self._path + "/rename", fields, repeatable=False)

    async def mkdir(self, path: str, *, mode: Mode = None) -> Dict[str, Any]:
        """Makes a folder, with those above it. `made`: it was not there before."""
        fields = without_none({"path": path, "mode": octal(mode)})
        return await self._core.post(self._path + "/mkdir", fields, repeatable=True)

    async def chmod(self, path: str, mode: Union[int, str]) -> Dict[str, Any]:
        """`mode` such as 0o755."""
        return await self._core.post(self._path + "/chmod", {"path": path, "mode": octal(mode)}, repeatable=True)

    async def glob(
        self, pattern: str, *, path: Optional[str] = None, limit: Optional[int] = None, all: Optional[bool] = None
    ) -> Dict[str, Any]:
        """Entries by name, such as "src/**/*.{ts,tsx}". `all`: those that search leaves out, too."""
        fields = without_none({"pattern": pattern, "path": path, "limit": limit, "all": all})
        return await self._core.post(self._path + "/glob", fields, repeatable=True)

    async def grep(
        self,
        pattern: str,
        *,
        path: Optional[str] = None,
        paths: Optional[List[str]] = None,
        literal: Optional[bool] = None,
        ignore_case: Optional[bool] = None,
        context: Optional[int] = None,
        limit: Optional[int] = None,
        all: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Lines that a regular expression is found in."""
        fields = without_none({"pattern": pattern, "path": path, "paths": paths, "literal": literal, "ignore_case": ignore_case,
                               "context": context, "limit": limit, "all": all})
        return await self._core.post(self._path + "/grep", fields, repeatable=True)

    def watch(self, path: str = "", *, all: bool = False) -> AsyncStream[FileEvent]:
        """What changes in a folder, from the event "ready" on, until the folder itself is gone."""
        query = {"watch": 1, "all": 1 if all else None}
        request = Request("GET", self._of(path), query=query, repeatable=True, timeout_s=self._core.timeout_s)
        return AsyncStream(self._core, Watch(request), file_event_of)

    async def read_tar(self, path: str = "") -> AsyncIterator[bytes]:
        """A folder as a tar archive, in pieces."""
        request = Request("GET", self._of(path), query={"tar": 1}, repeatable=True, timeout_s=self._core.timeout_s)
        answer = await self._core.open(request)
        try:
            while True:
                piece = await answer.read_some(self._core.timeout_s)
                if not piece:
                    return
                yield piece
        finally:
            await answer.aclose()

    async def write_tar(self, path: str, content: Union[Content, AsyncIterable[bytes]]) -> Dict[str, Any]:
        """Unpacks a tar archive in a folder: bytes, an open file, or pieces of any size. Sent once only."""
        return await self._put(path, content, {"tar": 1}, None, None, repeatable=False)

    async def _put(
        self, path: str, content: Any, query: Query, if_match: Optional[str], if_none_match: Optional[str], *, repeatable: bool
    ) -> Dict[str, Any]:
        headers = without_none({"If-Match": if_match, "If-None-Match": if_none_match})
        request = Request("PUT", self._of(path), query=query, headers=headers, body=body_of(content), repeatable=repeatable,
                          timeout_s=self._core.timeout_s)
        return await self._core.json(request)

    def _of(self, path: str) -> str:
        return f"{self._path}/{file_path(path)}" if path not in ("", ".") else self._path


def byte_range(start: Optional[int], end: Optional[int]) -> Optional[str]:
    if start is None and end is None:
        return None
    if start is not None and start < 0:
        if end is not None:
            raise ValueError("a start that is counted from the end of the file goes with no end")
        return f"bytes={start}"
    if end is not None and end <= (start or 0):
        raise ValueError(f"end must be greater than start, and is {end}")
    return f"bytes={start or 0}-" + ("" if end is None else str(end - 1))


def octal(mode: Mode) -> Optional[str]:
    return f"{mode:o}" if isinstance(mode, int) else mode
