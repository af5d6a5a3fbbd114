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
    """Cuts what comes from the daemon into frames: calls take(header, body) for each. A body is bytes, or a
    memoryview of them."""

    def __init__(self, take):
        self._take = take
        self._begun = b""  # the beginning of a frame
        self._room = None  # where a frame goes that takes more than what comes at once
        self._filled = 0

    def feed(self, chunk):
        if self._room is not None:
            size = min(len(chunk), len(self._room) - self._filled)
            self._room[self._filled:self._filled + size] = chunk[:size]
            self._filled += size
            if self._filled < len(self._room):
                return
            room, self._room, chunk = self._room, None, chunk[size:]
            self._cut(room)
        self._cut(self._begun + chunk)
        total = self._size_of(self._begun)
        if total > JOINED_BYTES_MAX:
            self._room, self._filled = memoryview(bytearray(total)), len(self._begun)
            self._room[:self._filled] = self._begun
            self._begun = b""

    @staticmethod
    def _size_of(everything):
        """That of the frame that begins there; as much as is needed to know it where there is less."""
        if len(everything) < PREFIX.size:
            return PREFIX.size
        return PREFIX.size + sum(PREFIX.unpack_from(everything))

    def _cut(self, everything):
        """Takes the whole frames of it, and keeps what is behind them, whatever taking one raises."""
        at = 0
        try:
            while len(everything) - at >= (total := self._size_of(everything[at:at + PREFIX.size])):
                start, at = at + PREFIX.size, at + total
                body_at = start + PREFIX.unpack_from(everything, start - PREFIX.size)[0]
                self._take(json.loads(bytes(everything[start:body_at])), everything[body_at:at])
        finally:
            self._begun = bytes(everything[at:])
