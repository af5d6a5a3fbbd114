"""ctx.llm: a model is asked by the daemon, which has the keys. One durable step."""
from .errors import Error
from .records import Record
from .threads import anywhere
from .timers import milliseconds, whole
from .values import fingerprint, name_of, stringify

SHOWN_NAME_MAX = 200
TIMES = {"attempt": "timeout_ms", "total": "total_ms", "first_byte": "first_byte_ms"}


def invalid(message):
    return Error(f"ctx.llm.chat: {message}", code="invalid_llm_request")


def times_of(given):
    """A time is that of an attempt; a dict says more."""
    asked = given if isinstance(given, dict) else {"attempt": given}
    times = {}
    for key, value in asked.items():
        if key not in TIMES:
            raise invalid(f'"timeout" has no option "{key}"')
        if value is not None:
            times[TIMES[key]] = max(1, whole(milliseconds(value, f"the timeout of ctx.llm.chat ({key})")))
    return times


def finish(ok, value):
    if not ok:
        raise value
    if not isinstance(value, dict):
        return value
    return Record({key: Record(member) if isinstance(member, dict) else member for key, member in value.items()})


class Llm:
    def __init__(self, run):
        self._run = run

    @anywhere
    def chat(self, messages=None, *, name=None, timeout=None, retries=None, stream=None, on_token=None, **options):
        """Asks a model: {content, tool_calls, finish_reason, usage, model}. on_token(text) is called with pieces of
        the answer while they come, on the loop's thread, and not on replay."""
        if name is not None and (not isinstance(name, str) or name == ""):
            raise invalid('"name" must be a text')
        if on_token is not None and not callable(on_token):
            raise invalid('"on_token" must be a function (text)')
        asked = {key: value for key, value in {"messages": messages, **options}.items() if value is not None}
        manners = {**times_of(timeout), "retries": retries, "stream": stream,
                   "on_token": True if on_token is not None else None}
        manners = {key: value for key, value in manners.items() if value is not None}
        same = fingerprint(stringify(asked, "the request of ctx.llm.chat"))
        shown = name_of(name or f"chat {options.get('model') or ''}".strip(), SHOWN_NAME_MAX)
        return self._run.command("llm", lambda: (shown, {**asked, **manners}), finish, same, on_token)
