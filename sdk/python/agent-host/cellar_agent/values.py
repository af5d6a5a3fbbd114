"""What crosses to the daemon: JSON texts, the names of commands, and fingerprints of arguments."""
import hashlib
import json
import re

from .errors import Error, NonSerializableError
from .kinds import kind_of, not_json, place_of

BODY_BYTES_MAX = 256 << 20
DEPTH_MAX = 60  # The daemon reads 64 levels, and adds some of its own.
NAME_LENGTH_MAX = 4096  # A path is not longer.
FINGERPRINT_DIGITS = 16
INTEGER_MAX = 2 ** 64 - 1  # What the daemon, and who reads it from there, keeps exactly.
INTEGER_MIN = -(2 ** 63)
NOTHING = object()  # Nothing was given, where None is something.
LONG_NUMBER = re.compile(r"\d{19}")

_dump = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


def parse(body):
    """What JSON bytes say."""
    return _decode(str(body, "utf-8"))


def to_bytes(text):
    """UTF-8. Halves of surrogate pairs, as texts cut elsewhere have them, become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def to_text(value, what):
    """The value as JSON bytes, at any depth, for what only this side reads. `what` names it in errors."""
    try:
        text = _dump(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise NonSerializableError(f"{what} is not JSON: {_why(value, error)}") from None
    if LONG_NUMBER.search(text) and _has_large_integer(value):
        raise NonSerializableError(f"{what} is not JSON: it holds an integer of more than 64 bits")
    body = to_bytes(text)
    check_size(body, what)
    return body


def _why(value, error):
    """What of the value JSON has no way for, and what would be right."""
    try:
        found = not_json(value) if isinstance(error, TypeError) else None
    except RecursionError:
        found = None
    if found is None:
        return error
    (kind, remedy), where = kind_of(found[0]), place_of(found[1])
    is_or_holds = f"it holds {kind} at {where}" if where else f"it is {kind}"
    return f"{is_or_holds}: {remedy}" if remedy else is_or_holds


def stringify(value, what):
    """The value as JSON bytes that the daemon reads."""
    body = to_text(value, what)
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX and _is_too_deep(value):
        raise NonSerializableError(f"{what} is nested more than {DEPTH_MAX} levels deep")
    return body


def check_size(body, what):
    if len(body) > BODY_BYTES_MAX:
        raise Error(f"{what} takes {len(body)} bytes as JSON, at most {BODY_BYTES_MAX}",
                    code="too_large")


def _levels(value):
    """The containers of each level of nesting: those that hold the ones of the next."""
    level = [value] if isinstance(value, (dict, list, tuple)) else []
    while level:
        yield level
        level = [child for container in level
                 for child in (container.values() if isinstance(container, dict) else container)
                 if isinstance(child, (dict, list, tuple))]


def _is_too_deep(value):
    return any(depth > DEPTH_MAX for depth, _ in enumerate(_levels(value), 1))


def _has_large_integer(value):
    def is_large(child):
        return isinstance(child, int) and not INTEGER_MIN <= child <= INTEGER_MAX

    return is_large(value) or any(
        is_large(child) for level in _levels(value) for container in level
        for child in (container.values() if isinstance(container, dict) else container))


def name_of(value, length_max=NAME_LENGTH_MAX):
    """A name as the journal keeps it: whole characters, and short enough for a header."""
    name = value if isinstance(value, str) else str(value)
    if name.isascii() and len(name) <= length_max:
        return name
    return to_bytes(name[:length_max]).decode()


def fingerprint(body):
    return hashlib.sha256(body).hexdigest()[:FINGERPRINT_DIGITS]
