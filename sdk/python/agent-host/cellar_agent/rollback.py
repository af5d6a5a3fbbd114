"""What a run has done and can undo: the rollbacks of its steps, and what is told of them."""
import dataclasses
import sys
import typing

from .codec import decode_value
from .errors import ParkedRun, to_json
from .signals import Signal

NAMES_TOLD_MAX = 1000
FROM_NOW_ON = sys.maxsize  # Behind all that is recorded.


class Phase:
    """What a run does until its method has ended, or after that, to roll back. Steps belong to the one
    that they began in."""

    def __init__(self):
        self.signal = Signal()
        self.is_over = False  # Nothing more is begun in it.


@dataclasses.dataclass
class Undo:
    """One step that undoes another. `body` is its body, of a Step (run.py)."""

    name: str
    policy: str
    sensitive: bool
    body: typing.Callable


class Rollbacks:
    """The rollbacks that steps have declared, by their ordinals, and which of these steps are
    completed."""

    def __init__(self):
        self._declared = {}  # ordinal → (name, policy, sensitive, undo)
        self._completed = []  # (place, ordinal, text, codec)
        self._unkept = set()  # ordinals of those whose end is on its way to the disk
        self._tell_kept = None

    def declare(self, o, name, policy, sensitive, undo):
        """`undo(value, o)` gives the body of the step that undoes it."""
        self._declared[o] = (name, policy, sensitive, undo)

    def complete(self, o, text, codec, place=FROM_NOW_ON):
        """The step has ended with this value. `place` is that of its end in the journal."""
        if o in self._declared:
            self._completed.append((place, o, text, codec))
            if place == FROM_NOW_ON:
                self._unkept.add(o)

    def keep(self, o):
        """That is on disk."""
        self._unkept.discard(o)
        if not self._unkept and self._tell_kept is not None:
            self._tell_kept()

    def forget(self, o):
        """It has ended with an error in its place."""
        self._completed = [each for each in self._completed if each[1] != o]
        self.keep(o)

    def leave_out(self):
        """What was done until now is not the run's alone, and stays."""
        self._declared.clear()
        self._completed.clear()
        self._unkept.clear()

    @property
    def are_kept(self):
        """It is known of all that is completed whether it was kept."""
        return not self._unkept

    def when_kept(self, give):
        """Calls `give` once that is so."""
        self._tell_kept = give

    def in_order(self, module):
        """What was completed last comes first."""
        undos = []
        for _, o, text, codec in reversed(sorted(self._completed, key=lambda each: each[0])):
            *same, undo = self._declared[o]
            undos.append(Undo(*same, _reading(undo, o, text, codec, module)))
        return undos


def _reading(undo, o, text, codec, module):
    """What cannot be read is an error of the step that undoes it, as all else that keeps it from that."""
    return lambda step: undo(decode_value(text, codec, module), o)(step)


def _told(names):
    """The first of them, and how many more there are: for people to read."""
    more = len(names) - NAMES_TOLD_MAX
    return names if more <= 0 else [*names[:NAMES_TOLD_MAX], f"… and {more} more"]


async def undo_all(undos, perform):
    """Performs each. After one that fails the others are not begun: they may rely on it. Gives what the
    run's error tells of it."""
    done = []
    for each in undos:
        try:
            await perform(each)
        except (ParkedRun, SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            rest = [other.name for other in undos[len(done) + 1:]]
            failed = {"name": each.name, "error": to_json(error)}
            return {"done": _told(done), "failed": failed, "not_run": _told(rest)}
        done.append(each.name)
    return {"done": _told(done)}
