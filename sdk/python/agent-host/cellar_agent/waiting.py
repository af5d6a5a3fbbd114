"""What a run waits for in this process: what the daemon is to say."""
import inspect
import traceback

from .turns import context_for
from .values import parse


def _part_key(header):
    """Of a command of the daemon's: by its ordinal, inside a step by its tag."""
    return (header["o"], header["x"] if header["o"] == 0 else 0)


class Waiting:
    def __init__(self, run):
        self._run = run
        self.acks = {}  # ordinal → settles a step
        self.begins = {}  # ordinal → lets a step begin
        self.results = {}  # ordinal → settles a command of the daemon's
        self.answers = {}  # tag → the same for one inside a step
        self._parts = {}  # of a command → is told pieces of its result

    @property
    def is_for_daemon(self):
        """Nothing is under way that the daemon could not give to another process."""
        return not (self.acks or self.begins or self.answers)

    def clear(self):
        """What has waited never settles."""
        self._run.replay.stop()
        for waiting in (self.acks, self.begins, self.results, self.answers, self._parts):
            waiting.clear()

    def give(self, waiting, key, *outcome):
        """Something has ended: behind all that ended before it."""
        def give():
            settle = waiting.pop(key, None)
            if settle is not None:
                settle(*outcome)
        self._run.replay.when_caught_up(give)

    def give_result(self, header, body):
        """The result of the command with this ordinal; inside a step, of the one with this tag."""
        o = header["o"]
        waiting, key = (self.answers, header["x"]) if o == 0 else (self.results, o)
        self._run.turns.push(lambda: self._parts.pop(_part_key(header), None))
        self._run.turns.push(lambda: self.give(waiting, key, header["ok"], body))

    def for_parts(self, command, tell, here):
        """tell(text) is called with each piece of the result of that command, as code that is `here`."""
        self._parts[_part_key(command)] = (tell, here)

    def give_part(self, header, body):
        """A piece of a result that is on its way. What is done with it is part of the command, as inside a step:
        nothing of it is recorded, and a replay tells none. So an error there changes nothing."""
        self._run.turns.push(lambda: self._tell_part(_part_key(header), parse(body)))

    def _tell_part(self, key, text):
        tell, here = self._parts.get(key, (None, None))
        if tell is not None:
            context = context_for(self._run, in_step=here)
            self._run.loop.create_task(self._call_part(tell, text), context=context)

    @staticmethod
    async def _call_part(tell, text):
        try:
            given = tell(text)
            if inspect.isawaitable(given):
                await given
        except Exception:
            traceback.print_exc()
