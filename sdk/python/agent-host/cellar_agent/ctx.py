"""The `ctx` that an agent's functions get."""
import asyncio
import base64
import datetime
import hashlib
import math
import random
import time
import traceback
import types
import uuid

from .errors import REDACTED, Error, for_agents, tells_sensitive
from .llm import Llm
from .records import Record, camel_case, snake_case
from .steps import Steps
from .threads import anywhere
from .timers import MS_MAX, TEXT, is_number, milliseconds, unix_ms, whole
from .values import NOTHING, fingerprint, name_of, stringify, to_bytes
from .waits import Waits

SHOWN_NAME_MAX = 200
FETCH_TIMEOUT_MS = 120_000
FETCH_RETRIES = 2
SLEEP_MS_MAX = 100 * 365 * 86_400_000


def given(**arguments):
    """Those that are not None: a frame leaves out what is not there."""
    return {name: value for name, value in arguments.items() if value is not None}


class Part:
    def __init__(self, run):
        self._run = run


class Store(Part):
    """Files below /work."""

    def __init__(self, run, files):
        super().__init__(run)
        self._files = files

    @anywhere
    def read(self, path, encoding="utf-8"):
        """The file as text, None where there is none; encoding=None gives bytes."""
        path = str(path)
        arguments = {"path": path, "encoding": encoding}

        def produce():
            content = self._files.read(path)
            if content is None:
                return None
            return base64.b64encode(content).decode() if encoding is None else \
                content.decode(encoding, "replace")

        value = self._run.value("store.read", path, arguments, produce)
        return value if value is None or encoding is not None else base64.b64decode(value)

    @anywhere
    def write(self, path, content):
        path = str(path)
        if not isinstance(content, (str, bytes, bytearray, memoryview)):
            raise Error(f'the content of "{path}" must be a text or bytes', code="invalid_content")
        content = to_bytes(content) if isinstance(content, str) else bytes(content)
        arguments = {"path": path, "sha256": hashlib.sha256(content).hexdigest()}
        return self._run.value("store.write", path, arguments,
                               lambda: self._files.write(path, content), changes=True)

    @anywhere
    def exists(self, path):
        path = str(path)
        return self._run.value("store.exists", path, {"path": path}, lambda: self._files.exists(path))

    @anywhere
    def delete(self, path):
        path = str(path)
        return self._run.value("store.delete", path, {"path": path}, lambda: self._files.delete(path),
                               changes=True, tells=True)

    @anywhere
    def list(self, folder=None):
        """All files below, relative to /work, or to the folder."""
        folder = "" if folder is None else str(folder)
        return self._run.value("store.list", folder, given(folder=folder or None),
                               lambda: self._files.list(folder or "."))


class Db(Part):
    """The cell's key-value database; any JSON value."""

    @anywhere
    def get(self, key):
        return self._run.call("db.get", key, {"key": key})

    @anywhere
    def set(self, key, value=None):
        return self._run.call("db.set", key, {"key": key, "value": value})

    @anywhere
    def delete(self, key):
        return self._run.call("db.delete", key, {"key": key})

    @anywhere
    def keys(self, prefix=None):
        return self._run.call("db.keys", prefix or "", given(prefix=prefix))


class Search(Part):
    @anywhere
    def query(self, query, limit=None, *, paths=None, languages=None, mode=None, chunks_per_file=None):
        """[{path, content, score, start_line, end_line, …}], best first."""
        found = self._run.call("search.query", "", given(query=query, limit=limit, paths=paths, languages=languages,
                                                         mode=mode, chunks_per_file=chunks_per_file))
        return [Record(hit) for hit in found] if isinstance(found, list) else found

    @anywhere
    def symbols(self, query, limit=None):
        """[{name, kind, path, line, …}]: where names are defined."""
        found = self._run.call("search.symbols", "", given(query=query, limit=limit))
        return [Record(hit) for hit in found] if isinstance(found, list) else found

    @anywhere
    def status(self):
        """{files, skipped, documents, chunks, symbols, …}"""
        found = self._run.call("search.status", "", {})
        return Record(found) if isinstance(found, dict) else found

    @anywhere
    def index(self, path, text):
        return self._run.call("search.index", path, {"path": path, "text": text})

    @anywhere
    def remove(self, path):
        """Whether there was such a document."""
        return self._run.call("search.remove", path, {"path": path})


class Journal(Part):
    """Log lines of the agent's own."""

    @anywhere
    def step(self, type, message, meta=None):
        arguments = given(type=str(type), message=str(message), meta=meta)
        return self._run.call("journal.step", arguments["type"], arguments)

    @anywhere
    def entries(self):
        return self._run.call("journal.entries", "", {})

    @anywhere
    def clear(self):
        return self._run.call("journal.clear", "", {})


def _shown(value):
    if isinstance(value, BaseException):
        return "".join(traceback.format_exception(value)).rstrip("\n")
    return str(value)


def _message(values):
    """As logging shows it: the first is the format of the others, where it is one; else as print does."""
    values = [REDACTED if isinstance(value, BaseException) and tells_sensitive(value) else value
              for value in values]
    if len(values) > 1 and isinstance(values[0], str) and "%" in values[0]:
        try:
            return values[0] % tuple(values[1:])
        except (TypeError, ValueError):
            pass
    return " ".join(map(_shown, values))


class Log(Part):
    def __call__(self, *values):
        self._write("info", values)

    def debug(self, *values):
        self._write("debug", values)

    def info(self, *values):
        self._write("info", values)

    def warn(self, *values):
        self._write("warn", values)

    warning = warn

    def error(self, *values):
        self._write("error", values)

    @anywhere
    def _write(self, level, values):
        self._run.event("log", {"level": level, "message": _message(values)})


def _name_and_time(call, values):
    """Of (time) or (name, time)."""
    if len(values) not in (1, 2):
        raise Error(f"{call}(time) or {call}(name, time)", code="invalid_time")
    return ("", values[0]) if len(values) == 1 else values


class Time(Part):
    @anywhere
    def sleep(self, *name_and_time):
        """Milliseconds, a text or a timedelta; what is over already is no wait."""
        name, length = _name_and_time("ctx.sleep", name_and_time)
        if isinstance(length, datetime.timedelta):
            length = max(length, datetime.timedelta())
        if is_number(length) and length < 0:
            length = 0
        ms = min(whole(milliseconds(length, "a sleep")), SLEEP_MS_MAX)
        return self._sleep(name, {"ms": ms}, ms)

    @anywhere
    def sleep_until(self, *name_and_time):
        """A datetime, or milliseconds since 1970."""
        name, moment = _name_and_time("ctx.sleep_until", name_and_time)
        until = unix_ms(moment) if isinstance(moment, datetime.datetime) else moment
        if not is_number(until) or not -math.inf < until < math.inf:
            raise Error("ctx.sleep_until needs a datetime", code="invalid_time")
        until = min(until, MS_MAX)
        return self._sleep(name, {"until": whole(until)}, max(0, until - time.time() * 1000))

    def _sleep(self, name, arguments, ms):
        run = self._run
        if run.in_step:
            run.check()
            return asyncio.ensure_future(asyncio.sleep(ms / 1000))
        return run.command("sleep", lambda: (name, arguments))

    @anywhere
    def now(self):
        """Milliseconds since 1970."""
        return self._run.value("now", "", {}, lambda: int(time.time() * 1000))

    @anywhere
    def random(self):
        return self._run.value("random", "", {}, random.random)

    @anywhere
    def uuid(self):
        return self._run.value("uuid", "", {}, lambda: str(uuid.uuid4()))


def _shell_options(options):
    """In the words of the protocol."""
    return {camel_case(name): _shell_options(value) if name == "limits" else value
            for name, value in options.items() if value is not None}


class Commands(Part):
    @anywhere
    def shell(self, cmd, **options):
        """Runs a command in the shell domain: {stdout, stderr, exit_code, failed, timed_out, …}."""
        if not isinstance(cmd, (str, list, tuple)):
            raise Error("ctx.shell(cmd) needs a text or a list of texts", code="invalid_command")
        cmd = cmd if isinstance(cmd, str) else [str(word) for word in cmd]
        name = name_of(cmd if isinstance(cmd, str) else " ".join(cmd), SHOWN_NAME_MAX)
        arguments = given(cmd=cmd, opts=_shell_options(options) or None)

        def finish(ok, value):
            if not ok:
                raise value
            if not isinstance(value, dict):
                return value
            return Record({snake_case(key): member for key, member in value.items()})

        return self._run.command("shell", lambda: (name, arguments), finish)

    @anywhere
    def fetch(self, url, *, method=None, headers=None, body=None, json=NOTHING,
              timeout_ms=FETCH_TIMEOUT_MS, retries=FETCH_RETRIES):
        """HTTP as a durable step: {ok, status, status_text, headers, body, text(), json()}."""
        from . import fetch  # It takes a fifth of a start: agents.py has it where the agent may need it.
        run = self._run
        request = fetch.Request(url, method, headers, body, json)
        same = fingerprint(stringify(request.identity(), "the request of ctx.fetch"))
        name = name_of(f"{request.method} {request.url}", SHOWN_NAME_MAX)

        async def perform(step):
            return await fetch.perform(run.loop, request, timeout_ms, retries)

        async def perform_inside():
            return fetch.to_response(await perform(None))

        def finish(ok, value):
            if not ok:
                raise value
            return fetch.to_response(value)

        if run.in_step:
            run.check()
            return asyncio.ensure_future(perform_inside())
        return run.step("fetch", lambda: name, same, perform, finish=finish)


def _check_version(run, name, call, what):
    if not isinstance(name, str) or name == "":
        raise Error(f"{call}({what}) needs a name", code="invalid_version")
    run.check()
    if run.in_step:
        raise Error(f'{call}("{name}") is inside a step', code="nested_version")


class Versions(Part):
    @anywhere
    def get_version(self, name, newest):
        """Which way the run goes: `newest`, or what it was when it first came here; 0: it came past here
        before this call was in the code."""
        _check_version(self._run, name, "ctx.get_version", "name, newest")
        if not isinstance(newest, int) or isinstance(newest, bool) or not 1 <= newest < 1 << 53:
            raise Error(f'the newest version of "{name}" must be a number from 1 on', code="invalid_version")
        recorded = self._run.ordinals.peek()
        is_older = recorded is not None and (recorded.k, recorded.n) != ("version", name_of(name))
        return 0 if is_older else self._run.value("version", name, {}, lambda: newest)

    @anywhere
    def removed(self, name):
        """Stands where a step or a command of this name was: runs that recorded it go past it."""
        _check_version(self._run, name, "ctx.removed", "name")
        self._run.ordinals.skip(name, self._run.names)

    @anywhere
    def continue_as(self, state):
        """The run goes on with this state as its params, and with an empty history. Never returns."""
        return self._run.continue_as(state)


class RunInfo(types.SimpleNamespace):
    """What ctx.run says of its run; code may keep more there."""

    __slots__ = ("_run",)

    def __init__(self, run):
        super().__init__(id=run.shown_id, method=run.method, attempt=run.attempt)
        self._run = run

    @property
    def is_replaying(self):
        """Whether code outside of steps is given what is recorded."""
        return self._run.replay.goes_on and not self._run.in_step


class Ctx(Steps, Waits, Time, Commands, Versions):
    """On the loop's thread, what takes time gives an awaitable; in any other thread it blocks and gives
    the value."""

    errors = for_agents

    def __init__(self, run, files, cell_id):
        super().__init__(run)
        self.cell_id, self.work_dir = cell_id, files.root
        self.run = RunInfo(run)
        self.signal = run.phase.signal
        self.store = Store(run, files)
        self.llm = Llm(run)
        self.db, self.search, self.journal, self.log = Db(run), Search(run), Journal(run), Log(run)

    @anywhere
    def stream(self, data):
        """An event to whoever listens."""
        self._run.event("stream", data)
