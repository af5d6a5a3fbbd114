"""Times as people write them."""
import datetime
import math
import re

from .errors import Error

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
MS_MAX = 8.64e15  # The last moment of JavaScript's calendar, and more than any wait.
TEXT = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h|d)")


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def milliseconds(value, what):
    """1500, "1500ms", "1.5s", "10m", "1h", "7d" or a timedelta, in milliseconds."""
    if isinstance(value, datetime.timedelta):
        value = value / datetime.timedelta(milliseconds=1)
    if is_number(value) and 0 <= value < math.inf:
        return min(value, MS_MAX)
    parts = TEXT.fullmatch(value) if isinstance(value, str) else None
    if parts is not None:
        return min(float(parts[1]) * UNITS[parts[2]], MS_MAX)
    shown = f'"{value}"' if isinstance(value, str) else repr(value)
    raise Error(f'{what} must be milliseconds or a text like "10s" or "5m", not {shown}',
                code="invalid_time")


def whole(ms):
    """Rounded, as a frame says it."""
    return math.floor(ms + 0.5)


def unix_ms(moment):
    """A datetime, in milliseconds since 1970; nan for one that has no such time."""
    try:
        return moment.timestamp() * 1000
    except (ValueError, OverflowError):  # A naive one at either end of the calendar.
        return math.nan
