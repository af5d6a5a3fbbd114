"""Frames between the agent host and the daemon (docs/internals/agent-protocol.md): u32 header size,
u32 body size, both little endian, then a JSON header and the body."""
import json
import os
import select
import struct

PREFIX = struct.Struct("<II")
JOINED_BYTES_MAX = 64 << 10
STEPS_AT_FIRST = 8

_dump = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def pieces(header, body=b""):
    """The frame as the pieces to write, one after the other. A large body is not copied."""
    head = _dump(header).encode()
    prefix = PREFIX.pack(len(head), len(body))
    if len(body) <= JOINED_BYTES_MAX:
        return [b"".join((prefix, head, body))]
    return [prefix + head, body]


def encode(header, body=b""):
    return b"".join(pieces(header, body))


class UpSocket:
    """The socket that everything of the agent's goes over, and the answers to synchronous calls come
    back on. An answer bears no tag: the loop waits for it, so there is one call at a time.

    Used on the loop's thread only. `gone` is called when the daemon is not there any more, and does
    not return."""

    def __init__(self, fd, gone):
        self._fd, self._gone = fd, gone
        # How many steps may be going that the daemon was not asked for, and how many are. Its journal
        # has a place for so many ends.
        self.steps_max = STEPS_AT_FIRST
        self.step_count = 0

    def send(self, header, body=b""):
        for piece in pieces(header, body):
            rest = memoryview(piece)
            while rest:
                rest = rest[self._retried(os.write, rest, select.POLLOUT):]

    def receive(self):
        """The answer to the one synchronous call under way: (header, body). Blocks."""
        header_size, body_size = PREFIX.unpack(self._read(PREFIX.size))
        header = json.loads(self._read(header_size))
        return header, self._read(body_size)

    def _read(self, size):
        chunks = []
        while size > 0:
            chunk = self._retried(os.read, size, select.POLLIN)
            if not chunk:
                self._gone()
            chunks.append(chunk)
            size -= len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _retried(self, call, argument, event):
        """The socket is blocking here, but whoever started us may have made it otherwise."""
        while True:
            try:
                return call(self._fd, argument)
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._fd, event)
                poll.poll()
            except (BrokenPipeError, ConnectionResetError):
                self._gone()


class FrameParser:
    """Cuts what comes from the daemon into frames: calls take(header, body) for each."""

    def __init__(self, take):
        self._take = take
        self._chunks = []
        self._size = 0

    def feed(self, chunk):
        self._chunks.append(chunk)
        self._size += len(chunk)
        while self._size >= PREFIX.size:
            header_size, body_size = PREFIX.unpack_from(self._joined(PREFIX.size))
            total = PREFIX.size + header_size + body_size
            if self._size < total:
                return
            everything = self._joined(total)
            body_at = PREFIX.size + header_size
            header = json.loads(everything[PREFIX.size:body_at])
            body = everything[body_at:total]
            self._size -= total
            self._chunks = [everything[total:]] if self._size > 0 else []
            self._take(header, body)

    def _joined(self, size):
        """The chunks as one, where the first one is shorter than `size`."""
        if len(self._chunks[0]) < size:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0]
