"""What a run is made of: its commands, its steps at their begin, and its end."""
import asyncio
import collections
import itertools

# Numbers of what is not there on replay. All of one number in a set would be compared with each other.
unreplayed = itertools.count(1)

# The step that code is in: of this phase of its run (rollback.py), with its ordinal, in which of its
# attempts. What it says there bears both numbers: it counts where that attempt does.
InStep = collections.namedtuple("InStep", "phase is_sensitive ordinal attempt", defaults=(None,))


class Outcome:
    """How a run ends. `rolled`: whether all that was to be undone is; None where nothing was."""

    def __init__(self, ok, body, code=None, rolled=None):
        self.ok, self.body, self.code, self.rolled = ok, body, code, rolled


class Command(asyncio.Future):
    """What a call of ctx gives: an awaitable that is under way already, with its ordinal as its number. Knows whether
    anybody has ever waited for it."""

    is_awaited = False

    def __init__(self, number=0, *, loop):
        super().__init__(loop=loop)
        self.number = number or next(unreplayed)  # The place in a set is the same on replay (tasks.py).

    def __hash__(self):
        return self.number

    def __await__(self):
        """One that is done asks for nothing below."""
        self.is_awaited = True
        return super().__await__()

    __iter__ = __await__

    def add_done_callback(self, callback, *, context=None):
        self.is_awaited = True
        super().add_done_callback(callback, context=context)

    def result(self):
        self.is_awaited = True
        return super().result()

    def exception(self):
        self.is_awaited = True
        return super().exception()

    def give(self, value):
        if not self.done():
            self.set_result(value)

    def fail(self, error):
        """Nobody need look at it: what nobody waits for is told by check_forgotten."""
        if not self.done():
            self.set_exception(error)
            super().exception()


class Step:
    """A step at its begin. `entry` is what the journal holds of it, or None."""

    waits = False  # for the daemon's word that it may begin
    is_left = False  # It was open when its run began to roll back, and stays so.

    def __init__(self, o, name, entry):
        self.o, self.name, self.entry = o, name, entry
        self.is_done = entry is not None and not entry.is_open
        self.was_sensitive = self.is_done and entry.is_sensitive
        self.before = entry.before if entry is not None else {}
