"""Runs cases of tests/conformance/cases.json by this SDK, with `Cellar` or with `AsyncCellar`. What the cases mean: cases.md there."""
from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import inspect
import json
import random
import re
import time
import urllib.parse

import cellar

STEP_S = 30
# Operations that are not called as the method is.
NAMES = {"runs.await": "runs.await_"}
ITERATORS = ("cells.list", "agents.stream", "cell.stream", "cell.exec_stream", "cell.runs.list", "cell.runs.events",
             "cell.processes.log", "cell.events", "cell.files.watch")


class Skipped(Exception):
    pass


class Threads:
    """The client for threads that wait."""

    def client(self, url, key):
        return cellar.Cellar(url, key)

    def settle(self, value):
        return value

    def close(self, client):
        client.close()

    def items(self, stream, take, until):
        with stream if hasattr(stream, "__enter__") else contextlib.nullcontext(stream):
            yield from enough(stream, take, until)

    def terminal(self, cell, send, until, **fields):
        with cell.terminal(**fields) as terminal:
            for text in send:
                terminal.send(text)
            shown = b""
            while not (until and until.encode() in shown):
                data = terminal.read(STEP_S)
                if not data:
                    return {"output": shown.decode(), "exit_code": terminal.exit["exit_code"]}
                shown += data
            return {"output": shown.decode()}

    def end(self):
        pass


class Loop:
    """The client for asyncio."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()

    def client(self, url, key):
        return cellar.AsyncCellar(url, key)

    def settle(self, value):
        return self.loop.run_until_complete(asyncio.wait_for(value, STEP_S)) if inspect.isawaitable(value) else value

    def close(self, client):
        self.settle(client.aclose())

    def items(self, stream, take, until):
        iterator = stream.__aiter__()

        def pull():
            while True:
                try:
                    yield self.settle(iterator.__anext__())
                except StopAsyncIteration:
                    return
        try:
            yield from enough(pull(), take, until)
        finally:
            self.settle(iterator.aclose())

    def terminal(self, cell, send, until, **fields):
        async def use():
            async with cell.terminal(**fields) as terminal:
                for text in send:
                    await terminal.send(text)
                shown = b""
                while not (until and until.encode() in shown):
                    data = await terminal.read(STEP_S)
                    if not data:
                        return {"output": shown.decode(), "exit_code": terminal.exit["exit_code"]}
                    shown += data
                return {"output": shown.decode()}
        return self.settle(use())

    def end(self):
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


def enough(items, take, until):
    """Those that a case wants, each as a value; the last one of `until` may have come in pieces."""
    end = time.monotonic() + STEP_S
    heard = ""
    for count, item in enumerate(items if take != 0 else (), 1):
        value = plain(item)
        yield value
        heard = heard + value["text"] if isinstance(value, dict) and isinstance(value.get("text"), str) else ""
        joined = {**value, "text": heard} if heard else value
        if count == take or (until is not None and fits(until, joined)):
            return
        if time.monotonic() > end:
            raise AssertionError(f"not within {STEP_S} s")


def plain(value):
    """A value of the SDK as the cases write it."""
    if isinstance(value, (cellar.Cell, cellar.AsyncCell)):
        return value.info
    if isinstance(value, cellar.FileContent):
        return {"not_modified": value.not_modified, "etag": value.etag, "size": value.size, "bytes": value.bytes}
    if isinstance(value, cellar.FileEvent):
        fields = {"path": value.path, "kind": value.kind, "from": value.from_path}
        return {"type": value.type, **{name: one for name, one in fields.items() if one is not None}}
    if isinstance(value, cellar.Output):
        fields = {"type": value.type, "place": value.place, "result": value.result, "process": value.process}
        if value.type in ("stdout", "stderr"):
            try:
                fields["text"] = value.data.decode()
            except UnicodeDecodeError:
                fields["bytes"] = value.data
        return {name: one for name, one in fields.items() if one is not None}
    return value


def joined(items):
    """Adjacent pieces of one stream as one: where they are cut is chance."""
    found = []
    for item in items:
        last = found[-1] if found else {}
        name = next((name for name in ("text", "bytes") if isinstance(item, dict) and name in item and name in last), None)
        if name and item.get("type") == last.get("type"):
            found[-1] = {**last, **item, name: last[name] + item[name]}
        else:
            found.append(item)
    return found


def snake(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[1].lower(), name)


def snaked(value):
    if isinstance(value, dict):
        return {snake(name): snaked(one) for name, one in value.items()}
    return [snaked(one) for one in value] if isinstance(value, list) else value


ABSENT = object()
TYPES = {"string": str, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None)}


def fits(wanted, value):
    if isinstance(wanted, dict):
        marks = [name for name in wanted if name.startswith("$")]
        if len(marks) == 1 and len(wanted) == 1:
            return fits_mark(marks[0], wanted[marks[0]], value)
        return isinstance(value, dict) and all(fits(one, value.get(name, ABSENT)) for name, one in wanted.items())
    if isinstance(wanted, list):
        return isinstance(value, list) and len(wanted) == len(value) and all(map(fits, wanted, value))
    return type(wanted) is type(value) and wanted == value or (
        isinstance(wanted, (int, float)) and isinstance(value, (int, float)) and not isinstance(value, bool) and wanted == value)


def fits_mark(mark, wanted, value):
    if mark == "$absent":
        return value is ABSENT
    if value is ABSENT:
        return False
    if mark == "$any":
        return True
    if mark == "$type":
        return isinstance(value, TYPES[wanted]) and not (wanted == "number" and isinstance(value, bool))
    if mark == "$match":
        return isinstance(value, str) and re.search(wanted, value) is not None
    if mark == "$exactly":
        return isinstance(value, dict) and set(value) == set(wanted) and fits(wanted, value)
    if mark == "$length":
        return isinstance(value, (str, bytes, list)) and len(value) == wanted
    if mark == "$min":
        return isinstance(value, (int, float)) and value >= wanted
    if mark == "$not":
        return not fits(wanted, value)
    if mark == "$some":
        return isinstance(value, list) and all(any(fits(one, item) for item in value) for one in wanted)
    if mark == "$order":
        rest = iter(value)
        return isinstance(value, list) and all(any(fits(one, item) for item in rest) for one in wanted)
    if mark == "$b64":
        return value == base64.b64decode(wanted)
    raise AssertionError(f"the runner does not know {mark}")


class Runner:
    """The cases of a file, by one of the two clients. `close()` deletes all cells that were made."""

    def __init__(self, world, url, key, document):
        self.world, self.url, self.key, self.document = world, url, key, document
        self.client = world.client(url, key)
        self.agents = {name: "\n".join(lines) for name, lines in document["agents"].items()}
        self.shared, self.made = {}, []

    def close(self):
        for cell_id in self.made:
            with contextlib.suppress(cellar.NotFoundError):
                self.world.settle(self.client.cells.delete(cell_id))
        self.world.close(self.client)
        self.world.end()

    def run(self, case):
        """Raises AssertionError where it does not hold, Skipped where the daemon has no such thing."""
        saved = {"customer": self.customer(), "api_key": self.key}
        wanted = case.get("cell")
        if isinstance(wanted, str):
            if wanted not in self.shared:
                self.shared[wanted] = self.create(self.document["cells"][wanted])
            saved["cell"] = self.shared[wanted]
        elif wanted is not None:
            saved["cell"] = self.create(wanted)
        for number, step in enumerate(case["steps"]):
            self.step(case, number, step, saved)

    def customer(self):
        return f"conformance-{random.getrandbits(48):012x}"

    def create(self, fields):
        cell = self.world.settle(self.client.cells.create(self.customer(), **self.filled(fields, {})))
        self.made.append(cell.id)
        return cell.info

    def filled(self, value, saved):
        """`value` with what was saved, agents' sources and bytes in it."""
        if isinstance(value, str):
            if value.startswith("$agent:"):
                return self.agents[value[7:]]
            whole = re.fullmatch(r"\$\{([^}]+)\}", value)
            if whole:
                return self.look_up(whole[1], saved)
            return re.sub(r"\$\{([^}]+)\}", lambda found: str(self.look_up(found[1], saved)), value)
        if isinstance(value, list):
            return [self.filled(one, saved) for one in value]
        if isinstance(value, dict):
            if set(value) == {"$b64"}:
                return base64.b64decode(value["$b64"])
            return {name: self.filled(one, saved) for name, one in value.items()}
        return value

    def look_up(self, path, saved):
        found = saved
        for part in path.split("."):
            found = found[int(part)] if isinstance(found, list) else found[part]
        return found

    def step(self, case, number, step, saved):
        where = f"step {number + 1}, {step['op']}"
        answer, error = self.answer_of(step, saved)
        if number == 0 and case.get("needs") and getattr(error, "status", None) in (404, 405) and \
                error.code not in ("file_not_found", "cell_not_found"):
            raise Skipped(f"the daemon has no \"{case['needs']}\" ({error.status} {error.code})")
        if error is not None and "error" not in step:
            raise AssertionError(f"{where} failed: {type(error).__name__}: {error}") from error
        if "error" in step:
            assert error is not None, f"{where} must fail, and gave {answer!r}"
            fields = {"class": error.kind, "message": error.message, "status": error.status, "code": error.code,
                      "retryable": error.retryable, "remediation": error.remediation, "request_id": error.request_id}
            shown = {name: one for name, one in fields.items() if one is not None}
            wanted = self.unbytes(self.filled(step["error"], saved))
            assert fits(wanted, shown), f"{where} failed with {shown}, not {wanted}"
        if "expect" in step:
            wanted = self.unbytes(self.filled(step["expect"], saved))
            assert fits(wanted, answer), f"{where} gave {answer!r}, not {wanted!r}"
        if "save" in step:
            saved[step["save"]] = answer

    def unbytes(self, value):
        """Bytes in what is expected, as its mark again."""
        if isinstance(value, bytes):
            return {"$b64": base64.b64encode(value).decode()}
        if isinstance(value, list):
            return [self.unbytes(one) for one in value]
        return {name: self.unbytes(one) for name, one in value.items()} if isinstance(value, dict) else value

    def answer_of(self, step, saved):
        """What a step gives, and how it failed."""
        other = self.filled(step.get("client", {}), saved)
        client = self.client
        if other:
            client = self.world.client(other.get("base_url", self.url), other.get("api_key", self.key))
        items = []
        try:
            fields = self.filled(step.get("with", {}), saved)
            if step["op"] in ITERATORS:
                write = fields.pop("write", None)
                for item in self.world.items(self.call(client, step["op"], fields, saved), step.get("take"),
                                             self.filled(step.get("until"), saved)):
                    items.append(item)
                    if write is not None and item["type"] == "ready":
                        self.value_of(client, "cell.files.write", {"path": write, "content": "new"}, saved)
                return joined(items), None
            return self.value_of(client, step["op"], fields, saved), None
        except cellar.CellarError as error:
            return joined(items), error
        finally:
            if other:
                self.world.close(client)

    def value_of(self, client, op, fields, saved):
        if op == "http":
            return self.http(**fields)
        if op == "cell.terminal":
            cell = self.cell_of(client, fields, saved)
            return self.world.terminal(cell, fields.pop("send"), fields.pop("until", None), **fields)
        if op == "cell.files.tar_copy":
            files = self.cell_of(client, fields, saved).files
            return self.world.settle(files.write_tar(fields["to"], files.read_tar(fields["from"])))
        value = plain(self.world.settle(self.call(client, op, fields, saved)))
        if op.startswith("cells.") and value and "cell_id" in value:
            self.made.append(value["cell_id"])
        if op.startswith("domains."):
            return snaked(value)
        return value

    def call(self, client, op, fields, saved):
        fields = {"from_" if name == "from" and op in ("cell.runs.restart", "cell.diff") else name: one for name, one in fields.items()}
        target = client
        if op.startswith("cell."):
            target, op = self.cell_of(client, fields, saved), op[5:]
        for part in NAMES.get(op, op).split("."):
            target = getattr(target, part)
        if op == "files.rename":
            fields = {name + "_path" if name in ("from", "to") else name: one for name, one in fields.items()}
        return target(**fields)

    def cell_of(self, client, fields, saved):
        return client.cell(fields.pop("cell_id", None) or saved["cell"]["cell_id"])

    def http(self, method, path, headers=None, body=None):
        place = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=STEP_S)
        sent = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        if body is not None and not isinstance(body, str):
            body, sent["Content-Type"] = json.dumps(body), "application/json"
        connection.request(method, path, body=body, headers={name: one for name, one in sent.items() if one is not None})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        answer = {"status": response.status, "headers": {name.lower(): one for name, one in response.getheaders()}, "text": text}
        with contextlib.suppress(ValueError):
            answer["json"] = json.loads(text)
        return answer
