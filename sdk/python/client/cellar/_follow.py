"""What a stream is at, over all connections that it takes. No I/O: who reads says what came, and is told what to do next.

After a connection broke it goes on behind the last id (`Ids`), of an agent's answer by a call with the same key (`Again`), or ends
(`Once`).
"""
from __future__ import annotations

import dataclasses
import json
from typing import Collection, Dict, List, Mapping, Optional

from . import _retry, errors
from ._sse import EventParser, SentEvent
from ._wire import Request

ACCEPT = {"Accept": "text/event-stream"}


class Once:
    """One connection, and no other. `last`: types of events that are the last."""

    def __init__(self, request: Request, last: Collection[str] = ()) -> None:
        self.request = dataclasses.replace(request, headers={**request.headers, **ACCEPT})
        self.last = last
        self.is_over = False
        self.headers: Mapping[str, str] = {}  # of the newest answer
        self.tries = _retry.Tries()  # before the first answer
        self._failures = 0  # in a row, with nothing new between
        self._waited_s = 0.0  # between them
        self._was_open = False
        self._parser = EventParser()
        self._retry_s = _retry.RECONNECT_PAUSE_FIRST_S
        self._is_new = False  # something of this connection is

    def next_request(self) -> Request:
        return self.request

    def opened(self, headers: Mapping[str, str]) -> None:
        """An answer with a stream has begun."""
        self.headers = headers
        self._parser = EventParser()
        self._was_open, self._is_new = True, False

    def feed(self, chunk: bytes) -> List[SentEvent]:
        """Those events that are to be given out."""
        given: List[SentEvent] = []
        for event in self._parser.feed(chunk):
            if self.is_over:
                break
            if self._is_news(event):
                given.append(event)
                self._is_new, self._failures, self._waited_s = True, 0, 0.0
                self.is_over = self._is_last(event)
        if self._parser.retry_s is not None:
            self._retry_s = self._parser.retry_s
        return given

    def ended(self) -> Optional[float]:
        """The answer is over, as the server says: the pause before the next one, None where there is none."""
        if not self.last:
            self.is_over = True
        return None if self.is_over else self.failed(errors.ConnectionError("the stream ended before its last event"))

    def failed(self, error: errors.CellarError, took_s: float = 0.0) -> float:
        """The pause before the next try. Raises `error` where there is none. `took_s`: how long it was waited for."""
        if not self._was_open:
            wait = self.tries.after(self.request, error, took_s)
        else:
            self._failures += 1
            wait = self._before_reconnect(error)
        if wait is None:
            self.is_over = True
            raise error
        return wait

    def _is_news(self, event: SentEvent) -> bool:
        return True

    def _is_last(self, event: SentEvent) -> bool:
        return event.type in self.last

    def _before_reconnect(self, error: errors.CellarError) -> Optional[float]:
        return None


class _Many(Once):
    def _before_reconnect(self, error: errors.CellarError) -> Optional[float]:
        is_passing = isinstance(error, errors.TimeoutError) or _retry.is_passing(error)
        left_s = _retry.GIVE_UP_S - self._waited_s
        if not is_passing or self._failures > _retry.RECONNECTS or left_s <= 0:
            return None
        wait = _retry.pause(self._retry_s, _retry.RECONNECT_PAUSE_MAX_S, self._failures)
        asked = min(error.retry_after_s or 0.0, _retry.RETRY_AFTER_MAX_S)
        wait = min(max(wait, asked), left_s)
        self._waited_s += wait
        return wait


class Ids(_Many):
    """Goes on behind the last id. `may_end_silently`: a connection that gives nothing and ends is the end, as there is nothing more."""

    def __init__(self, request: Request, last: Collection[str] = (), *, may_end_silently: bool = False) -> None:
        super().__init__(request, last)
        self._may_end_silently = may_end_silently
        self._was_quiet = False  # the last connection came to an end that was not said to be the stream's
        after = request.query.get("after")
        self._last_id: Optional[int] = None if after is None else int(after)

    def next_request(self) -> Request:
        if self._last_id is None:
            return self.request
        query = {name: value for name, value in self.request.query.items() if name not in ("after", "tail")}
        headers: Dict[str, str] = {**self.request.headers, "Last-Event-ID": str(self._last_id)}
        return dataclasses.replace(self.request, query=query, headers=headers)

    def begin_after(self, number: int) -> None:
        self._last_id = number

    def ended(self) -> Optional[float]:
        if self._may_end_silently and self._has_all():
            self.is_over = True
        if self.is_over:
            return None
        pause = self.failed(errors.ConnectionError("the stream ended before its last event"))
        self._was_quiet = True
        return pause

    def failed(self, error: errors.CellarError, took_s: float = 0.0) -> float:
        self._was_quiet = False
        return super().failed(error, took_s)

    def _has_all(self) -> bool:
        """A proxy may make a proper end of one that broke off: where the next one brings nothing either, it is one."""
        return self._parser.has_ended or (self._was_quiet and not self._is_new)

    def _is_news(self, event: SentEvent) -> bool:
        if event.id is None:
            return True
        if not event.id.isdigit():
            raise errors.InternalError(f"an event of the stream has no number as its id: {event.id!r}")
        number = int(event.id)
        if self._last_id is not None and number <= self._last_id:
            return False
        self._last_id = number
        return True


class Again(Ids):
    """The same call with its Idempotency-Key, which goes on behind the last id, and ends where the server says so."""

    def __init__(self, request: Request) -> None:
        super().__init__(request, may_end_silently=True)

    def _has_all(self) -> bool:
        is_numbered = self._last_id is not None or self._parser.retry_s is not None  # Else nothing can be gone on behind.
        return not is_numbered or super()._has_all()

    def failure_in(self, event: SentEvent) -> Optional[errors.CellarError]:
        """The run's failure, where an event is that and no item of the agent's."""
        value = json.loads(event.data)
        run = self.headers.get("x-cellar-run")
        if not isinstance(value, dict) or set(value) != {"error", "code", "run"} or value["run"] != run:
            return None
        return errors.AgentError(str(value["error"]), code=str(value["code"]), run=run)


class Watch(Ids):
    """Of files: the server says whether it knows what happened between two connections. The folder's own end is the last event."""

    _folder: Optional[str] = None

    def _is_last(self, event: SentEvent) -> bool:
        path = json.loads(event.data).get("path")
        if event.type in ("ready", "reset"):
            self._folder = path
        return event.type == "deleted" and path == self._folder
