"""The same as _aio/transport.py over http.client, for threads that wait. Connections may be opened in one thread and used in another."""
from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from typing import Any, Dict, List, Optional, Tuple

from .. import errors
from .._websocket import Handshake
from .._wire import ANSWER_BYTES_MAX, Address, Request, has_news, watch_over

IDLE_MAX = 8  # connections that are kept
IDLE_S = 20.0  # for so long; the daemon closes them after 60
PIECE_BYTES = 64 << 10
sleep = time.sleep
Lock = threading.Lock


class Deadline:
    """The end of the time that a call has."""

    def __init__(self, timeout_s: Optional[float]) -> None:
        self.timeout_s = timeout_s
        self._end = None if timeout_s is None else time.monotonic() + timeout_s

    def left(self, what: str) -> Optional[float]:
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.over(what)
        return left

    def over(self, what: str) -> errors.TimeoutError:
        return errors.TimeoutError(f"{what} took more than {self.timeout_s:g} s")


def broken(error: BaseException) -> errors.CellarError:
    if isinstance(error, errors.CellarError):
        return error
    return errors.ConnectionError(f"the connection broke: {error or type(error).__name__}")


class Wire:
    """A connection of a WebSocket. One thread may receive while another sends."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self._socket: socket.socket = connection.sock
        self._sending = threading.Lock()

    def receive(self, timeout_s: Optional[float] = None) -> bytes:
        """What has come; empty at the end."""
        try:
            self._socket.settimeout(timeout_s)
            return self._socket.recv(PIECE_BYTES)
        except socket.timeout:
            raise errors.TimeoutError(f"waiting for the server took more than {timeout_s:g} s") from None
        except OSError as error:
            raise broken(error) from error

    def send(self, data: bytes) -> None:
        try:
            with self._sending:
                self._socket.sendall(data)
        except OSError as error:
            raise broken(error) from error

    def close(self) -> None:
        with contextlib.suppress(OSError):  # Wakes a thread that receives.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class Answer:
    """A response whose head has come."""

    def __init__(self, transport: "Transport", connection: http.client.HTTPConnection, response: http.client.HTTPResponse,
                 deadline: Deadline) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self._transport, self._connection, self._response = transport, connection, response
        self._socket: Optional[socket.socket] = connection.sock
        self._deadline = deadline
        self._is_over = False
        if response.isclosed():  # Without a body.
            self._finish()

    def read_some(self, timeout_s: Optional[float] = None) -> bytes:
        """The next bytes; empty at the end. Raises ConnectionError where the body is cut off."""
        if self._is_over:
            return b""
        deadline = Deadline(timeout_s) if timeout_s is not None else self._deadline
        try:
            if self._socket is not None:
                self._socket.settimeout(deadline.left("reading the answer"))
            data = self._response.read1(PIECE_BYTES)
            if not data and self._response.length:
                raise errors.ConnectionError("the answer broke off")
        except errors.CellarError:
            self.close()
            raise
        except socket.timeout:
            self.close()
            raise deadline.over("reading the answer") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise broken(error) from error
        except BaseException:
            self.close()
            raise
        if not data:
            self._finish()
        return data

    def read(self) -> bytes:
        """All of the body."""
        pieces: List[bytes] = []
        size = 0
        while True:
            piece = self.read_some()
            if not piece:
                return b"".join(pieces)
            size += len(piece)
            if size > ANSWER_BYTES_MAX:
                self.close()
                raise errors.TooLargeError(f"the answer has more than {ANSWER_BYTES_MAX} bytes")
            pieces.append(piece)

    def close(self) -> None:
        """Leaves the rest unread."""
        if not self._is_over:
            self._is_over = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
            self._response.close()
            self._connection.close()

    def _finish(self) -> None:
        self._is_over = True
        self._response.close()
        self._transport.keep(self._connection)


class Transport:
    def __init__(self, address: Address, key: str, context: Optional[ssl.SSLContext]) -> None:
        self.address, self._key = address, key
        self._context = (context or ssl.create_default_context()) if address.tls else None
        self._idle: List[Tuple[float, http.client.HTTPConnection]] = []
        self._lock = threading.Lock()

    def open(self, request: Request) -> Answer:
        """Sends it and reads the answer's head."""
        deadline = Deadline(request.timeout_s)
        what = f"{request.method} {request.path}"
        connection = self._take(deadline)
        try:
            connection.sock.settimeout(deadline.left(what))
            self._send(connection, request)
            connection.sock.settimeout(deadline.left(what))
            response = connection.getresponse()
            # http.client takes a head that broke off for a whole one: no length in it, and nothing behind it.
            if not response.isclosed() and response.length is None and not response.chunked and not response.peek(1):
                raise errors.ConnectionError("the answer broke off")
            return Answer(self, connection, response, deadline)
        except errors.CellarError:
            connection.close()
            raise
        except socket.timeout:
            connection.close()
            raise deadline.over(what) from None
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise broken(error) from error
        except BaseException:
            connection.close()
            raise

    def upgrade(self, request: Request) -> Tuple[Wire, bytes]:
        """A WebSocket's connection, and what came of it already."""
        deadline = Deadline(request.timeout_s)
        handshake = Handshake(request, self.address, self._key)
        wire = Wire(self._connect(deadline))
        try:
            wire.send(handshake.request)
            while True:
                rest = handshake.feed(wire.receive(deadline.left("the WebSocket's handshake")))
                if rest is not None:
                    return wire, rest
        except BaseException:
            wire.close()
            raise

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def keep(self, connection: http.client.HTTPConnection) -> None:
        if connection.sock is None:  # It is closed after this answer.
            return
        with self._lock:
            self._idle.append((time.monotonic(), connection))
            surplus = self._idle.pop(0)[1] if len(self._idle) > IDLE_MAX else None
        if surplus is not None:
            surplus.close()

    def _take(self, deadline: Deadline) -> http.client.HTTPConnection:
        while True:
            with self._lock:
                since, connection = self._idle.pop() if self._idle else (0.0, None)
            if connection is None:
                return self._connect(deadline)
            if time.monotonic() - since < IDLE_S and not has_news(connection.sock):
                return connection
            connection.close()

    def _connect(self, deadline: Deadline) -> http.client.HTTPConnection:
        address = self.address
        what = f"connecting to {address.url}"
        connection: http.client.HTTPConnection
        if self._context is not None:
            connection = http.client.HTTPSConnection(address.host, address.port, context=self._context)
        else:
            connection = http.client.HTTPConnection(address.host, address.port)
        connection.timeout = deadline.left(what)
        connection.auto_open = 0
        try:
            connection.connect()
            watch_over(connection.sock)
        except socket.timeout:
            connection.close()
            raise deadline.over(what) from None
        except OSError as error:
            connection.close()
            failure = errors.ConnectionError(f"{address.url} cannot be reached: {error}")
            failure.sent = False
            raise failure from error
        return connection

    def _send(self, connection: http.client.HTTPConnection, request: Request) -> None:
        connection.putrequest(request.method, self.address.prefix + request.target, skip_host=True, skip_accept_encoding=True)
        headers: Dict[str, Any] = dict(request.head(self.address, self._key))
        for name, value in headers.items():
            connection.putheader(name, value)
        if hasattr(request.body, "__aiter__"):
            raise ValueError("pieces that are awaited are for AsyncCellar")
        try:
            connection.endheaders(request.body, encode_chunked=request.is_chunked)
        except (BrokenPipeError, ConnectionResetError):  # It may have answered before it had all, and left.
            pass
