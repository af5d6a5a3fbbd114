"""The client's side of RFC 6455: bytes in, messages out. No I/O, no extensions."""
from __future__ import annotations

import base64
import hashlib
import os
from typing import List, NamedTuple, Optional, Tuple

from . import errors
from ._wire import HEAD_BYTES_MAX, Address, Request

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MESSAGE_BYTES_MAX = 16 << 20  # the daemon sends 1 MiB at most
SENT_BYTES_MAX = 1 << 20  # of one frame; the daemon takes no more
REFUSAL_BYTES_MAX = 64 << 10
_ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Message(NamedTuple):
    kind: int  # TEXT, BINARY or CLOSE
    data: bytes


def mask(data: bytes, key: bytes) -> bytes:
    size = len(data)
    whole = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(data, "big") ^ whole).to_bytes(size, "big")


def frame(opcode: int, data: bytes) -> bytes:
    """One whole message, masked as a client must."""
    size = len(data)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    key = os.urandom(4)
    return bytes([0x80 | opcode]) + length + key + mask(data, key)


class Handshake:
    """The way from a connection to a WebSocket."""

    def __init__(self, request: Request, address: Address, key: str) -> None:
        self._key = base64.b64encode(os.urandom(16))
        head = {**request.head(address, key), "Connection": b"Upgrade", "Upgrade": b"websocket",
                "Sec-WebSocket-Version": b"13", "Sec-WebSocket-Key": self._key}
        lines = [f"{request.method} {address.prefix}{request.target} HTTP/1.1".encode()]
        lines += [name.encode() + b": " + value for name, value in head.items()]
        self.request = b"\r\n".join(lines) + b"\r\n\r\n"
        self._bytes = b""

    def feed(self, chunk: bytes) -> Optional[bytes]:
        """The bytes behind the head, once it has come. Raises what the server answered instead; `chunk` is empty at the end."""
        self._bytes += chunk
        head, found, rest = self._bytes.partition(b"\r\n\r\n")
        if not found:
            if not chunk or len(self._bytes) > HEAD_BYTES_MAX:
                raise errors.ConnectionError("the server did not answer the WebSocket's handshake")
            return None
        status, headers = parse_head(head)
        if status != 101:
            wanted = int(headers.get("content-length", "0")) if headers.get("content-length", "0").isdigit() else 0
            if chunk and len(rest) < min(wanted, REFUSAL_BYTES_MAX):
                return None
            raise errors.error_of(status, headers, rest)
        expected = base64.b64encode(hashlib.sha1(self._key + _ACCEPT_SUFFIX).digest()).decode()
        if headers.get("sec-websocket-accept") != expected:
            raise errors.ConnectionError("what answered is no WebSocket server: Sec-WebSocket-Accept is wrong")
        return rest


def parse_head(head: bytes) -> Tuple[int, "dict[str, str]"]:
    """Status and headers, names in lower case, of a response's head."""
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not (parts[1].isdigit() and len(parts[1]) == 3):
        raise errors.ConnectionError(f"what answers there does not speak HTTP: {first[:80]!r}")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(parts[1]), headers


class Decoder:
    """Messages out of bytes in pieces of any size; what has to be answered is in `answers`."""

    def __init__(self) -> None:
        self.answers: List[bytes] = []
        self.is_closed = False
        self._bytes = bytearray()
        self._kind = 0
        self._message = bytearray()

    def feed(self, chunk: bytes) -> List[Message]:
        self._bytes += chunk
        found: List[Message] = []
        while not self.is_closed:
            one = self._take_frame()
            if one is None:
                break
            message = self._take(*one)
            if message:
                found.append(message)
        return found

    def _take_frame(self) -> Optional[Tuple[bool, int, bytes]]:
        data = self._bytes
        if len(data) < 2:
            return None
        size, begin = data[1] & 0x7F, 2
        if data[0] & 0x70 or data[1] & 0x80:
            raise errors.ConnectionError("the server broke the WebSocket protocol: reserved bits or a mask")
        if size > 125:
            begin += 2 if size == 126 else 8
            if len(data) < begin:
                return None
            size = int.from_bytes(data[2:begin], "big")
        if size + len(self._message) > MESSAGE_BYTES_MAX:
            raise errors.TooLargeError(f"a message of the WebSocket has more than {MESSAGE_BYTES_MAX} bytes")
        if len(data) < begin + size:
            return None
        payload = bytes(data[begin:begin + size])
        is_last, opcode = bool(data[0] & 0x80), data[0] & 0x0F
        del data[:begin + size]
        return is_last, opcode, payload

    def _take(self, is_last: bool, opcode: int, payload: bytes) -> Optional[Message]:
        if opcode >= 8:
            if not is_last or len(payload) > 125:
                raise errors.ConnectionError("the server broke the WebSocket protocol: a control frame in parts, or too long")
            if opcode == PING:
                self.answers.append(frame(PONG, payload))
            elif opcode == CLOSE:
                self.answers.append(frame(CLOSE, payload[:2]))
                self.is_closed = True
                return Message(CLOSE, payload)
            return None
        is_first = opcode != 0
        if is_first == bool(self._kind):
            raise errors.ConnectionError("the server broke the WebSocket protocol: parts of a message out of order")
        if is_first:
            self._kind = opcode
        self._message += payload
        if not is_last:
            return None
        message = Message(self._kind, bytes(self._message))
        self._kind, self._message = 0, bytearray()
        return message
