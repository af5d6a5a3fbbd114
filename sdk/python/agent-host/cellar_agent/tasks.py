"""Tasks that have the same order in a set on every replay. asyncio keeps what it waits for in sets, and
code goes through `done` of asyncio.wait: by default in the order of addresses."""
import asyncio
import functools
import weakref

from .commands import is_asyncios, unreplayed
from .turns import inside, owner


def _held_by(callback):
    """What a callback of asyncio's goes on with: what it is bound to, was given or refers to."""
    if isinstance(callback, functools.partial):
        yield from callback.args
        callback = callback.func
    yield getattr(callback, "__self__", None)
    for cell in getattr(callback, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # It holds nothing yet.
            pass


def _waiters(future, seen):
    """The tasks that wait for it: themselves, or with what asyncio has for that (gather, wait, shield, wait_for,
    TaskGroup), which tells nobody but by its callbacks."""
    for callback, _ in future._callbacks or ():
        for held in _held_by(callback) if is_asyncios(callback) else ():
            if isinstance(held, asyncio.TaskGroup):
                held = held._parent_task
            if not asyncio.isfuture(held) or held in seen:
                continue
            seen.append(held)
            if isinstance(held, asyncio.Task):
                yield held
            else:
                yield from _waiters(held, seen)


class Task(asyncio.Task):
    """Its hash is its number in its run, which knows it. What a step makes has one of the process: it is not
    made on replay."""

    uses_ctx = False  # It executes a method or a step, or has waited for what ctx gives.

    def __new__(cls, *arguments, context=None, **options):
        task = super().__new__(cls)
        get = (lambda variable: variable.get()) if context is None else context.get
        tasks = getattr(get(owner), "tasks", None)
        task.number = next(unreplayed) if tasks is None or get(inside) is not None else tasks.count()
        if tasks is not None:
            tasks.add(task)
        return task

    def __hash__(self):
        return self.number


def _number_of_future():
    tasks = getattr(owner.get(), "tasks", None)
    return next(unreplayed) if tasks is None or inside.get() is not None else tasks.count_future()


class Future(asyncio.Future):
    """As a Task: what asyncio.shield and wrap_future give is put into sets, too."""

    def __init__(self, **options):
        super().__init__(**options)
        self.number = _number_of_future()

    def __hash__(self):
        return self.number


class Gathering(asyncio.tasks._GatheringFuture):
    """The same of what asyncio.gather gives."""

    def __init__(self, children, **options):
        super().__init__(children, **options)
        self.number = _number_of_future()

    def __hash__(self):
        return self.number


class Tasks:
    """Those of one run."""

    def __init__(self):
        self._all = weakref.WeakSet()
        self._last = 0  # the number of the newest one
        self._last_future = 0

    def count(self):
        self._last += 1
        return self._last

    def count_future(self):
        """Apart from the tasks, whose numbers depend on nothing else."""
        self._last_future += 1
        return self._last_future

    def add(self, task):
        self._all.add(task)

    def cancel(self, but=None):
        """Those that use ctx, and those that wait for these, unwind where they are: nothing that they wait for has
        come. Others may serve more runs than this one."""
        found = [task for task in self._all if task.uses_ctx]
        known = set(found)
        for task in found:  # Which grows meanwhile.
            for waiter in _waiters(task, [task]):
                if waiter in self._all and waiter not in known:
                    known.add(waiter)
                    found.append(waiter)
        for task in found:
            if task is not but:
                task.cancel()


async def _await(future):
    return await future


def make_task(loop, work, **options):
    """For Loop.set_task_factory. Takes what ctx gives, too, which is no coroutine."""
    return Task(_await(work) if asyncio.isfuture(work) else work, loop=loop, **options)


def begin_in_order():
    """Makes asyncio.as_completed begin coroutines in the order in which it is given them, and what asyncio.gather
    gives keep its order in a set."""
    asyncio.tasks._GatheringFuture = Gathering
    plain = asyncio.as_completed

    @functools.wraps(plain)
    def as_completed(fs, **options):
        return plain([asyncio.ensure_future(each) for each in fs], **options)

    asyncio.as_completed = asyncio.tasks.as_completed = as_completed
