"""ctx.wait_for_event, ctx.approve and ctx.spawn: the daemon waits, and this process may be gone
meanwhile."""
from .errors import Error, WaitTimeoutError
from .records import Record
from .threads import anywhere
from .timers import milliseconds, whole
from .values import NOTHING, fingerprint, name_of, stringify, to_bytes

ARGUMENTS_BYTES_MAX = 60 << 10
METHOD_LENGTH_MAX = 256
ID_BYTES_MAX = 256  # As of an idempotency key.


class Child:
    """Another run of this agent, begun by this one."""

    def __init__(self, run, method, id):
        self._run, self._method, self.id = run, method, id

    @anywhere
    def result(self):
        """What it returns; raises what it raised."""
        return self._run.command(
            "child", lambda: (self._run.names.take(self._method), {"run": self.id}))


def _check(call, name, unknown):
    if not isinstance(name, str) or name == "":
        raise Error(f"{call}(name) needs a name", code="invalid_wait")
    for key in unknown:
        raise Error(f'{call}("{name}") has the unknown option "{key}"', code="invalid_wait")


def _check_text(call, name, what, value, least):
    if value is not None and (not isinstance(value, str) or len(value) < least):
        raise Error(f'the {what} of {call}("{name}") must be a text', code="invalid_wait")


class Waits:
    def __init__(self, run):
        self._run = run

    def _was_recorded(self, kind, name, body):
        """One that an earlier host has let through is given on."""
        entry = self._run.ordinals.peek()
        return entry is not None and (entry.k, entry.n, entry.fp) == (
            kind, name_of(self._run.names.peek(name)), fingerprint(body))

    def _wait(self, kind, call, name, timeout, on_timeout, arguments, match=NOTHING):
        if self._run.in_step:
            raise Error(f'{call}("{name}") is inside a step: end the step first', code="nested_wait")
        given = arguments if match is NOTHING else {**arguments, "match": match}
        asked = {key: value for key, value in given.items() if value is not None}
        if timeout is not None:
            asked["timeout"] = whole(milliseconds(timeout, f'the timeout of {call}("{name}")'))
        body = stringify(asked, f'the options of {call}("{name}")')
        if not isinstance(match, dict) and match is not NOTHING and not self._was_recorded(kind, name, body):
            raise Error(f'the match of {call}("{name}") must be a dict', code="invalid_wait")
        size = len(body)
        if size > ARGUMENTS_BYTES_MAX:
            raise Error(f'the options of {call}("{name}") take {size} bytes as JSON, at most '
                        f"{ARGUMENTS_BYTES_MAX}: keep the rest in a file", code="too_large")

        def finish(ok, value):
            if ok:
                return Record(value, by=None, comment=None) if kind == "approval" else value
            if on_timeout is not NOTHING and isinstance(value, WaitTimeoutError):
                return on_timeout
            raise value

        return self._run.command(kind, lambda: (self._run.names.take(name), asked), finish)

    @anywhere
    def wait_for_event(self, name, *, type=None, match=NOTHING, timeout=None, on_timeout=NOTHING,
                       **unknown):
        """The payload of the oldest event of this type that matches."""
        call = "ctx.wait_for_event"
        _check(call, name, unknown)
        _check_text(call, name, "type", type, 1)
        arguments = {"type": name if type is None else type}
        return self._wait("wait", call, name, timeout, on_timeout, arguments, match)

    @anywhere
    def approve(self, name, *, prompt=None, data=None, timeout=None, on_timeout=NOTHING, **unknown):
        """What a person answers: `approved`, `by`, `comment`, `at`."""
        _check("ctx.approve", name, unknown)
        _check_text("ctx.approve", name, "prompt", prompt, 0)
        arguments = {"prompt": prompt, "data": data}
        return self._wait("approval", "ctx.approve", name, timeout, on_timeout, arguments)

    @anywhere
    def spawn(self, method, params=None, *, id=None):
        """Begins another run of this agent, once; its result is waited for with result(). Those with one
        `id` are the same run, however often this one continues."""
        if not isinstance(method, str) or not 0 < len(method) <= METHOD_LENGTH_MAX:
            raise Error("ctx.spawn(method, params) needs the name of a method", code="invalid_spawn")
        if id is not None and not (isinstance(id, str) and 0 < len(to_bytes(id)) <= ID_BYTES_MAX):
            raise Error(f'the id of ctx.spawn("{method}") must be a text of 1 to {ID_BYTES_MAX} bytes',
                        code="invalid_spawn")
        run = self._run
        if run.in_step:
            raise Error(f'ctx.spawn("{method}") is inside a step: end the step first',
                        code="nested_spawn")

        def finish(ok, value):
            if not ok:
                raise value
            return Child(run, method, value["run"])

        given = {"method": method, "params": {} if params is None else params}
        if id is not None:
            given["id"] = id
        return run.command("spawn", lambda: (run.names.take(method), given), finish)
