"""HTTP/1.1 over asyncio's streams. One request at a time on a connection; idle ones are kept for the next request."""
from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from typing import Any, Awaitable, Dict, List, Optional, Tuple, TypeVar

from .. import errors
from .._websocket import Handshake, parse_head
from .._wire import ANSWER_BYTES_MAX, HEAD_BYTES_MAX, Address, Request, has_news, watch_over

T = TypeVar("T")
IDLE_MAX = 8  # connections that are kept
IDLE_S = 20.0  # for so long; the daemon closes them after 60
PIECE_BYTES = 64 << 10
sleep = asyncio.sleep
Lock = asyncio.Lock


class Deadline:
    """The end of the time that a call has."""

    def __init__(self, timeout_s: Optional[float]) -> None:
        self.timeout_s = timeout_s
        self._end = None if timeout_s is None else time.monotonic() + timeout_s

    def left(self) -> Optional[float]:
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    async def hold(self, what: str, wire: "Wire", work: Awaitable[T]) -> T:
        """Ends the connection when the time is over. Not by wait_for: it may swallow that its own task is cancelled."""
        left = self.left()
        if left is None:
            return await work
        over = False

        def end() -> None:
            nonlocal over
            over = True
            wire.writer.transport.abort()

        timer = asyncio.get_running_loop().call_later(left, end)
        try:
            result = await work
        except (OSError, asyncio.IncompleteReadError):
            if over:
                raise self.over(what) from None
            raise
        finally:
            timer.cancel()
        if over:
            raise self.over(what)
        return result

    def over(self, what: str) -> errors.TimeoutError:
        return errors.TimeoutError(f"{what} took more than {self.timeout_s:g} s")


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.loop = asyncio.get_running_loop()
        self.idle_since = 0.0

    def is_usable(self) -> bool:
        return (self.loop is asyncio.get_running_loop() and time.monotonic() - self.idle_since < IDLE_S
                and not self.reader.at_eof() and not self.writer.is_closing()
                and not has_news(self.writer.get_extra_info("socket")))  # The loop may not have looked yet.

    async def receive(self, timeout_s: Optional[float] = None) -> bytes:
        """What has come; empty at the end."""
        reading = asyncio.ensure_future(self.reader.read(PIECE_BYTES))
        try:
            await asyncio.wait({reading}, timeout=timeout_s)
            if reading.done():
                return reading.result()
        except OSError as error:
            raise broken(error) from error
        finally:
            reading.cancel()  # What comes then waits for the next one.
        raise Deadline(timeout_s).over("waiting for the server")

    async def send(self, data: bytes) -> None:
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError as error:
            raise broken(error) from error

    async def aclose(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: its loop is over
            self.writer.close()
            await asyncio.sleep(0)  # It is closed in the loop's next turn; there may be no other.


def broken(error: BaseException) -> errors.CellarError:
    if isinstance(error, errors.CellarError):
        return error
    return errors.ConnectionError(f"the connection broke: {error or type(error).__name__}")


class AsyncAnswer:
    """A response whose head has come."""

    def __init__(self, transport: "AsyncTransport", wire: Wire, head: bytes, deadline: Deadline, method: str) -> None:
        self.status, self.headers = parse_head(head)
        self._transport, self._wire, self._deadline = transport, wire, deadline
        length = self.headers.get("content-length")
        self._is_chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        self._left: Optional[int] = int(length) if length is not None and length.isdigit() else None  # of the body or the chunk
        if self._is_chunked or method == "HEAD" or self.status in (204, 304):
            self._left = 0
        self._is_over = self._left == 0 and not self._is_chunked
        self._keep = "close" not in self.headers.get("connection", "").lower() and self._left is not None
        if self._is_over:
            self._release()

    async def read_some(self, timeout_s: Optional[float] = None) -> bytes:
        """The next bytes; empty at the end. Raises ConnectionError where the body is cut off."""
        if self._is_over:
            return b""
        deadline = Deadline(timeout_s) if timeout_s is not None else self._deadline
        try:
            data = await deadline.hold("reading the answer", self._wire, self._next())
        except errors.CellarError:
            await self.aclose()
            raise
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            await self.aclose()
            raise broken(error) from error
        except BaseException:
            await self.aclose()
            raise
        if not data:
            self._is_over = True
            self._release()
        return data

    async def read(self) -> bytes:
        """All of the body."""
        pieces: List[bytes] = []
        size = 0
        while True:
            piece = await self.read_some()
            if not piece:
                return b"".join(pieces)
            size += len(piece)
            if size > ANSWER_BYTES_MAX:
                await self.aclose()
                raise errors.TooLargeError(f"the answer has more than {ANSWER_BYTES_MAX} bytes")
            pieces.append(piece)

    async def aclose(self) -> None:
        """Leaves the rest unread."""
        if not self._is_over:
            self._is_over = True
            await self._wire.aclose()

    def _release(self) -> None:
        if self._keep:
            self._transport.keep(self._wire)
        else:
            self._wire.writer.close()

    async def _next(self) -> bytes:
        reader = self._wire.reader
        if self._is_chunked and self._left == 0:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size == 0:
                while await reader.readuntil(b"\r\n") != b"\r\n":
                    pass
                return b""
            self._left = size
        data = await reader.read(PIECE_BYTES if self._left is None else min(PIECE_BYTES, self._left))
        if self._left is None:
            return data
        if not data and self._left > 0:
            raise errors.ConnectionError("the answer broke off")
        self._left -= len(data)
        if self._is_chunked and self._left == 0:
            await reader.readexactly(2)
        return data


class AsyncTransport:
    def __init__(self, address: Address, key: str, context: Optional[ssl.SSLContext]) -> None:
        self.address, self._key = address, key
        self._context = (context or ssl.create_default_context()) if address.tls else None
        self._idle: List[Wire] = []

    async def open(self, request: Request) -> AsyncAnswer:
        """Sends it and reads the answer's head."""
        deadline = Deadline(request.timeout_s)
        wire = await self._take(deadline)
        try:
            head = await deadline.hold(f"{request.method} {request.path}", wire, self._exchange(wire, request))
            return AsyncAnswer(self, wire, head, deadline, request.method)
        except errors.CellarError:
            await wire.aclose()
            raise
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            await wire.aclose()
            raise broken(error) from error
        except BaseException:
            await wire.aclose()
            raise

    async def upgrade(self, request: Request) -> Tuple[Wire, bytes]:
        """A WebSocket's connection, and what came of it already."""
        deadline = Deadline(request.timeout_s)
        handshake = Handshake(request, self.address, self._key)
        wire = await self._connect(deadline)
        try:
            await deadline.hold("the WebSocket's handshake", wire, wire.send(handshake.request))
            while True:
                rest = handshake.feed(await deadline.hold("the WebSocket's handshake", wire, wire.receive()))
                if rest is not None:
                    return wire, rest
        except BaseException:
            await wire.aclose()
            raise

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop().aclose()
        await asyncio.sleep(0)  # For those that were closed just before.

    def keep(self, wire: Wire) -> None:
        wire.idle_since = time.monotonic()
        self._idle.append(wire)
        if len(self._idle) > IDLE_MAX:
            self._idle.pop(0).writer.close()

    async def _take(self, deadline: Deadline) -> Wire:
        while self._idle:
            wire = self._idle.pop()
            if wire.is_usable():
                return wire
            await wire.aclose()
        return await self._connect(deadline)

    async def _connect(self, deadline: Deadline) -> Wire:
        address = self.address
        options: Dict[str, Any] = {"ssl": self._context, "limit": HEAD_BYTES_MAX}
        try:
            connecting = asyncio.open_connection(address.host, address.port, **options)
            reader, writer = await asyncio.wait_for(connecting, deadline.left())
            watch_over(writer.get_extra_info("socket"))
        except asyncio.TimeoutError:
            raise deadline.over(f"connecting to {address.url}") from None
        except OSError as error:
            if isinstance(error, errors.CellarError):
                raise
            failure = errors.ConnectionError(f"{address.url} cannot be reached: {error}")
            failure.sent = False
            raise failure from error
        return Wire(reader, writer)

    async def _exchange(self, wire: Wire, request: Request) -> bytes:
        lines = [f"{request.method} {self.address.prefix}{request.target} HTTP/1.1".encode()]
        lines += [name.encode() + b": " + value for name, value in request.head(self.address, self._key).items()]
        wire.writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        try:
            await self._send_body(wire, request)
        except OSError:  # It may have answered before it had all, and left.
            pass
        while True:
            head = await wire.reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 100"):
                return head[:-4]

    async def _send_body(self, wire: Wire, request: Request) -> None:
        if isinstance(request.body, bytes):
            wire.writer.write(request.body)
        elif request.body is not None:
            if hasattr(request.body, "__aiter__"):
                async for piece in request.body:
                    await self._send_piece(wire, piece)
            else:
                for piece in request.body:
                    await self._send_piece(wire, piece)
            wire.writer.write(b"0\r\n\r\n")
        await wire.writer.drain()

    async def _send_piece(self, wire: Wire, piece: bytes) -> None:
        if piece:
            wire.writer.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
            await wire.writer.drain()
