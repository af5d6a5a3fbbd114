"""What a thread asks of the loop. On the loop's thread a call of ctx gives an awaitable; in any other
thread (that of a plain function, or of asyncio.to_thread in a step) it blocks and gives the value."""
import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import threading

from . import turns
from .errors import Error, ParkedRun

REFUSALS_MAX = 100


def anywhere(method):
    """A method of an object with `_run` that may be called in any thread."""
    @functools.wraps(method)
    def call(self, *arguments, **options):
        if turns.is_on_loop():
            return method(self, *arguments, **options)
        return self._run.threads.ask(functools.partial(method, self, *arguments, **options))
    return call


def _settle(answer, given):
    """Gives a thread what a future holds. It may have been told otherwise meanwhile."""
    if answer.done():
        return
    if given.cancelled():
        answer.set_exception(asyncio.CancelledError())
    elif given.exception() is not None:
        answer.set_exception(given.exception())
    else:
        answer.set_result(given.result())


def plainly(function, *arguments):
    """What function(*arguments) gives or raises, as a future can hold it."""
    try:
        return function(*arguments)
    except StopIteration as error:  # No future takes it: who waits for it would wait for ever.
        raise RuntimeError("the function raised StopIteration") from error


class Threads:
    """The threads of one run."""

    def __init__(self, loop, run):
        self._loop, self._run = loop, run
        self._asking = set()  # what threads wait for
        self._refusals = 0

    def ask(self, begin):
        """Calls begin() on the loop and waits for what it gives. In another thread than the loop's."""
        context = contextvars.copy_context()
        if context.get(turns.owner) is not self._run:
            raise Error("ctx is used in a thread that does not know its run: start it with "
                        "asyncio.to_thread, or with contextvars.copy_context().run", code="lost_thread")
        if self._run.parked:
            self._refuse()
        answer = concurrent.futures.Future()
        self._loop.call_soon_threadsafe(self._begin, begin, answer, context=context)
        return answer.result()

    def _refuse(self):
        """Unwinds the thread; one that catches everything and tries again stands still at last."""
        self._refusals += 1
        if self._refusals > REFUSALS_MAX:
            threading.Event().wait()
        raise ParkedRun()

    def _begin(self, begin, answer):
        self._asking.add(answer)
        answer.add_done_callback(self._asking.discard)
        try:
            given = begin()
        except BaseException as error:
            answer.done() or answer.set_exception(error)
            return
        if answer.done():
            pass  # It was let go meanwhile.
        elif self._run.parked:
            answer.set_exception(ParkedRun())
        elif inspect.isawaitable(given):
            asyncio.ensure_future(given).add_done_callback(functools.partial(_settle, answer))
        else:
            answer.set_result(given)

    def let_go(self):
        """The run is over in this process: its threads unwind."""
        for answer in list(self._asking):
            answer.set_exception(ParkedRun())

    def is_asking(self):
        return bool(self._asking)

    def call(self, function, *arguments):
        """Awaits function(*arguments) in a thread, and what that gives where it gives an awaitable."""
        context = contextvars.copy_context()
        work = functools.partial(context.run, plainly, function, *arguments)
        return self._loop.run_in_executor(self._loop.run_threads, work)
