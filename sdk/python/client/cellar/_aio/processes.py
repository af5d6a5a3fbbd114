from __future__ import annotations

import collections
import contextlib
import json
import time
from typing import Any, Deque, Dict, List, Optional, Sequence, Union

from .. import _retry, _websocket, errors, types
from .._follow import Ids
from .._wire import Request, json_bytes, segment, without_none, words_of
from ..outputs import Output, output_of_process
from .core import AsyncCore, AsyncStream
from .transport import Lock, Wire, sleep

STEADY_S = 30.0  # a connection that was there for so long was no failure
NOT_CONNECTED = "it is not connected: use it with `with`, or call open()"


class AsyncProcesses:
    """Programs in the background of a cell."""

    def __init__(self, core: AsyncCore, cell_path: str) -> None:
        self._core, self._path = core, cell_path + "/processes"

    async def start(
        self,
        cmd: Union[str, Sequence[str], None] = None,
        *,
        cwd: Optional[str] = None,
        env: Optional[Dict[str, str]] = None,
        stdin: Optional[bool] = None,
        terminal: Union[bool, types.TerminalSize, None] = None,
        timeout_ms: Optional[int] = None,
        limits: Optional[Dict[str, int]] = None,
    ) -> types.Process:
        """`stdin`: it reads what is sent to it. With a `terminal` there may be no `cmd`: a login shell."""
        words = cmd if cmd is None else words_of(cmd)
        fields = {"cmd": words, "cwd": cwd, "env": env, "stdin": stdin, "terminal": terminal, "timeout_ms": timeout_ms,
                  "limits": limits}
        return await self._core.post(self._path, without_none(fields), repeatable=False)

    async def list(self) -> List[types.Process]:
        """Those that run, and the newest that ended."""
        return (await self._core.get(self._path))["processes"]

    async def get(self, process: str) -> types.Process:
        return await self._core.get(self._of(process))

    async def output(self, process: str, *, after: Optional[int] = None) -> types.ReadProcessOutputAnswer:
        """What it wrote until now, from the place `after` on."""
        return await self._core.get(self._of(process) + "/log", {"after": after})

    def log(self, process: str, *, after: Optional[int] = None) -> AsyncStream[Output]:
        """What it wrote and writes, from the place `after` on, until it ends; each byte once."""
        request = Request("GET", self._of(process) + "/log", query={"after": after}, repeatable=True,
                          timeout_s=self._core.timeout_s)
        return AsyncStream(self._core, Ids(request, ("exit",)), output_of_process)

    async def stdin(self, process: str, content: Union[str, bytes] = b"", *, end: bool = False) -> None:
        """Sends input, at most 1 MiB. `end`: nothing follows. `TimedOutError`: it took only `taken` bytes; send the rest again."""
        body = content.encode() if isinstance(content, str) else bytes(content)
        await self._core.fetch(Request("POST", self._of(process) + "/stdin", query={"end": end}, body=body,
                                       timeout_s=self._core.timeout_s))

    async def signal(self, process: str, signal: Union[str, int]) -> None:
        """Such as "SIGTERM", to it and its process group."""
        await self._core.post(self._of(process) + "/signal", {"signal": signal}, repeatable=False)

    async def resize(self, process: str, *, columns: int, rows: int) -> None:
        await self._core.post(self._of(process) + "/resize", {"columns": columns, "rows": rows}, repeatable=True)

    async def kill(self, process: str) -> None:
        """Ends it with all that it started, and forgets it."""
        await self._core.delete(self._of(process))

    def attach(self, process: str, *, after: Optional[int] = None) -> "AsyncAttachment":
        """Its input and output at a WebSocket, from the place `after` on. Several may be there."""
        return AsyncAttachment(self._core, process, self._of(process) + "/attach", after)

    def _of(self, process: str) -> str:
        return f"{self._path}/{segment(process)}"


class AsyncAttachment:
    """A WebSocket at a program; iterate to read what it writes. Use it with `async with`: leaving does not end the program.

    A connection that breaks while it is read is followed by another one, which goes on with the next byte. What is sent
    meanwhile waits for that; what was sent just before it broke may be lost, and is not sent again. `place` is how many bytes
    came before the next one. `exit` is the process once it has ended. Reading and writing may be done by two threads or tasks.
    """

    def __init__(self, core: AsyncCore, process: str, path: str, after: Optional[int]) -> None:
        self._core, self.process, self._target = core, process, path
        self.place = after or 0
        self.exit: Optional[types.Process] = None
        self._is_open = False
        self._wire: Optional[Wire] = None
        self._decoder = _websocket.Decoder()
        self._rest = b""  # that came with the connection
        self._ready: Deque[_websocket.Message] = collections.deque()
        self._failures = 0  # of connections in a row, with nothing new between
        self._since = 0.0  # the connection is there

    async def __aenter__(self) -> "AsyncAttachment":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def open(self) -> None:
        """Connects; `async with` does it."""
        if self._wire is None:
            self._is_open, self._renewing = True, Lock()
            await self._connect()

    async def aclose(self) -> None:
        self._is_open = False
        wire, self._wire = self._wire, None
        if wire is not None:
            with contextlib.suppress(errors.CellarError):
                await wire.send(_websocket.frame(_websocket.CLOSE, b"\x03\xe8"))
            await wire.aclose()

    def __aiter__(self) -> "AsyncAttachment":
        return self

    async def __anext__(self) -> bytes:
        """The next bytes of its output; ends when the program has."""
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return data

    async def read(self, timeout_s: Optional[float] = None) -> bytes:
        """The next bytes of its output, empty when it has ended. Raises what it did not take of what was sent."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            while self._ready:
                data = self._understood(self._ready.popleft())
                if data:
                    return data
            if self.exit is not None:
                return b""
            chunk, self._rest = self._rest, b""
            if not chunk and not self._decoder.is_closed:
                with contextlib.suppress(errors.ConnectionError):  # It broke, whatever the reason.
                    chunk = await self._connected().receive(None if end is None else max(0.001, end - time.monotonic()))
            if chunk:
                await self._take(chunk)
            else:
                await self._renew(end)

    async def _connect(self) -> None:
        request = Request("GET", self._target, query={"after": self.place}, timeout_s=self._core.timeout_s)
        wire, rest = await self._core.transport.upgrade(request)
        if not self._is_open:
            await wire.aclose()
            raise errors.ConnectionError(NOT_CONNECTED)
        self._wire, self._rest, self._decoder = wire, rest, _websocket.Decoder()
        self._since = time.monotonic()

    async def _renew(self, end: Optional[float]) -> None:
        """Another connection in place of the one that broke; not later than `end`."""
        async with self._renewing:
            await self._connected().aclose()
            if time.monotonic() - self._since > STEADY_S:
                self._failures = 0
            while True:
                self._failures += 1
                if self._failures > _retry.RECONNECTS:
                    raise errors.ConnectionError("the connection to the program broke, and there was no other")
                pause = _retry.pause(_retry.RECONNECT_PAUSE_FIRST_S, _retry.RECONNECT_PAUSE_MAX_S, self._failures)
                left = pause if end is None else end - time.monotonic()
                await sleep(max(0.0, min(pause, left)))
                if left < pause:
                    raise errors.TimeoutError("the connection to the program broke, and there was no other in time")
                self._connected()  # It may have been left.
                try:
                    await self._connect()
                    return
                except errors.CellarError as error:
                    if not isinstance(error, errors.TimeoutError) and not _retry.is_passing(error):
                        raise

    async def send(self, data: Union[str, bytes]) -> None:
        """Input for it; at a terminal, keys."""
        whole = data.encode() if isinstance(data, str) else bytes(data)
        wire = await self._present()
        for begin in range(0, len(whole), _websocket.SENT_BYTES_MAX):
            await wire.send(_websocket.frame(_websocket.BINARY, whole[begin:begin + _websocket.SENT_BYTES_MAX]))

    async def end(self) -> None:
        """The end of its input."""
        await self._say({"type": "end"})

    async def resize(self, *, columns: int, rows: int) -> None:
        await self._say({"type": "resize", "columns": columns, "rows": rows})

    async def signal(self, signal: Union[str, int]) -> None:
        await self._say({"type": "signal", "signal": signal})

    async def _say(self, frame: Dict[str, Any]) -> None:
        wire = await self._present()
        await wire.send(_websocket.frame(_websocket.TEXT, json_bytes(frame)))

    async def _present(self) -> Wire:
        """The connection, once there is one again: what was begun at one is not continued at the next."""
        self._connected()
        async with self._renewing:
            return self._connected()

    async def _take(self, chunk: bytes) -> None:
        self._ready.extend(self._decoder.feed(chunk))
        answers, self._decoder.answers = self._decoder.answers, []
        for answer in answers:
            with contextlib.suppress(errors.CellarError):  # It need not wait for the answer to its farewell.
                await self._connected().send(answer)

    def _connected(self) -> Wire:
        if self._wire is None:
            raise errors.ConnectionError(NOT_CONNECTED)
        return self._wire

    def _understood(self, message: _websocket.Message) -> bytes:
        """The bytes of a message, of one that is told none."""
        if message.kind == _websocket.BINARY:
            self._failures = 0
            self.place += len(message.data)
            return message.data
        if message.kind != _websocket.TEXT:
            return b""
        told = json.loads(message.data)
        if told["type"] == "stale":
            self.place = told["place"]
        elif told["type"] == "exit":
            self.exit = {name: value for name, value in told.items() if name != "type"}  # type: ignore[assignment]
        elif told["type"] == "error":
            raise error_told(told)
        return b""


class AsyncTerminal(AsyncAttachment):
    """A program at a terminal of its own, which ends when it is left."""

    def __init__(self, core: AsyncCore, processes: AsyncProcesses, fields: Dict[str, Any]) -> None:
        super().__init__(core, "", "", None)
        self._processes, self._fields = processes, fields

    async def open(self) -> None:
        """Starts it, and connects; `async with` does it."""
        if not self.process:
            started: types.Process = await self._core.post(self._processes._path, self._fields, repeatable=False)
            self.process = started["id"]
            self._target = self._processes._of(self.process) + "/attach"
        try:
            await super().open()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        await super().aclose()
        process, self.process = self.process, ""
        if process:
            with contextlib.suppress(errors.NotFoundError):
                await self._processes.kill(process)


def error_told(told: Dict[str, Any]) -> errors.CellarError:
    """What a program did not take: the status is not said, the code is."""
    kind = errors.ExhaustedError if told.get("retryable") is True else errors.InvalidArgumentError
    return kind(str(told.get("error")), code=told.get("code"), remediation=told.get("remediation"),
                retryable=told.get("retryable") is True, request_id=told.get("request_id"))
