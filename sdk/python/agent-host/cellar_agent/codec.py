"""Values of steps as text, so that a replay gives what was given live: JSON where that is enough
(codec "json"), else JSON in which {"$": type, "v": …} stands for what JSON has not ("typed").

The table is that of docs/internals/agent-protocol.md; what it means in Python:
bytes, bytearray, memoryview ↔ Uint8Array · aware datetime ↔ Date · int beyond 2^53 ↔ bigint ·
nan, inf, -0.0 ↔ number · set, frozenset ↔ Set · dict with other keys than texts ↔ Map ·
re.Pattern ↔ RegExp · exception ↔ Error."""
import base64
import datetime
import json
import math
import re
import sys

from .errors import Error, NonSerializableError, from_json, to_json
from .kinds import kind_of, refusal
from .values import BODY_BYTES_MAX, check_size, parse, to_bytes, to_text

SAFE_INTEGER = 2 ** 53 - 1
DIGITS_MAX = 600  # Below the limit that any setting of Python can have for texts of integers (640).
HEX_BITS_MIN = 1990  # Below as many decimal digits.
BYTES = (bytes, bytearray, memoryview)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MILLISECOND = datetime.timedelta(milliseconds=1)
FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


def _base64(value):
    return base64.b64encode(bytes(value)).decode()


# Bytes are written when all is known to be small enough: before that it would take the memory of the process.
_dump = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_base64).encode


def needs_types(value):
    """Whether JSON would give `value` back as something else, or cannot hold it."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return False
    if kind is int:
        return not -SAFE_INTEGER <= value <= SAFE_INTEGER
    if kind is float:
        return not math.isfinite(value) or (value == 0 and math.copysign(1, value) < 0)
    if kind is list or kind is tuple:
        return any(map(needs_types, value))
    if isinstance(value, dict):
        return any(not isinstance(key, str) or key == "$" for key in value) or \
            any(map(needs_types, value.values()))
    return True


def tagged(kind, v):
    return {"$": kind, "v": v}


def _digits(value):
    """Decimal where Python writes that; of more digits hexadecimal, which takes no limit and little time."""
    return str(value) if value.bit_length() < HEX_BITS_MIN else f"{value:#x}"


def _integer(text):
    """What _digits or JavaScript has written. Python reads so many decimal digits at once, and no more."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    return sign * (int(digits, 16) if digits.startswith("0x") else _natural(digits))


def _natural(digits):
    if len(digits) <= DIGITS_MAX:
        return int(digits)
    low = len(digits) // 2
    return _natural(digits[:-low]) * 10 ** low + _natural(digits[-low:])


class Encoder:
    def __init__(self, what):
        self._what = what
        self._above = set()  # the containers that hold the value at hand, by id
        self._path = []
        self._base64_length = 0  # of all bytes

    def text(self, value):
        encoded = self.value(value)
        if self._base64_length > BODY_BYTES_MAX:
            raise Error(f"{self._what} takes more than {self._base64_length} bytes as JSON, at most "
                        f"{BODY_BYTES_MAX}: its bytes are written as base64", code="too_large")
        return _dump(encoded)

    def value(self, value):
        if value is None or isinstance(value, (str, bool)):
            return value
        if isinstance(value, int):
            value = int(value)
            return value if -SAFE_INTEGER <= value <= SAFE_INTEGER else tagged("bigint", _digits(value))
        if isinstance(value, float):
            return self._number(value)
        if isinstance(value, BYTES):
            return tagged("Uint8Array", self._bytes(value))
        if isinstance(value, datetime.datetime):
            return tagged("Date", self._date(value))
        if isinstance(value, re.Pattern):
            return tagged("RegExp", self._pattern(value))
        if isinstance(value, BaseException):
            return tagged("Error", to_json(value, sys.maxsize))
        return self._container(value)

    def _bytes(self, value):
        size = value.nbytes if isinstance(value, memoryview) else len(value)
        self._base64_length += 4 * -(-size // 3)
        return value

    def _number(self, value):
        if math.isnan(value):
            return tagged("number", "NaN")
        if math.isinf(value):
            return tagged("number", "Infinity" if value > 0 else "-Infinity")
        if value == 0 and math.copysign(1, value) < 0:
            return tagged("number", "-0")
        return float(value)

    def _date(self, value):
        if value.tzinfo is None:
            self._refuse("a datetime without a time zone", "use datetime.now(timezone.utc)")
        ms = (value - EPOCH) / MILLISECOND
        try:
            EPOCH + ms * MILLISECOND
        except OverflowError:
            self._refuse("a datetime that lies outside of the years 1 to 9999 of UTC")
        return int(ms) if ms.is_integer() else ms

    def _pattern(self, value):
        if not isinstance(value.pattern, str):
            self._refuse("a pattern of bytes")
        pattern = [value.pattern, "".join(flag for flag, bit in FLAGS.items() if value.flags & bit)]
        if _regexp(pattern).flags != value.flags:
            self._refuse("a pattern with other flags than IGNORECASE, MULTILINE and DOTALL", "write them into it, as (?x)")
        return pattern

    def _container(self, value):
        if id(value) in self._above:
            raise NonSerializableError(
                f"{self._what} holds itself: a circle cannot be written down")
        self._above.add(id(value))
        try:
            return self._members(value)
        finally:
            self._above.discard(id(value))

    def _members(self, value):
        if isinstance(value, (list, tuple)):
            return self._all(value)
        if isinstance(value, (set, frozenset)):
            return tagged("Set", self._all(value))
        if not isinstance(value, dict):
            self._refuse(*kind_of(value))
        if not all(isinstance(key, str) for key in value):
            return tagged("Map", [[self._at("a key", key), self._at(key, member)]
                                  for key, member in value.items()])
        encoded = {key: self._at(key, member) for key, member in value.items()}
        return tagged("object", encoded) if "$" in encoded else encoded

    def _all(self, values):
        return [self._at(number, value) for number, value in enumerate(values)]

    def _at(self, place, value):
        self._path.append(place)
        encoded = self.value(value)
        self._path.pop()
        return encoded

    def _refuse(self, kind, remedy=None):
        raise NonSerializableError(refusal(self._what, kind, self._path, remedy))


def hashable(value):
    """As a key, or a member of a set: what was a tuple is one again."""
    if isinstance(value, list):
        return tuple(hashable(member) for member in value)
    return frozenset(value) if isinstance(value, set) else value


def _regexp(v):
    source, flags = v
    return re.compile(source, sum(FLAGS.get(flag, 0) for flag in flags))


class Decoder:
    def __init__(self, module):
        self._module = module
        self._kinds = {
            "number": lambda v: -0.0 if v == "-0" else float(v.replace("Infinity", "inf")),
            "bigint": _integer,
            "undefined": lambda v: None,
            "Date": lambda v: EPOCH + self.value(v) * MILLISECOND,
            "Map": lambda v: {hashable(self.value(key)): self.value(member) for key, member in v},
            "Set": lambda v: {hashable(self.value(member)) for member in v},
            "RegExp": _regexp,
            "Error": lambda v: from_json(v, self._module),
            "object": self._fields,
        }

    def value(self, value):
        if isinstance(value, list):
            return [self.value(member) for member in value]
        if not isinstance(value, dict):
            return value
        if "$" not in value:
            return self._fields(value)
        kind, v = value["$"], value.get("v")
        if kind in self._kinds:
            return self._kinds[kind](v)
        if isinstance(v, str):  # The views and buffers of JavaScript.
            return base64.b64decode(v)
        raise NonSerializableError(f"this Python has no {kind}, which is in a recorded value")

    def _fields(self, value):
        return {key: self.value(member) for key, member in value.items()}


def encode_value(value, what):
    """(body, codec) of a value. `what` names it in errors."""
    try:
        if not needs_types(value):
            return to_text(value, what), "json"
    except RecursionError:
        pass  # It holds itself, and the encoder says so; or it is deeper than the stack.
    try:
        text = Encoder(what).text(value)
    except RecursionError:
        raise NonSerializableError(f"{what} is nested too deep to be written down") from None
    body = to_bytes(text)
    check_size(body, what)
    return body, "typed"


def decode_value(body, codec, module=None):
    """`module` is the agent's: its classes of errors are known."""
    value = parse(body)
    return Decoder(module).value(value) if codec == "typed" else value
