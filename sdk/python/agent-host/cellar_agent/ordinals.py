"""The ordinals of what a run's code does, and whether it does again what the journal holds at them."""
from .errors import CancelledError, ParkedRun
from .values import name_of, stringify

MATCHED_SHOWN = 5
# What a trial may do that has no record of it.
CHANGES_NOTHING = ("store.read", "store.exists", "store.list", "now", "random", "uuid", "version", "event")
NUMBERED = ("step", "wait", "approval", "spawn", "child")  # Where several bear one name.
COMMANDS = ("step", "shell", "fetch", "llm", "spawn", "sleep", "wait", "approval", "child")


class Ordinals:
    """`base` is the last one that is taken before the run begins."""

    def __init__(self, run, base):
        self._run, self.last = run, base
        self._matched = []  # the last ones that were as recorded

    def next(self):
        """That of what the code does now."""
        if self._run.is_method_closing and self.last >= self._run.replay.last:
            raise self.closed()
        self.last += 1
        return self.last

    def closed(self):
        """What ends the code that comes beyond what is recorded."""
        return CancelledError() if self._run.undoes else ParkedRun()

    def look_up(self, o, k, n, fp):
        """What the journal holds at this ordinal; None where it holds nothing."""
        entry = self._run.replay.issue(o)
        if entry is None:
            if self._run.is_trial:
                self._try_gap(o, k, n)
            return None
        if entry.k == k and entry.n == n and entry.fp == fp:
            self._matched.append({"o": o, "k": k, "n": n})
            del self._matched[:-MATCHED_SHOWN]
            return entry
        self.differs(entry, {"k": k, "n": n, "fp": fp})
        raise ParkedRun()

    def _try_gap(self, o, k, n):
        """A trial has come to an ordinal that holds nothing. Between others that is what raised, and is
        done again: a trial can where that changes nothing."""
        if o > self._run.replay.last_of_all:
            self._run.end_trial(True)
        elif k in CHANGES_NOTHING:
            return
        else:
            message = f"the record holds nothing at place {o}: what was called there raised, and a trial does " \
                      f'not execute ctx.{k}("{n}") to see what it would do now'
            self._run.end_trial(False, stringify({"message": message}, "the trial"))
        raise ParkedRun()

    def peek(self):
        """What the journal holds at the next one, without coming to it."""
        return self._run.replay.peek(self.last + 1)

    def skip(self, name, names):
        """Goes past a command of this name, where there is one."""
        entry = self.peek()
        if entry is None or entry.k not in COMMANDS:
            return
        is_numbered = entry.k in NUMBERED
        if entry.n == name_of(names.peek(name) if is_numbered else name):
            self.last += 1
            self._run.replay.issue(self.last)
            if entry.state == "open":
                self._run.give_up(self.last, entry.n)
            if is_numbered:
                names.take(name)

    def differs(self, entry, got):
        """The run is over in this process, and the daemon is told both sides."""
        expected = {"k": entry.k, "n": entry.n, "fp": entry.fp}
        detail = {"expected": expected, "got": got, "matched": self._matched}
        self._run.send({"t": "mismatch", "o": entry.o}, stringify(detail, "the mismatch"))
        self._run.leave()
