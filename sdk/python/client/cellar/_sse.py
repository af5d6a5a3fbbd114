"""Server-sent events (WHATWG HTML 9.2) out of bytes that come in pieces of any size. No I/O."""
from __future__ import annotations

from typing import List, NamedTuple, Optional

from . import errors

EVENT_BYTES_MAX = 256 << 20


class SentEvent(NamedTuple):
    id: Optional[str]  # its own
    type: str  # "message" where the stream names none
    data: str


class EventParser:
    """Comments are skipped; so is an event without data, and one that is cut off at the end."""

    def __init__(self) -> None:
        self.retry_s: Optional[float] = None
        # It said that this is all. A connection that ends without has broken off, whatever a proxy makes of that.
        self.has_ended = False
        self._pieces: List[bytes] = []  # of the line that is not complete
        self._bytes = 0  # in them and in the event
        self._skip_line_feed = False
        self._is_first_line = True
        self._id: Optional[str] = None
        self._type = ""
        self._data: List[str] = []

    def feed(self, chunk: bytes) -> List[SentEvent]:
        """The events that are complete with these bytes."""
        if not chunk:
            return []
        if self._skip_line_feed:
            chunk, self._skip_line_feed = chunk[chunk.startswith(b"\n"):], False
        self._bytes += len(chunk)
        if self._bytes > EVENT_BYTES_MAX:
            raise errors.TooLargeError(f"an event of the stream has more than {EVENT_BYTES_MAX} bytes")
        found: List[SentEvent] = []
        *lines, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._skip_line_feed = chunk.endswith(b"\r")
        for line in lines:
            self._pieces.append(line)
            whole, self._pieces = b"".join(self._pieces), []
            event = self._take(whole)
            if event:
                found.append(event)
                self._bytes = len(rest)
        if rest:
            self._pieces.append(rest)
        if not self._data:
            self._bytes = sum(map(len, self._pieces))
        return found

    def _take(self, line: bytes) -> Optional[SentEvent]:
        text = line.decode("utf-8", "replace")
        if self._is_first_line:
            text, self._is_first_line = text[text.startswith("\ufeff"):], False
        if not text:
            event = SentEvent(self._id, self._type or "message", "\n".join(self._data)) if self._data else None
            self._id, self._type, self._data = None, "", []
            return event
        name, _, value = text.partition(":")
        value = value[value.startswith(" "):]
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_s = int(value) / 1000
        elif text == ": end":
            self.has_ended = True
        return None
