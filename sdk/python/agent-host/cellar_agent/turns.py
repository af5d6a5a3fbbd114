"""The loop, and turns on it: what one completion sets going in a run is done before the next is given.

asyncio has no such turns: a future that is set wakes its task in the next pass of the loop, which sets
more futures, and so on. So this looks whether anything of the run is ready to go on. It is the one
place that knows the insides of asyncio's loop."""
import asyncio
import collections
import concurrent.futures
import contextvars
import math
import selectors
import threading

# What the code at hand belongs to: a run, or HOST. Tasks, timers and threads inherit it.
owner = contextvars.ContextVar("cellar_owner", default=None)
# The phase of a run whose step the code is in: what it does there is part of the step, and not journaled.
inside = contextvars.ContextVar("cellar_inside", default=None)
HOST = "the host itself"

PASSES_MAX = 10_000
PASSES_MIN = 20
THREADS_MAX = 10_000  # Each run of a plain function has one.
THREAD_PREFIX = "cellar-run"

_home = threading.get_ident()


def is_on_loop():
    """Whether this is the loop's thread; others may not touch what is the loop's."""
    return threading.get_ident() == _home


def _context_of(owned_by, in_step=None):
    context = contextvars.copy_context()
    context.run(owner.set, owned_by)
    context.run(inside.set, in_step)
    return context


HOST_CONTEXT = _context_of(HOST)


def context_for(run, in_step=None):
    """The context for code of this run, or of a step of it."""
    return _context_of(run, in_step)


class CountingExecutor(concurrent.futures.ThreadPoolExecutor):
    """Knows what is under way in its threads."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.under_way = set()

    def submit(self, *arguments, **options):
        future = super().submit(*arguments, **options)
        self.under_way.add(future)
        future.add_done_callback(self.under_way.discard)
        return future


class Loop(asyncio.SelectorEventLoop):
    """The loop of the process, made in its main thread and in HOST_CONTEXT."""

    def __init__(self):
        self._polled = selectors.DefaultSelector()
        super().__init__(self._polled)
        self.run_threads = concurrent.futures.ThreadPoolExecutor(THREADS_MAX, THREAD_PREFIX)
        self.own_threads = CountingExecutor(thread_name_prefix=f"{THREAD_PREFIX}-own")
        self.set_default_executor(self.own_threads)
        self.make_future = asyncio.Future

    def create_future(self):
        return self.make_future(loop=self)

    def is_ready(self, run):
        """Whether code of the run goes on in this pass of the loop, or in the next. What is inside its
        steps does not count: it tells by completions."""
        if not self._ready:
            return False
        contexts = (handle._context for handle in tuple(self._ready))  # Other threads append to it.
        return any(context.get(owner) is run and context.get(inside) is None for context in contexts)

    def is_waiting(self, run):
        """Whether code of the run, or of nobody known, waits for something that is not the daemon's:
        a time, a socket, a thread, a process."""
        if any(context.get(owner) in (run, None) for context in self._waiting_contexts()):
            return True
        return bool(self.own_threads.under_way) or any(
            thread is not threading.main_thread() and not thread.name.startswith(THREAD_PREFIX)
            for thread in threading.enumerate())

    def own_time(self, run):
        """Until when code of the run, outside of its steps, waits for times of its own, in the loop's time:
        infinite for a socket, now where one is just over; None for nothing."""
        def is_own(handle):
            return handle._context.get(owner) is run and handle._context.get(inside) is None
        ends = [handle.when() for handle in self._timers() if is_own(handle)]
        ends += [math.inf for handle in self._pollers() if is_own(handle)]
        ends += [self.time()] if self.is_ready(run) else []
        return max(ends, default=None)

    def _timers(self):
        return [handle for handle in self._scheduled if not handle.cancelled()]

    def _pollers(self):
        return [handle for key in self._polled.get_map().values() for handle in key.data if handle is not None]

    def _waiting_contexts(self):
        return [handle._context for handle in [*self._timers(), *self._pollers()]]

    def call_as_host(self, callback, *arguments):
        self.call_soon(callback, *arguments, context=HOST_CONTEXT)


class Turns:
    """The turns of one run. An action is called when nothing of the run is ready to go on any more
    since the one before; `more()` gives one when none was pushed, or None.

    A run that never comes to rest (it polls with asyncio.sleep(0)) does not keep its own completions
    for ever: after so many passes of the loop the next one is given anyway, and from then on sooner."""

    def __init__(self, loop, run, more):
        self._loop, self._run, self._more = loop, run, more
        self._actions = collections.deque()
        self._passes = 0
        self._passes_max = PASSES_MAX
        self.is_going = False

    def push(self, action):
        """From a callback of the host's: at once, where nothing else is to be done before."""
        if self.is_going or not self._is_at_rest():
            self._actions.append(action)
            self.go_on()
            return
        try:
            action()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # As the loop does with what its callbacks raise.
            self._loop.call_exception_handler({"message": "what the daemon said failed", "exception": error})

    def go_on(self):
        """There may be something to do."""
        if not self.is_going:
            self.is_going = True
            self._loop.call_as_host(self._turn)

    def _is_at_rest(self):
        if not self._loop.is_ready(self._run):
            self._passes = 0
            return True
        self._passes += 1
        if self._passes < self._passes_max:
            return False
        self._passes = 0
        self._passes_max = max(PASSES_MIN, self._passes_max // 10)
        return True

    def _turn(self):
        if self._is_at_rest():
            action = self._actions.popleft() if self._actions else self._more()
            if action is None:
                self.is_going = False
                return
            try:
                action()
            finally:
                self._loop.call_as_host(self._turn)
        else:
            self._loop.call_as_host(self._turn)
