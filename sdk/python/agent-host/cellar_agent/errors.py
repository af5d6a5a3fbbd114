"""Errors that agents see, and how errors travel."""
import ast
import asyncio
import builtins
import concurrent.futures.thread
import datetime
import errno
import functools
import itertools
import os
import re
import traceback
import types

# Whose lines say nothing at the top of an agent's traceback.
OURS = (os.path.dirname(os.path.abspath(__file__)), concurrent.futures.thread.__file__)


class Error(Exception):
    """What ctx refuses or reports, with a code. One of a class that is not known here any more comes
    back as this, and has its name."""

    code = None
    name = "Error"

    def __init__(self, message="", code=None, name=None):
        super().__init__(message)
        if code is not None:
            self.code = code
        self.name = name or type(self).__name__


class CancelledError(asyncio.CancelledError):
    """The run was cancelled. `except Exception` does not catch it."""

    code = "canceled"

    def __init__(self, message="the run was cancelled"):
        super().__init__(message)


class ParkedRun(BaseException):
    """Unwinds the code of a run that this process has nothing to do with any more. Nothing that such
    a run still asks for is done."""

    def __init__(self):
        super().__init__("this run is over, or goes on elsewhere")


class AgentError(Exception):
    """An error of the host's own about the agent as a whole: its code is told in the `end` frame."""

    def __init__(self, code, message, stack=None):
        super().__init__(message)
        self.code = code
        if stack is not None:
            self.stack = stack


class NonSerializableError(Error):
    """A value that cannot be written down."""

    code = "not_serialisable"


class NonRetryableError(Error):
    """What a step raises to say that no other attempt would help."""

    code = "non_retryable"


class RetryAfterError(Error):
    """What a step raises to say when the next attempt is worth it: milliseconds, "30s", a timedelta
    or a datetime."""

    code = "retry_after"

    def __init__(self, message, after):
        from .timers import milliseconds, unix_ms
        super().__init__(message)
        if isinstance(after, datetime.datetime):
            now = datetime.datetime.now(datetime.timezone.utc)
            self.delay = max(0, unix_ms(after) - unix_ms(now))
        else:
            self.delay = milliseconds(after, "the time of RetryAfterError(message, after)")


class StepTimeoutError(Error):
    code = "step_timeout"


class StepInterruptedError(Error):
    """A step with on_interrupt "fail" was running when its process ended: whether what it does was
    done is not known, and it is not done again."""

    code = "step_interrupted"


class WaitTimeoutError(Error):
    """What was waited for did not come in time."""

    code = "wait_timeout"


class JournalFullError(Error):
    """The disk has no room for what would have to be recorded: it was not begun, or not kept."""

    code = "journal_full"


# Those that agents may raise and recognise, as ctx.errors.
for_agents = types.SimpleNamespace(**{kind.__name__: kind for kind in (
    Error, CancelledError, JournalFullError, NonRetryableError, NonSerializableError, RetryAfterError,
    StepInterruptedError, StepTimeoutError, WaitTimeoutError)})


def shown(value):
    """Anything may be raised, also what cannot be shown."""
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _member(error, name):
    """None where reading it fails."""
    try:
        return getattr(error, name, None)
    except Exception:
        return None


def stack_of(error):
    """The traceback as text, from the agent's code on."""
    known = _member(error, "stack")
    if isinstance(known, str):
        return known
    try:
        if tells_sensitive(error):
            return ""
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename.startswith(OURS):
            trace = trace.tb_next
        return "".join(traceback.format_exception(type(error), error, trace))
    except Exception:
        return ""


def agent_frames(error):
    """Those of its traceback that are the agent's, or what that calls."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [at for at, frame in enumerate(frames) if frame.filename.startswith(OURS)]
    theirs = frames[ours[-1] + 1:] if ours else frames
    return list(itertools.dropwhile(lambda frame: frame.filename.startswith(os.path.dirname(asyncio.__file__)), theirs))


def code_of(error):
    code = _member(error, "code")
    if code is None and isinstance(error, OSError) and isinstance(error.errno, int):
        code = errno.errorcode.get(error.errno)
    if isinstance(code, int) and not isinstance(code, bool):
        return code if abs(code) < 1 << 63 else None  # What the daemon reads.
    return code if isinstance(code, str) else None


REDACTED = "redacted: the step is sensitive"


def mark_sensitive(error):
    """Of a sensitive step: what it says is told to nobody but the agent's own code."""
    error.__dict__["_cellar_sensitive"] = True
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            mark_sensitive(member)
    return error


def is_sensitive(error):
    """A group is where all of it is: `except*` makes others of one, with its text."""
    if "_cellar_sensitive" in getattr(error, "__dict__", ()):
        return True
    return isinstance(error, BaseExceptionGroup) and all(map(is_sensitive, error.exceptions))


def tells_sensitive(error):
    """Whether its traceback would show a sensitive one: itself, what it came from, or one of a group."""
    seen, waiting = set(), [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        if is_sensitive(each):
            return True
        seen.add(id(each))
        waiting += [each.__cause__, each.__context__, *(_member(each, "exceptions") or ())]
    return False


def _redacted(error):
    name = next((name for name, kind in vars(for_agents).items()
                 if isinstance(error, kind) and kind is not Error), "Error")
    return {"name": name, "message": REDACTED, "stack": "", "code": "sensitive"}


# Of the texts of an error so many characters are told and recorded.
TEXT_LENGTH_MAX = 65_536
NAME_LENGTH_MAX = 200
# Of a group so many of its errors, on so many levels, and so many in all; their texts are as much shorter.
MEMBERS_MAX = 20
LEVELS_MAX = 5
MEMBERS_IN_ALL_MAX = 50


def _cut(text, length_max):
    left = len(text) - length_max
    return text if left <= 0 else f"{text[:length_max]}… ({left} characters more)"


def to_json(error, length_max=TEXT_LENGTH_MAX, level=0, places=None):
    """`length_max`: of its message and of its stack. Of one within groups, `level` says how many, and `places`
    has an item for each that may be told yet."""
    if is_sensitive(error):
        return _redacted(error)
    known = _member(error, "name") if isinstance(error, Error) else None
    name = known if isinstance(known, str) and known else type(error).__name__
    json = {"name": _cut(name, NAME_LENGTH_MAX), "message": _cut(shown(error), length_max),
            "stack": _cut(stack_of(error), length_max)}
    code = code_of(error)
    if code is not None:
        json["code"] = _cut(code, NAME_LENGTH_MAX) if isinstance(code, str) else code
    module = _module_of(error, name)
    if module is not None:
        json["module"] = module
    if isinstance(error, BaseExceptionGroup) and level < LEVELS_MAX:
        places = iter(range(MEMBERS_IN_ALL_MAX)) if places is None else places
        json["errors"] = _members_json(error.exceptions, length_max, level + 1, places)
    return json


def _members_json(members, length_max, level, places):
    first = members[:MEMBERS_MAX]
    told = [to_json(member, length_max // (8 * len(first)), level, places)
            for member, _ in zip(first, places)]
    more = len(members) - len(told)
    # That there are more is an error of its own: `except*` for the others does not catch it.
    return told if more == 0 else [*told, to_json(Error(f"… and {more} more", code="more_errors"))]


AGENT_MODULE = "agent_"  # So begin the names of agents' modules; the rest is that of a version.


def _module_of(error, name):
    """That of its class, where the name alone would mean one of ours or of Python's own; else None."""
    if type(error) is Error and name != "Error":
        return error.__dict__.get("_cellar_module")  # What from_json found no class for.
    known = _class_of(name, None)
    module = _member(type(error), "__module__")
    if known is None or known.__module__ == module or not isinstance(module, str):
        return None
    if issubclass(known, type(error)):  # asyncio's CancelledError is given back as ours, which is one.
        return None
    return AGENT_MODULE if module.startswith(AGENT_MODULE) else _cut(module, NAME_LENGTH_MAX)


@functools.cache
def _with_text(kind):
    """`kind`, shown as its one argument: some show a text that they make of several."""
    shows = {"__str__": lambda self: self.args[0], "__module__": kind.__module__}
    return type(kind.__name__, (kind,), shows)


def _instance(kind, message):
    """An error of this class with this text, made without its constructor; None where that is not
    possible."""
    argument = message
    if issubclass(kind, KeyError):  # It shows its key as Python writes it.
        try:
            argument = ast.literal_eval(message)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            pass
    for made_of in (kind, _with_text(kind)):
        for make in (made_of.__new__, BaseException.__new__):  # Its own may want something else.
            try:
                error = make(made_of, argument)
                BaseException.args.__set__(error, (argument,))
                if str(error) == message:
                    return error
            except Exception:
                continue
    return None


def _group(kind, message, members):
    """The same for a group, of a class that is known or else of Python's."""
    made_of = kind if kind is not None and issubclass(kind, BaseExceptionGroup) else BaseExceptionGroup
    try:
        return BaseExceptionGroup.__new__(made_of, re.sub(r" \(\d+ sub-exceptions?\)\Z", "", message), members)
    except (TypeError, ValueError):
        return None


def _class_in(place, name):
    kind = getattr(place, name, None)
    is_one = isinstance(kind, type) and issubclass(kind, Exception) and kind.__name__ == name
    return kind if is_one else None


def _class_of(name, module):
    if name in vars(for_agents):
        return vars(for_agents)[name]
    return _class_in(builtins, name) or _class_in(module, name)


def _class_defined_in(defined_in, name, module):
    """The agent's class of this name, where it is of that module: it hides the one that we or Python have."""
    kind = _class_in(module, name)
    is_same = kind is not None and (kind.__module__ == defined_in or
                                    kind.__module__.startswith(AGENT_MODULE) and defined_in == AGENT_MODULE)
    return kind if is_same else None


def from_json(json, module=None):
    """The same error again: class, text, stack and code are what they were. The class is one of ours,
    of Python's own, or of those that the agent's module knows by this name; else Error."""
    name, message = json.get("name") or "Error", json.get("message") or ""
    defined_in = json.get("module")  # Absent in older records, and where the name is enough.
    kind = _class_defined_in(defined_in, name, module) if defined_in else _class_of(name, module)
    if isinstance(json.get("errors"), list):
        error = _group(kind, message, [from_json(member, module) for member in json["errors"]])
    else:
        error = None if kind is None else _instance(kind, message)
    if error is None:
        error = Error(message, name=name)
        error._cellar_module = defined_in
    elif isinstance(error, Error):
        error.name = name
    for key in ("stack", "code"):
        if json.get(key) is not None:
            try:
                setattr(error, key, json[key])
            except Exception:
                pass  # A class that computes it, or takes no such one.
    return error
