"""What a value that cannot be written down is, and what to write in its place."""
import asyncio
import dataclasses
import datetime
import enum
import inspect

AS_TEXT = ("decimal", "fractions", "ipaddress", "pathlib", "uuid")  # Modules whose values str() tells whole.


def is_generator(value):
    return inspect.isgenerator(value) or inspect.isasyncgen(value)


def kind_of(value):
    """(what it is, what would be right or None)."""
    if asyncio.isfuture(value) or inspect.isawaitable(value):
        called = getattr(value, "called", None)
        shown = f'"{called}" of ctx' if called else f"a {type(value).__name__}"
        return f"{shown} that was not awaited", "await it"
    if is_generator(value):
        return "a generator", "go through it, and keep what it gives"
    name = type(value).__name__
    return f"{'an' if name[:1] in 'AEIOaeio' else 'a'} {name}", _remedy_for(value)


def _remedy_for(value):
    if isinstance(value, enum.Enum):
        return "use its .value"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return "use dataclasses.asdict(…)"
    if isinstance(value, (datetime.date, datetime.time)):
        return "use .isoformat()"
    if isinstance(value, datetime.timedelta):
        return "use .total_seconds()"
    if any(base.__module__ in AS_TEXT for base in type(value).__mro__):
        return "use str(…)"
    return None


def place_of(path):
    return "".join(f"[{place!r}]" for place in path)


def refusal(what, kind, path, remedy=None):
    """As a sentence, of `what` that holds it there."""
    where = place_of(path)
    return f"{what} holds {kind}{' at ' + where if where else ''}, which cannot be written down" + \
        (f": {remedy}" if remedy else "")


def _is_json(value):
    return value is None or isinstance(value, (str, int, float, dict, list, tuple))


def not_json(value, path=(), above=()):
    """The first thing in it that JSON has no way for, and the path to it; None where there is none."""
    if not _is_json(value):
        return value, path
    if not isinstance(value, (dict, list, tuple)) or id(value) in above:
        return None
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for place, member in members:
        found = not_json(member, (*path, place), (*above, id(value)))
        if found is not None:
            return found
    return None
