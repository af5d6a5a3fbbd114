"""Tasks that have the same order in a set on every replay. asyncio keeps what it waits for in sets, and
code goes through `done` of asyncio.wait: by default in the order of addresses."""
import asyncio
import functools

from .commands import unreplayed
from .turns import inside, owner


class Task(asyncio.Task):
    """Its hash is its number in its run. What a step makes has one of the process: it is not made on
    replay."""

    def __new__(cls, *arguments, context=None, **options):
        task = super().__new__(cls)
        get = (lambda variable: variable.get()) if context is None else context.get
        count = getattr(get(owner), "count_task", None) if get(inside) is None else None
        task.number = next(unreplayed) if count is None else count()
        return task

    def __hash__(self):
        return self.number


async def _await(future):
    return await future


def make_task(loop, work, **options):
    """For Loop.set_task_factory. Takes what ctx gives, too, which is no coroutine."""
    return Task(_await(work) if asyncio.isfuture(work) else work, loop=loop, **options)


def begin_in_order():
    """Makes asyncio.as_completed begin coroutines in the order in which it is given them."""
    plain = asyncio.as_completed

    @functools.wraps(plain)
    def as_completed(fs, **options):
        return plain([asyncio.ensure_future(each) for each in fs], **options)

    asyncio.as_completed = asyncio.tasks.as_completed = as_completed
