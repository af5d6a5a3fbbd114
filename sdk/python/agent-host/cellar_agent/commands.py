"""What a run is made of: its commands, its steps at their begin, and its end."""
import asyncio
import collections
import itertools

from .codec import decode_value
from .errors import CancelledError, Error, from_json, mark_sensitive

# Numbers of what is not there on replay. All of one number in a set would be compared with each other.
unreplayed = itertools.count(1)

# The step that code is in: of this phase of its run (rollback.py), with its ordinal, in which of its
# attempts. What it says there bears both numbers: it counts where that attempt does.
InStep = collections.namedtuple("InStep", "phase is_sensitive ordinal attempt", defaults=(None,))


class Outcome:
    """How a run ends. `rolled`: whether all that was to be undone is; None where nothing was."""

    def __init__(self, ok, body, code=None, rolled=None):
        self.ok, self.body, self.code, self.rolled = ok, body, code, rolled


def is_asyncios(callback):
    """Whether that is called of what is done with asyncio's own means."""
    callback = getattr(callback, "func", callback)
    is_task = isinstance(getattr(callback, "__self__", None), asyncio.Task)
    return is_task or str(getattr(callback, "__module__", None)).startswith("asyncio.")


class Command(asyncio.Future):
    """What a call of ctx gives: an awaitable that is under way already, with its ordinal as its number. Knows whether
    anybody has ever waited for it."""

    called = ""  # as people know it
    is_awaited = False
    is_left = False  # Its run is over here, and it never settles.

    def __init__(self, number=0, called="", *, loop):
        super().__init__(loop=loop)
        self.called = called
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
        task = asyncio.current_task(self.get_loop())
        if task is not None:
            task.uses_ctx = True
        super().add_done_callback(callback, context=context)

    def cancel(self, msg=None):
        """Of one that is left only tasks hear, and what of asyncio they wait with: they unwind."""
        for callback, _ in (self._callbacks or ()) if self.is_left else ():
            if not is_asyncios(callback):
                self.remove_done_callback(callback)
        return super().cancel(msg)

    def result(self):
        self.is_awaited = True
        return super().result()

    def exception(self):
        self.is_awaited = True
        return super().exception()

    def __getattr__(self, name):
        raise AttributeError(f"{self._shown()} was not awaited: await it, and its value may have .{name}")

    def _shown(self):
        return f'"{self.called}" of ctx' if self.called else "what ctx gives"

    def _is_not_its_value(self, *_):
        raise TypeError(f"{self._shown()} was not awaited: await it")

    __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = \
        __mod__ = __lt__ = __le__ = __gt__ = __ge__ = _is_not_its_value

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


class Commands:
    """Those of a run: which are open, and which have failed with nobody who had waited."""

    def __init__(self, run):
        self._run = run
        self._pending = set()  # those that have not settled
        self._open = {}  # ordinal → (name, command) of what has not ended
        self._unheard = {}  # the same of what has failed, and nobody had waited

    def make(self, o, name):
        """The one with this ordinal; 0 for none of its own."""
        command = Command(o, name, loop=self._run.loop)
        self._pending.add(command)
        if o != 0:
            self._open[o] = (name, command)
        return command

    def give(self, o, command, value):
        self._ends(o, command)
        command.give(value)

    def _fail(self, o, name, command, error):
        self._ends(o, command)
        if not command.is_awaited and o != 0:
            self._unheard[o] = (name, command)
        command.fail(error)

    def _ends(self, o, command):
        self._pending.discard(command)
        self._open.pop(o, None)

    def keep_open(self, o, name):
        """It goes on, and nobody need wait for it: a step that is completed somewhere else."""
        self._open[o] = (name, None)

    def cancel_all(self):
        for command in list(self._pending):
            command.fail(CancelledError())

    def leave_all(self):
        """Those that have not settled never do."""
        for command in self._pending:
            command.is_left = True
        self._pending.clear()

    def never(self):
        """What code gets that asks for more in a run that is over here. It does not raise: code that
        catches everything and tries again would never let go of the process."""
        command = Command(loop=self._run.loop)
        command.is_left = self._run.parked
        if not command.is_left:
            self._pending.add(command)  # A cancel ends it.
        return command

    def refused(self, error):
        """What a call gives that is refused, and that nobody need look at."""
        command = Command(loop=self._run.loop)
        command.fail(error)
        return command

    def end_with(self, o, name, command, finish, sensitive=False):
        """Takes the outcome of a command: settle(ok, body, codec). finish(ok, value) makes of it what
        the code gets, or raises."""
        def settle(ok, body, codec="json"):
            module = self._run.module
            try:
                value = decode_value(body, codec, module)
                value = value if ok else from_json(value, module)
                if sensitive and not ok:
                    mark_sensitive(value)
                if finish is not None:
                    value = finish(ok, value)
                elif not ok:
                    raise value
            except BaseException as error:
                self._fail(o, name, command, error)
            else:
                self.give(o, command, value)
        return settle

    def check_forgotten(self):
        """Raises where the method has returned and left something open that nobody waits for: it would
        be cut off at any point, and not the same on replay. Or it has failed, and nobody would know."""
        names = [f'"{name}"' for name, command in [*self._open.values(), *self._unheard.values()]
                 if command is None or not command.is_awaited]
        if names:
            was = "was open or had failed" if len(names) == 1 else "were open or had failed"
            raise Error(f"{self._run.method}() returned while {', '.join(names)} {was} and nobody waited "
                        "for it: await what ctx gives", code="forgotten_await")
