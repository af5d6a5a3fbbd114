"""ctx.step, ctx.begin_step and ctx.complete_step: options, attempts, waiting between them."""
import asyncio
import functools
import inspect
import math
import random
import time

from .errors import Error, NonRetryableError, RetryAfterError, StepTimeoutError
from .signals import Signal
from .threads import anywhere
from .timers import is_number, milliseconds, whole
from .turns import inside
from .values import parse, stringify

POLICIES = ("retry", "fail", "ask")
GROWTH = {
    "constant": lambda attempt: 1,
    "linear": lambda attempt: attempt,
    "exponential": lambda attempt: 2 ** min(attempt - 1, 50),
}
DELAY_MS = 200
DELAY_MS_MAX = 60_000
ATTEMPTS_MAX = 1000
PROGRESS_BYTES_MAX = 64 << 10


def now_ms():
    return time.time() * 1000


def invalid(message):
    return Error(message, code="invalid_step")


def known(name, given, what, keys):
    for key in given:
        if key not in keys:
            raise invalid(f'step "{name}" has the unknown {what} "{key}"')


class Retries:
    """A number is how often a failed attempt is followed by another; a dict says more."""

    KEYS = ("max_attempts", "delay", "backoff", "max_delay", "jitter")

    def __init__(self, name, given):
        is_count = isinstance(given, int) and not isinstance(given, bool)
        asked = given if isinstance(given, dict) else {"max_attempts": given + 1 if is_count else None}
        known(name, asked, "option of retries", self.KEYS)
        self.attempts_max = asked.get("max_attempts", 1)
        backoff = asked.get("backoff", "exponential")
        self.has_jitter = bool(asked.get("jitter", True))
        is_whole = isinstance(self.attempts_max, int) and not isinstance(self.attempts_max, bool)
        if not is_whole or not 1 <= self.attempts_max <= ATTEMPTS_MAX:
            raise invalid(f'the retries of step "{name}" must be a whole number from 0 on, or '
                          f'{{"max_attempts": …}} from 1 to {ATTEMPTS_MAX}')
        if backoff not in GROWTH:
            raise invalid(f'the backoff of step "{name}" must be one of {", ".join(GROWTH)}, not '
                          f'{backoff!r}')
        self.growth = GROWTH[backoff]
        self.delay = self._time(name, asked, "delay", DELAY_MS)
        self.delay_max = self._time(name, asked, "max_delay", DELAY_MS_MAX)

    @staticmethod
    def _time(name, asked, key, fallback):
        value = asked.get(key)
        return fallback if value is None else milliseconds(value, f'the {key} of step "{name}"')

    def delay_after(self, error, attempt):
        """How long to wait before the next attempt, in ms; None where there is none."""
        if attempt >= self.attempts_max or isinstance(error, NonRetryableError):
            return None
        delay = getattr(error, "delay", None) if isinstance(error, RetryAfterError) else None
        if is_number(delay) and 0 <= delay < math.inf:  # One that came from elsewhere has none.
            return delay
        full = min(self.delay * self.growth(attempt), self.delay_max)
        # Half of it at least: clients that failed together do not come back together.
        return full * (0.5 + random.random() / 2) if self.has_jitter else full


class Timeouts:
    """Of one attempt, or {"attempt": …, "total": …}; None for no limit."""

    def __init__(self, name, given):
        asked = given if isinstance(given, dict) else {"attempt": given}
        known(name, asked, "option of timeout", ("attempt", "total"))
        self.attempt = self._limit(name, asked.get("attempt"))
        self.total = self._limit(name, asked.get("total"))

    @staticmethod
    def _limit(name, value):
        if value is None:
            return None
        ms = milliseconds(value, f'the timeout of step "{name}"')
        if ms > 0:
            return ms
        raise invalid(f'the timeout of step "{name}" must be above 0')


ONE_ATTEMPT = Retries("", 0)
NO_TIMEOUTS = Timeouts("", None)


def check_name(name, call):
    if not isinstance(name, str) or name == "":
        raise invalid(f"{call} needs a name")


def count_needed(function):
    """How many things it must be given. What has a default is its own: `lambda i=i: …`."""
    code = getattr(function, "__code__", None)
    if code is not None and inspect.isfunction(function):
        return code.co_argcount - len(function.__defaults__ or ())
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
               for p in parameters)


class StepHandle:
    """What the function of a step gets."""

    def __init__(self, attempts, attempt):
        self._run, self._attempts = attempts.run, attempts
        self.name, self.ordinal, self.attempt = attempts.name, attempts.ordinal, attempt
        self.signal = Signal()
        self.idempotency_key = attempts.idempotency_key
        self.last_progress = parse(attempts.progress)
        self._is_over = False

    def end(self):
        self._is_over = True

    @anywhere
    def progress(self, value):
        """Says how far it is; on disk once it was waited for."""
        body = stringify(value, f'the progress of step "{self.name}"')
        if len(body) > PROGRESS_BYTES_MAX:
            raise Error(f'the progress of step "{self.name}" takes {len(body)} bytes as JSON, at most '
                        f"{PROGRESS_BYTES_MAX}", code="too_large")
        if self._is_over:
            return self._run.commands.refused(Error(f'attempt {self.attempt} of step "{self.name}" is over', code="step_ended"))
        self._attempts.progress = body
        return self._run.progress(self.ordinal, body, self.attempt)


class GoesOn:
    """What a plain function gave that is to be awaited, once; end() is called after that."""

    def __init__(self, work, end):
        self._work, self._end = work, end

    def __await__(self):
        return self._until_end().__await__()

    async def _until_end(self):
        try:
            return await self._work
        finally:
            self._end()

    def close(self):
        """As of a coroutine: nobody awaits it any more, or ever has."""
        if inspect.iscoroutine(self._work):
            self._work.close()


class Attempts:
    """The attempts of one step. `before` is what the journal holds of it: attempts that failed in
    earlier processes, when the next one is due, when the first one began, the last progress. The
    function gets a handle, and what is `given` beside it, as far as it takes them."""

    def __init__(self, run, step, key_end, function, retries, timeouts, *given):
        self.run, self.name, self.ordinal = run, step.name, step.o
        self.idempotency_key = f"{run.id}-{key_end}"  # The same in every attempt of the run.
        self._phase, self._given = run.phase, given
        self._function, self._retries, self._timeouts = function, retries, timeouts
        self._before = step.before
        self._end = None
        if timeouts.total is not None:
            self._end = step.before.get("started_at", now_ms()) + timeouts.total
        # As text: what one attempt makes of it is not what the next one gets.
        self.progress = stringify(step.before.get("progress"), "the progress")

    def result(self):
        """What the function gives, or an awaitable with close() of it: where that is one itself, and where there
        may be several attempts, a limit of time, a thread, or it is a coroutine function."""
        is_only = self._retries.attempts_max == 1 and self._before.get("retry_at") is None
        has_limit = self._timeouts.attempt is not None or self._end is not None
        if is_only and not has_limit and not self.run.in_threads and not inspect.iscoroutinefunction(self._function):
            return self._at_once(self._before.get("tries", 0) + 1)
        return self._several()

    def _at_once(self, attempt):
        handle = self._begin(attempt)
        goes_on = False
        try:
            value = self._function(*self._arguments(handle))
            goes_on = inspect.isawaitable(value)
            return GoesOn(value, lambda: self._end_with(handle)) if goes_on else value
        finally:
            if not goes_on:
                self._end_with(handle)

    async def _several(self):
        due = self._before.get("retry_at")
        wait = 0 if due is None else due - now_ms()
        attempt = self._before.get("tries", 0) + 1
        while True:
            if wait > 0:
                await asyncio.sleep(wait / 1000)
            if self._end is not None and now_ms() >= self._end:
                raise self._too_late_in_all()  # A crash ago.
            try:
                return await self._once(attempt)
            except asyncio.CancelledError:
                raise  # Nobody waits any more, or the step has cancelled itself.
            except Exception as error:
                if self._phase.is_over or self.run.parked:
                    raise
                wait = self._retries.delay_after(error, attempt)
                if wait is None or (self._end is not None and now_ms() + wait >= self._end):
                    raise
                wait, due = whole(wait), now_ms() + wait
                await self.run.attempt_failed(self.ordinal, attempt, error, wait)  # A crash adds no attempt.
                wait = due - now_ms()
            attempt += 1

    def _begin(self, attempt):
        inside.set(inside.get()._replace(attempt=attempt))  # What it begins inherits it.
        handle = StepHandle(self, attempt)
        self._phase.signal.on_abort(handle.signal.abort)
        return handle

    def _end_with(self, handle):
        handle.end()
        self._phase.signal.off_abort(handle.signal.abort)

    async def _once(self, attempt):
        handle = self._begin(attempt)
        try:
            left = None if self._end is None else max(1, self._end - now_ms())
            limits = [limit for limit in (self._timeouts.attempt, left) if limit is not None]
            if not limits:
                return await self._call(handle)
            return await self._within(min(limits), handle, min(limits) == left)
        finally:
            self._end_with(handle)

    async def _within(self, limit, handle, is_total):
        """It is not waited for after the limit, whatever it does then."""
        work = asyncio.ensure_future(self._call(handle))
        work.add_done_callback(lambda done: done.cancelled() or done.exception())  # None is told late.
        try:
            await asyncio.wait({work}, timeout=limit / 1000)
            if work.done():
                return work.result()
        except asyncio.CancelledError:
            work.cancel()
            raise
        late = self._too_late_in_all() if is_total else StepTimeoutError(
            f'step "{self.name}" took longer than {whole(limit)} ms')
        handle.signal.abort(late)
        work.cancel()
        raise late

    def _too_late_in_all(self):
        return StepTimeoutError(
            f'step "{self.name}" took longer than {whole(self._timeouts.total)} ms in all')

    def _arguments(self, handle):
        return (handle, *self._given)[:count_needed(self._function)]

    async def _call(self, handle):
        arguments = self._arguments(handle)
        if self.run.in_threads and not inspect.iscoroutinefunction(self._function):
            value = await self.run.threads.call(self._function, *arguments)
        else:
            value = self._function(*arguments)
        return await value if inspect.isawaitable(value) else value


class BegunStep:
    """A step that begins and ends in different places of the code."""

    def __init__(self, run, name, ordinal):
        self.name, self.ordinal = name, ordinal
        self._run = run
        self.done, self.value = False, None

    def finish(self, ok, value):
        if not ok:
            raise value
        self.done, self.value = True, value
        return self


class Steps:
    def __init__(self, run):
        self._run = run

    @anywhere
    def step(self, name, function=None, *, retries=0, timeout=None, on_interrupt="retry", rollback=None,
             sensitive=None, **unknown):
        """A durable step: what function(s) gives is on disk before you have it. rollback(s, value) undoes
        it where the run fails. What one that is sensitive="output" gives is shown to nobody."""
        check_name(name, "ctx.step(name, function)")
        if not callable(function):
            raise invalid(f'step "{name}" needs a function: ctx.step(name, function)')
        if unknown:
            known(name, unknown, "option", ())
        if on_interrupt not in POLICIES:
            raise invalid(f'on_interrupt of step "{name}" must be one of {", ".join(POLICIES)}, not '
                          f"{on_interrupt!r}")
        if rollback is not None and not callable(rollback):
            raise invalid(f'the rollback of step "{name}" must be a function of (s, value)')
        if sensitive not in (None, "output"):
            raise invalid(f'sensitive of step "{name}" must be "output", not {sensitive!r}')
        retries = ONE_ATTEMPT if retries == 0 else Retries(name, retries)
        timeouts = NO_TIMEOUTS if timeout is None else Timeouts(name, timeout)
        run = self._run

        def body(step):
            return Attempts(run, step, step.o, function, retries, timeouts).result()

        def undo(value, undone):
            # Its own ordinal may have been the key of a step that was executed, and never recorded.
            key_end = f"{undone}-rollback"
            return lambda step: Attempts(run, step, key_end, rollback, retries, timeouts, value).result()

        return run.step("step", lambda: run.names.take(name), "", body, on_interrupt,
                        undo=None if rollback is None else undo, sensitive=sensitive is not None)

    @anywhere
    def begin_step(self, name):
        """Begins a step that complete_step ends: `step.done`, `step.value`."""
        check_name(name, "ctx.begin_step(name)")
        return self._run.begin_step(lambda: self._run.names.take(name), functools.partial(BegunStep, self._run))

    @anywhere
    def complete_step(self, step, value=None):
        if not isinstance(step, BegunStep) or step._run is not self._run:
            raise invalid("ctx.complete_step(step, value) needs what ctx.begin_step gave in this run")
        return self._run.complete_step(step, value)
