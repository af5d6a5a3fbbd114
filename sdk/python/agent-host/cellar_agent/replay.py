"""What the journal holds of a run, given back in the order in which it happened."""
import collections
import sys

from .turns import HOST_CONTEXT

STALL_S = 30
BEGUN_STALL_S = 1
OWN_TIME_MAX_S = 600  # So long it is waited for times of the code's own, ...
OWN_TIME_MARGIN_S = 1  # ... and so much more for what it does behind each.


class Entry:
    """One recorded command. `body` holds its value."""

    __slots__ = ("o", "k", "n", "fp", "state", "codec", "is_sensitive", "begun_at", "ended_at", "before",
                 "_bytes", "_from", "_to")

    def __init__(self, json, everything, start):
        self.o, self.k, self.n, self.fp, self.state = (json[key] for key in ("o", "k", "n", "fp", "s"))
        self.codec = json.get("c")
        self.is_sensitive = "sens" in json
        self.begun_at, self.ended_at = json["at"], json["end"]
        self.before = json  # of an open step: started_at, tries, retry_at, progress
        self._bytes, self._from, self._to = everything, start, start + json["len"]

    @property
    def is_open(self):
        return self.state == "open"

    @property
    def body(self):
        return bytes(self._bytes[self._from:self._to])


class Replay:
    """Live, each completion (the end of a step, the result of a command) reaches the code in a turn of
    its own, in the order of the journal. Replay does the same: a completion is given only when all
    that is recorded before it was asked for again or given, and all that it sets going is done before
    the next one. So gather, wait and the rest resolve as they did.

    `entries` as in the `run` frame; their values lie in `everything` from `start` on, one behind the
    other. `is_quiet()` says whether nothing else of the run is under way, `own_time()` until when
    its code waits for a time or a socket (turns.py), `on_stall(entry)` gets a
    command that the code does not come to, while it waits itself for what was recorded behind it;
    `on_caught_up()`: all that is recorded was asked for again, and given."""

    def __init__(self, loop, entries, everything, start, is_quiet, own_time, on_stall, on_caught_up):
        self._loop, self._is_quiet, self._own_time = loop, is_quiet, own_time
        self._on_stall, self._on_caught_up = on_stall, on_caught_up
        self.go_on = None  # tells that there may be something to give
        self._recorded = {}  # ordinal → entry
        self._issued = set()  # ordinals that the code has come to
        self._waiting = {}  # ordinal → gives its recorded completion
        self._begun = set()  # those of them that were begun with ctx.begin_step
        self._live = collections.deque()  # completions that came while older ones were to be given
        self._position = 0
        self._timer = None
        self._watched = None  # what the timer is for: (ordinal of what is missing, that of a begun step)
        self._is_overdue = False  # a begun step waits since BEGUN_STALL_S
        # Where the run began to roll back: what it did from there on is not its method's.
        self.marker = None
        self.last = 0  # the last ordinal that its method came to
        self.last_of_all = max((json["o"] for json in entries), default=0)  # rolling back included
        end = next((json["at"] for json in entries if json["k"] == "rollback"), sys.maxsize)
        order = []  # what happened, in the order of the journal: (place, ordinal, whether it completes)
        for json in entries:
            entry = self._recorded[json["o"]] = Entry(json, everything, start)
            start += json["len"]
            if entry.k == "rollback":
                self.marker = entry
            if entry.begun_at >= end:
                continue
            self.last = max(self.last, entry.o)
            order.append((entry.begun_at, entry.o, False))
            if not entry.is_open and entry.begun_at != entry.ended_at < end:
                order.append((entry.ended_at, entry.o, True))
        if self.marker is not None:
            self.last = self.marker.o - 1  # What raised left a gap before it.
        self._order = sorted(order, key=lambda moment: moment[0])

    @property
    def is_complete(self):
        """The code has come to all that is recorded."""
        return len(self._issued) == len(self._recorded)

    @property
    def goes_on(self):
        """More of what is recorded is to come."""
        return not self.is_complete or bool(self._waiting)

    def peek(self, o):
        """What is recorded of its method at an ordinal, without coming to it."""
        return None if self.marker is not None and o == self.marker.o else self._recorded.get(o)

    def issue(self, o):
        """The code has come to this ordinal: its entry, None where nothing is recorded."""
        entry = self._recorded.get(o)
        if entry is not None:
            self._issued.add(o)
            self.go_on()
        return entry

    def when_completed(self, o, give):
        """Calls `give` when it is the turn of the recorded completion of this ordinal."""
        self._waiting[o] = give

    def when_begun_completed(self, o, give):
        """The same for a step that was begun and completed in different places. Its code may have called
        more in between, and calls that again only once it has the step: where nothing else goes on, it
        is given before its turn."""
        self._begun.add(o)
        self._waiting[o] = give

    def when_caught_up(self, give):
        """Calls `give`, for something that completes now: at once, or behind all that is recorded."""
        if self._is_at_end and not self._live:
            give()
        else:
            self._live.append(give)
            self.go_on()

    @property
    def _is_at_end(self):
        return self._position == len(self._order)

    @property
    def is_caught_up(self):
        """All that is recorded was asked for again and given."""
        return self._is_at_end and not self._live

    def stop(self):
        """Nothing is given any more."""
        self._unwatch()
        self._waiting.clear()
        self._live.clear()

    def next(self):
        """What gives the next completion; None where there is none now."""
        while not self._is_at_end:
            _, o, completes = self._order[self._position]
            if o not in self._issued:
                return self._begun_early()
            self._position += 1
            give = self._waiting.pop(o, None) if completes else None
            if give is not None:
                self._unwatch()
                return give  # Nobody waits for what was given synchronously.
        self._unwatch()
        if self._live:
            return self._live.popleft()
        self._on_caught_up()
        return None

    def _begun_early(self):
        """The code does not come to the next recorded command. It may wait for a step that it began."""
        if not self._waiting and not self._live:
            self._unwatch()
            return None
        missing = self._order[self._position][1]
        begun = next((o for o in self._begun if o in self._waiting and o < missing), None)
        if begun is not None and (self._is_quiet() or self._is_overdue):
            self._unwatch()
            self._is_overdue = False
            return self._waiting.pop(begun)
        if self._watched != (missing, begun):  # Else what the daemon asks meanwhile would put it off.
            self._unwatch()
            self._watched = (missing, begun)
            if begun is None:
                self._watch(STALL_S, lambda: self._stalled(missing))
            else:
                self._watch(BEGUN_STALL_S, self._be_overdue)
        return None

    def _stalled(self, missing, since=None):
        """Its code may come to it when a time of its own is over, that of asyncio.timeout, say, or one that
        it begins then; but not for ever: a heartbeat always begins another."""
        now, end = self._loop.time(), self._own_time()
        since = now if since is None else since
        left = since + OWN_TIME_MAX_S - now
        if end is None or left <= 0:
            self._on_stall(self._recorded[missing])
        else:
            wait = min(max(end - now, 0) + OWN_TIME_MARGIN_S, left)
            self._watch(wait, lambda: self._stalled(missing, since))

    def _be_overdue(self):
        self._is_overdue = True
        self.go_on()

    def _watch(self, seconds, call):
        self._timer = self._loop.call_later(seconds, call, context=HOST_CONTEXT)

    def _unwatch(self):
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._watched = None
