"""Requests as values: what is sent, how long it may take, and whether it may be sent twice. No I/O."""
from __future__ import annotations

import json
import os
import selectors
import socket
import urllib.parse
import uuid
from dataclasses import dataclass, field
from typing import AbstractSet, Any, AsyncIterator, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from . import errors
from ._version import VERSION

DEFAULT_URL = "http://127.0.0.1:4750"
DEFAULT_TIMEOUT_S = 60.0
STREAM_IDLE_S = 45.0  # a stream has a comment each 15 s at least; with none for so long its connection is dead
ANSWER_BYTES_MAX = 1 << 30  # of an answer that is held in memory
HEAD_BYTES_MAX = 64 << 10
FILE_PIECE = 64 << 10  # bytes, or letters of a file of text

Query = Mapping[str, Union[str, int, bool, None]]
Chunks = Iterable[bytes]


@dataclass(frozen=True)
class Address:
    """Where the daemon is."""

    tls: bool
    host: str
    port: int
    prefix: str  # of all paths; without a slash at its end

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.prefix}"


def parse_address(url: str) -> Address:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"base_url must be like {DEFAULT_URL}, and is {url!r}")
    if parts.username or parts.password:
        raise ValueError("base_url must hold no user and no password: give the key as api_key")
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError(f"base_url has no valid port: {url!r}") from error
    tls = parts.scheme == "https"
    return Address(tls, parts.hostname, port if port is not None else 443 if tls else 80, parts.path.rstrip("/"))


def settings_of(base_url: Optional[str], api_key: Optional[str]) -> Tuple[Address, str]:
    """The address and the key, as given or as the environment has them."""
    address = parse_address(base_url or os.environ.get("CELLAR_URL") or DEFAULT_URL)
    key = api_key or os.environ.get("CELLAR_API_KEY")
    if not key:
        raise ValueError("there is no key: give it as api_key, or set CELLAR_API_KEY")
    return address, checked_header("api_key", key)


def checked_header(name: str, value: str) -> str:
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ValueError(f"{name} must be one line without control characters")  # not said: it may be a key
    return value


def watch_over(sock: Any) -> None:
    """Calls may last for hours: a machine that is gone is noticed all the same, within some three minutes."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def has_news(sock: Any, wait_s: float = 0.0) -> bool:
    """Of an idle connection: that it was closed, or what nobody asked for."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(wait_s))


def without_none(fields: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def words_of(cmd: Union[str, Sequence[str]]) -> Union[str, List[str]]:
    """A command as the API takes it."""
    if isinstance(cmd, str):
        return cmd
    if not isinstance(cmd, Sequence) or not all(isinstance(word, str) for word in cmd):
        raise ValueError(f"cmd must be a text or a list of texts, and is {cmd!r}")
    return list(cmd)


def segment(value: str) -> str:
    """One name in a path."""
    if not isinstance(value, str) or value in ("", ".", ".."):
        raise ValueError(f"an id or name must be a text that is not empty, nor dots, and is {value!r}")
    return urllib.parse.quote(value, safe="")


def file_path(value: str) -> str:
    """A path below /work. Whether a link in it leads outside, the daemon says."""
    names = value.split("/")
    if ".." in names:  # A proxy before the daemon may resolve it, to another cell.
        raise errors.InvalidArgumentError(f'a path must not have ".." in it, and is {value!r}', code="invalid_path")
    return "/".join(urllib.parse.quote(name, safe="") for name in names)


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # percent-encoded
    query: Query = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Union[bytes, Chunks, None] = None
    is_json: bool = False
    # May be sent again when nobody knows whether it was done.
    repeatable: bool = False
    # One thing however often it is sent: once somebody had it, it is sent again for as long as a stream is opened again.
    is_durable: bool = False
    of_agent: bool = False
    # Of the whole call; None: no limit. Of a stream: of its beginning.
    timeout_s: Optional[float] = DEFAULT_TIMEOUT_S

    @property
    def target(self) -> str:
        pairs = [(name, {True: "1", False: "0"}.get(value, value) if isinstance(value, bool) else value)
                 for name, value in self.query.items() if value is not None]
        return self.path + ("?" + urllib.parse.urlencode(pairs) if pairs else "")

    @property
    def is_chunked(self) -> bool:
        return self.body is not None and not isinstance(self.body, bytes)

    def head(self, address: Address, key: str) -> Dict[str, bytes]:
        """All headers, as bytes: a customer's id may hold any letters."""
        headers = {"Host": address.authority, "Authorization": f"Bearer {key}", "User-Agent": f"cellar-python/{VERSION}",
                   "Accept": "application/json", "Accept-Encoding": "identity"}
        if self.is_json:
            headers["Content-Type"] = "application/json"
        elif self.body is not None:
            headers["Content-Type"] = "application/octet-stream"
        if isinstance(self.body, bytes):
            headers["Content-Length"] = str(len(self.body))
        elif self.is_chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif self.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = "0"
        headers.update(self.headers)
        return {name: checked_header(name, value).encode() for name, value in headers.items()}


# Methods that Cellar answers itself, for which a key does nothing: those that may be sent twice.
_OWN_REPEATABLE = ("db_set", "db_get", "db_keys", "db_query", "db_get_all", "db_get_by_id", "db_update")


def call_of_agent(
    path: str, body: Any, method: str, key: Optional[str], timeout_s: Optional[float], headers: Optional[Mapping[str, str]] = None,
    view: Optional[str] = None
) -> Request:
    """A call of a method. With its key it is one run, however often it is sent."""
    if not isinstance(method, str):
        raise ValueError(f"method must be a text, and is {method!r}")
    own_key = uuid.uuid4().hex if key is None else key
    if not own_key:
        raise ValueError("idempotency_key must not be empty")
    all_headers = {**(headers or {}), "Idempotency-Key": own_key}
    for name, value in all_headers.items():
        checked_header(name, value)
    repeatable = not method.startswith("db_") or method in _OWN_REPEATABLE
    return Request("POST", path, body=json_bytes(body), is_json=True, of_agent=True, timeout_s=timeout_s, headers=all_headers,
                   query={"view": view}, repeatable=repeatable, is_durable=repeatable)


def json_bytes(body: Any) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"what is sent must be JSON: {error}") from error


def body_of(content: Any) -> Union[bytes, Chunks]:
    """Bytes as they are, text as UTF-8, a file and other pieces one by one. Raises ValueError for what is none of them, of a
    list before anything is sent."""
    if isinstance(content, (str, bytes, bytearray, memoryview)):
        return piece_of(content)
    if isinstance(content, (list, tuple)):
        return iter([piece_of(piece) for piece in content])
    if hasattr(content, "__aiter__"):
        return _pieces_to_come(content)  # type: ignore[return-value]
    if hasattr(content, "read"):
        return _pieces_of_file(content, piece_of(content.read(FILE_PIECE)))
    if hasattr(content, "__iter__") and not isinstance(content, (Mapping, AbstractSet)):
        return map(piece_of, content)
    raise ValueError(f"content must be text, bytes, a file or pieces of them, and is {type(content).__name__}")


def piece_of(piece: Any) -> bytes:
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, (bytes, bytearray, memoryview)):
        return bytes(piece)
    raise ValueError(f"a piece of content must be text or bytes, and is {type(piece).__name__}")


def _pieces_of_file(file: Any, piece: bytes) -> Iterator[bytes]:
    while piece:
        yield piece
        piece = piece_of(file.read(FILE_PIECE))


async def _pieces_to_come(pieces: Any) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece_of(piece)


def json_of(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError as error:
        raise errors.InternalError(f"the answer is no JSON: {body[:200]!r}") from error
