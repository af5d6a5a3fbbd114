"""What steps execute in this process, and how it is recorded."""
import inspect

from .codec import encode_value
from .commands import InStep
from .errors import from_json, mark_sensitive, to_json
from .threads import plainly
from .turns import context_for, inside
from .values import parse, stringify


def _raise(error):
    raise error


class Bodies:
    """Those of a run's steps."""

    def __init__(self, run):
        self._run = run
        self._going = set()  # tasks

    @property
    def are_going(self):
        return bool(self._going)

    def cancel(self):
        for task in list(self._going):
            task.cancel()

    def perform(self, k, step, body, settle, sensitive):
        """Calls body(step), once that may begin. What gives its value at once is not made to wait; an awaitable
        that it gives has close(), as coroutines have."""
        run, phase = self._run, self._run.phase
        context = context_for(run, in_step=InStep(phase, sensitive, step.o))
        if step.waits:  # It may be heard of before the task has begun.
            began = run.loop.create_future()
            run.waiting.begins[step.o] = lambda error: self._begun(began, error)
            work = self._when_begun(began, step, body)
        else:
            try:
                work = context.run(plainly, body, step)
            except (SystemExit, KeyboardInterrupt) as error:  # It ends the process, whatever its caller catches.
                self._leaves(error, sensitive)
                run.loop.call_as_host(_raise, error)
                return
            except BaseException as error:
                self._end(k, step, phase, settle, error=error)
                return
            if not inspect.isawaitable(work):
                self._end(k, step, phase, settle, work)
                return
        task = run.loop.create_task(self._finish(k, step, phase, work, settle), context=context)
        task.uses_ctx = True
        self._going.add(task)

        def ended(_):
            self._going.discard(task)
            work.close()  # One that was cancelled before it began has not awaited it.
        task.add_done_callback(ended)

    def _begun(self, began, error):
        if began.done():
            return
        if error is None:
            began.set_result(None)
        else:
            began.set_exception(from_json(parse(error), self._run.module))

    @staticmethod
    def _leaves(error, sensitive):
        if sensitive:
            mark_sensitive(error)

    @staticmethod
    async def _when_begun(began, step, body):
        """That it begins is on disk before it does: it must not be done twice."""
        await began
        value = body(step)
        return await value if inspect.isawaitable(value) else value

    async def _finish(self, k, step, phase, work, settle):
        try:
            value = await work
        except (SystemExit, KeyboardInterrupt) as error:
            self._leaves(error, inside.get().is_sensitive)
            raise
        except BaseException as error:
            self._end(k, step, phase, settle, error=error)
        else:
            self._end(k, step, phase, settle, value)

    def _end(self, k, step, phase, settle, value=None, error=None):
        """It has given this value, or raised this error."""
        run, codec = self._run, "json"
        if error is None:
            try:
                text, codec = encode_value(value, f'the value of {k} "{step.name}"')
            except BaseException as refused:
                error = refused
        if error is not None:
            text = stringify(to_json(error), f'the error of {k} "{step.name}"')
        if run.parked or phase.is_over:
            return
        if error is None:  # Its end is in the journal before any rollback's.
            run.rollbacks.complete(step.o, text, codec)
        run.record(step.o, error is None, text, codec, settle)
