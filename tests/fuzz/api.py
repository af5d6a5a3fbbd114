"""Requests made from the API's description, right, almost right and wild, against a real daemon.

Usage: tests/fuzz/api.py [--count 20000] [--seed N] [--jobs N] [--bin build/release/bin]
Prints the seed, which gives the same requests again with one job, and what was answered. Fails where an answer is a fault of the
server (5xx that is not described), is not as described, is no error as all errors are, comes too late or not at all, where the
daemon ends, and where it is left with more descriptors, processes or cells than before. Needs root, as cells do.
"""
import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import re
import sys
import threading
import traceback
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import harness  # noqa: E402
import values  # noqa: E402
import wire  # noqa: E402

CUSTOMERS = ["ada", "bob", "cy", "ä b/c"]
STRANGER = "stranger--theirs"  # a cell of another owner
LIMIT_S = 20
SHORT_S = 1.5  # for what may wait for something that never comes
FAULTS_SHOWN = 10
AGENT = """
module.exports = {
  echo(ctx, params) { return params; },
  async steps(ctx, params) { for (const n of [1, 2]) await ctx.step("s" + n, () => n); return ctx.shell("echo hi"); },
  async approve(ctx) { return await ctx.approve("go", { prompt: "Go?" }); },
  async wait(ctx) { return await ctx.waitForEvent("go", { timeoutMs: 3000 }); },
  tell(ctx) { ctx.stream({ a: 1 }); return 2; },
  boom() { throw new Error("boom"); },
};
"""
BUILT_IN = ("write_file read_file list_files db_set db_get db_delete db_keys db_create db_query db_get_all db_get_by_id db_update "
            "db_delete_record journal logs metrics").split()
KNOWN = {
    "customer_id": CUSTOMERS, "X-Customer-ID": CUSTOMERS, "agent": [AGENT, AGENT, "module.exports = {", None], "image": [None, "default", "dev", "none"],
    "runtime": ["native", None], "method": ["echo", "steps", "approve", "wait", "tell", "boom", "none", *BUILT_IN],
    "cmd": ["true", "echo hi; echo ho >&2", ["echo", "a b"], "exit 3", "cat", "seq 30000", "sleep 0.05", "read x; echo $x", ["no-such-program"], "cat /dev/urandom"],
    "timeout_ms": [1, 50, 300], "grace_ms": [0, 50], "timeout": ["0", "1"], "cwd": ["/work", "/tmp", "src", "/none"], "stdin": [None, "in\n"], "output_bytes": [1, 1000, 65536],
    "path": ["a.txt", "src", "src/b.py", "src/deep/c.md", "none", "link", "a.txt/x"], "from": ["a.txt", "src", "none"], "to": ["b.txt", "src/d", "src/deep"],
    "pattern": ["*.py", "**/*", "needle", "(a|b)*", "[", "src/{a,b}*"], "query": ["read the configuration", "main", "", "x" * 3000], "mode": ["644", "755", "0", "777"],
    "type": ["go", "other"], "signal": ["TERM", "KILL", "INT", 15, 9, 0, 64], "port": [0, 1, 8080, 65535], "step": ["go", {"decision": "retry"}, {"decision": "value", "value": 1}],
    "domain": ["a.example.com", "b.example.org"], "scopes": ["read", "write"], "at": [None, "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"],
    "allow": ["registry.npmjs.org", "*.debian.org", "10.0.0.5:8080", "127.0.0.1:1"], "name": ["TOKEN", "A", "k"], "owner": ["fuzz", "dev"],
    "Range": ["bytes=0-3", "bytes=-5", "bytes=5-", "bytes=9-1", "bytes=0-1,3-4", "x"], "If-Match": ["*", '"x"', 'W/"x"', "x", ","], "If-None-Match": ["*", '"x"'],
    "params": [{}, {"path": "a.txt"}, {"path": "a.txt", "content": "text"}, {"key": "k", "value": 1}, {"entity": "e", "data": {"a": 1}}, {"entity": "e", "where": {}}],
    "types": ["cell.*,run.completed", "*", ",", "step.*"], "seconds": [0, 1, 60], "columns": [1, 80, 1000], "rows": [1, 24, 1000],
}
# They may wait for what never comes, or stream without an end.
PATIENT = {"awaitRun", "request", "requestByCustomer", "exec", "cancelRun", "replayRun", "postMcp", "listEvents", "streamRun", "readProcessOutput"}
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "get", "X", "G" * 300]
ODD_HEADERS = [("Accept", "text/event-stream"), ("Accept-Encoding", "gzip, br"), ("Content-Type", "text/plain"), ("Content-Type", "application/json; charset=utf-16"),
               ("Content-Type", "multipart/form-data; boundary=x"), ("Expect", "100-continue"), ("Expect", "200-ok"), ("Last-Event-ID", "-1"), ("Last-Event-ID", "9" * 30),
               ("Idempotency-Key", ""), ("Idempotency-Key", "k"), ("Idempotency-Key", "ä" * 400), ("X-Customer-ID", "ada"), ("X-Customer-ID", "\xe9"), ("Origin", "https://evil.example"),
               ("Origin", "null"), ("Range", "bytes=0-1"), ("If-Match", "*"), ("If-None-Match", "*"), ("Connection", "close"), ("Connection", "upgrade, x-api-key"), ("Upgrade", "h2c"),
               ("Cookie", "a=b; " * 100), ("Authorization", "Basic eDp5"), ("X-API-Key", "wrong-key-0123"), ("X-Forwarded-For", "1.2.3.4"), ("X-Long", "x" * 6000), ("x-" + "n" * 300, "1"),
               ("Access-Control-Request-Method", "PUT"), ("Mcp-Session-Id", "s" * 200), ("MCP-Protocol-Version", "1999-01-01"), ("Te", "trailers"), ("If-Range", '"x"')]


# What the first words of the description say of all.
EVERYWHERE = {400: {"bad_request", "ambiguous_request", "invalid_path", "invalid_query"}, 431: {"head_too_large"}, 405: {"method_not_allowed"}, 404: {"no_such_path"},
              503: {"ended_meanwhile"}}


class Fault(Exception):
    """What the server must not do."""


class Fuzzer:
    """Makes requests to one daemon, and judges each answer."""

    def __init__(self, daemon, seed, tools):
        self.random = random.Random(seed)
        self.daemon, self.description, self.tools = daemon, daemon.description, tools
        self.cell = ""  # that the request is about
        self.pools = collections.defaultdict(list)  # what the server has named: cells, runs, processes, keys, …
        self.values = values.Values(self.random, self.description.resolve, self.known)
        self.operations = [op for op in self.description.operations if op[2]["operationId"] not in ("getOpenApi", "getMetrics")]
        self.statuses, self.faults, self.shown = collections.Counter(), [], b""
        self.wire = wire.Wire(daemon.port)

    def known(self, name):
        places = {"id": "cells", "cell_id": "cells", "cell": "cells", "run": f"runs of {self.cell}", "process": f"processes of {self.cell}", "key": "keys", "cursor": "cursors", "If-None-Match": "tags"}
        pool = self.pools[places.get(name, "none")]
        return [*pool, *KNOWN.get(name, [])] or None

    def note(self, pool, value):
        if isinstance(value, str) and value not in self.pools[pool]:
            self.pools[pool].append(value)
            del self.pools[pool][:-8]

    def learn(self, operation, target, answer):
        """Keeps what later requests may name."""
        cell = urllib.parse.unquote(target.split("/")[4]) if target.startswith("/api/v1/cells/") else ""
        body = json.loads(answer.body) if answer.headers.get("Content-Type") == "application/json" else {}
        places = {"createCell": ("cells", "cell_id"), "startRun": (f"runs of {cell}", "id"), "restartRun": (f"runs of {cell}", "id"), "startProcess": (f"processes of {cell}", "id"),
                  "createKey": ("keys", "id"), "listRuns": ("cursors", "next_cursor"), "listCells": ("cursors", "next_cursor")}
        if operation in places and isinstance(body, dict):
            self.note(places[operation][0], body.get(places[operation][1]))
        if operation == "createKey":
            self.note("secrets", body.get("secret"))
        if operation == "createToken":
            self.note("secrets", body.get("token"))
        if "ETag" in answer.headers:
            self.note("tags", answer.headers["ETag"])

    def odd(self, text):
        """Mostly the text itself."""
        return text if self.random.random() < 0.9 else self.values.text()

    def path_part(self, name, schema):
        if name == "id":
            self.cell = text = self.random.choice(self.pools["cells"] or ["none"]) if self.random.random() < 0.95 else self.random.choice([STRANGER, "none", self.values.text()])
        else:
            text = values.as_text(self.values.right(schema, name)) if self.random.random() < 0.93 else self.values.text()
        return urllib.parse.quote(text.encode("utf-8", "surrogatepass"), safe="/" if name == "path" else "")

    def headers(self):
        headers = [("Host", f"127.0.0.1:{self.daemon.port}")]
        pick = self.random.random()
        if pick < 0.93:
            headers.append(("Authorization", f"Bearer {self.daemon.key}") if pick < 0.8 else ("X-API-Key", self.daemon.key))
        elif pick < 0.97 and self.pools["secrets"]:
            headers.append(("Authorization", "Bearer " + self.random.choice(self.pools["secrets"])))
        elif pick < 0.99:
            headers.append(("Authorization", self.random.choice(["Bearer", "Bearer  x", "Bearer " + "k" * 5000, "", "bearer é"])))
        for _ in range(self.random.choice([0, 0, 0, 0, 1, 3])):
            headers.append(self.random.choice(ODD_HEADERS))
        return headers

    def make(self):
        """(operation, method, target, headers, body or None) of one request."""
        if self.random.random() < 0.02:
            return self.preview()
        method, _, operation, template = self.random.choice(self.operations)
        if operation["operationId"] == "deleteCell" and self.random.random() < 0.8:
            return self.make()
        item = self.description.document["paths"][template]
        parameters = [self.description.resolve(one) for one in item.get("parameters", []) + operation.get("parameters", [])]
        target, query, headers = template, [], self.headers()
        for parameter in parameters:
            name, schema = parameter["name"], parameter.get("schema", {})
            if parameter["in"] == "path":
                target = target.replace("{" + name + "}", self.path_part(name, schema))
            elif parameter.get("required") or self.random.random() < 0.3:
                text = values.as_text(self.values.some(schema, name))
                if parameter["in"] == "query":
                    query.append((name, text))
                else:
                    headers.append((name, text.replace("\n", "").replace("\r", "").replace("\0", "")))
        if query:
            target += "?" + urllib.parse.urlencode(query, errors="surrogatepass")
        if self.random.random() < 0.02:
            target += self.random.choice(["?", "?a=%zz", "?%00=%ff", "/", "//", "/..", "%2f", "?" + "a=1&" * 3000, "#x"])
        return operation["operationId"], method, target, headers, self.body(operation)

    def preview(self):
        """Of what the description leaves out: previews, by path and by name."""
        target = self.random.choice(["/", "/preview/", "/preview/{}", "/preview/{}/", "/preview/{}/a.txt", "/preview/{}/../x", "/preview/{}/%2e%2e/%2e%2e/etc/passwd", "/assets/x"])
        headers = self.headers()
        if self.random.random() < 0.3:
            headers[0] = ("Host", self.random.choice(["a.example.com", "x.cells.localhost", "[::1]", "a:b:c", "", "x" * 300]))
        return "preview", self.random.choice(["GET", "GET", "POST"]), target.format(self.path_part("id", {})), headers, None

    def body(self, operation):
        content = self.description.resolve(operation.get("requestBody", {})).get("content")
        if content is None:
            return self.values.wild_body() if self.random.random() < 0.05 else None
        media, of = self.random.choice(list(content.items()))
        if media != "application/json":
            return self.random.choice([b"", b"text\n", self.random.randbytes(3000), self.tar()])
        if operation["operationId"] == "postMcp":
            return self.message()
        pick = self.random.random()
        if pick < 0.55:
            return self.values.dump(self.values.right(of.get("schema", {})))
        if pick < 0.85:
            return self.values.dump(self.values.almost(of.get("schema", {})))
        return self.values.wild_body() if pick < 0.97 else None

    def tar(self):
        """A small archive, often with something wrong in it."""
        import io
        import tarfile
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w", format=self.random.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])) as archive:
            for name in self.random.sample(["a.txt", "src/b.py", "../out", "/etc/x", "link", "l" * 90, "dev", "src"], 3):
                entry = tarfile.TarInfo(name)
                entry.type = self.random.choice([tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
                entry.linkname, entry.mode = self.random.choice(["a.txt", "../..", "/etc/passwd", ""]), self.random.choice([0o644, 0, 0o7777])
                entry.size = 5 if entry.type == tarfile.REGTYPE else 0
                archive.addfile(entry, io.BytesIO(b"hello"))
        return made.getvalue() if self.random.random() < 0.6 else self.values.broken(made.getvalue())

    def message(self):
        """A message of MCP, mostly the call of a tool."""
        tool = self.random.choice(self.tools)
        call = {"jsonrpc": "2.0", "id": self.random.choice([1, "x", None, 1.5]), "method": self.random.choice(["tools/call"] * 6 + ["initialize", "tools/list", "ping", "none"]),
                "params": {"name": tool["name"], "arguments": self.values.some(tool["inputSchema"])}}
        pick = self.random.random()
        if pick < 0.8:
            return self.values.dump(call)
        return self.values.dump([call] * self.random.choice([0, 2, 65])) if pick < 0.85 else self.values.wild_body()

    def judge(self, operation, method, target, answer):
        """Raises Fault where the answer is none that the server may give."""
        if operation == "preview":
            if answer.status >= 500 and answer.status not in (502, 503, 504):
                raise Fault(f"a fault of a preview: {answer}")
            return
        code = self.judge_error(operation, method, answer) if answer.status >= 400 else None
        if code in EVERYWHERE.get(answer.status, ()):
            return
        found = self.description.find(method, target.split("?")[0])
        if found is None or found[2]["operationId"] != operation:
            return
        try:
            self.description.check(method, target, answer)
        except AssertionError as problem:
            raise Fault(str(problem)) from None
        if answer.status < 300 and method != "HEAD":
            self.learn(operation, target, answer)
        if operation == "postMcp" and b'"code":-32603' in answer.body:
            raise Fault(f"a fault in a message: {answer}")

    def judge_error(self, operation, method, answer):
        """The code of an error that is one as all are."""
        body = {}
        if method != "HEAD":
            try:
                body = json.loads(answer.body)
            except ValueError:
                raise Fault(f"an error that is no JSON: {answer}") from None
            if "jsonrpc" in body and operation == "postMcp":
                return None
            if not isinstance(body.get("error"), str) or not isinstance(body.get("code"), str) or not body["error"]:
                raise Fault(f"an error without its texts: {answer}")
        is_agents = operation in ("request", "requestByCustomer") and body.get("code") not in ("internal", "corrupt")
        if answer.status >= 500 and answer.status not in (503, 504, 507) and not (answer.status == 500 and is_agents):
            raise Fault(f"a fault of the server: {answer}")
        return body.get("code")

    def one(self):
        """Sends one request and judges the answer."""
        operation, method, target, headers, body = self.make()
        pick = self.random.random()
        if pick < 0.85:
            raw = wire.request(method, target, headers, body)
            self.shown = raw
            limit = SHORT_S if operation in PATIENT else LIMIT_S
            try:
                answer = self.wire.ask(raw, method, limit)
            except wire.Late:
                if operation not in PATIENT:
                    raise Fault(f"no answer in {limit} s") from None
                self.statuses["left"] += 1
                return
            if answer is None:
                raise Fault("the connection was closed without an answer")
            self.count(answer)
            self.judge(operation, method, target, answer)
        else:
            abuse = self.random.choice([self.odd_method, self.in_chunks, self.broken_chunks, self.cut, self.odd_framing, self.odd_head, self.pipelined, self.web_socket, self.noise])
            self.abuse(abuse(method, target, headers, body or b""), operation)

    def count(self, answer):
        """By status, and of faults by code, too."""
        found = re.search(rb'"code":"(\w+)"', answer.body) if answer and answer.status >= 500 else None
        self.statuses[(f"{answer.status} {found[1].decode()}" if found else answer.status) if answer else "none"] += 1

    def abuse(self, raw, operation):
        """Sends bytes that may be no request, and ends the connection in one way or another. Nothing needs to be answered; what is must be well formed."""
        self.shown = raw
        self.wire.close()
        self.wire.send(raw, SHORT_S)
        if self.random.random() < 0.2:
            self.statuses["cut"] += 1
            return self.wire.reset() if self.random.random() < 0.5 else self.wire.close()
        self.wire.end_sending()
        try:
            answer = self.wire.answer(raw.split(b" ", 1)[0].decode("latin-1"))
        except wire.Late:
            answer = None
        self.wire.close()
        self.count(answer)
        if answer and answer.status >= 400 and operation != "preview" and not raw.startswith(b"HEAD"):
            self.judge_error(operation, "", answer)

    def odd_method(self, method, target, headers, body):
        return wire.request(self.random.choice(METHODS), target, headers, body)

    def in_chunks(self, method, target, headers, body):
        at = self.random.randrange(len(body) + 1)
        end = self.random.choice([b"0\r\n\r\n", b"0;x=y\r\n\r\n", b"0\r\nX-Trailer: 1\r\n\r\n", b"000\r\n\r\n"])
        return wire.chunked(method, target, headers, [part for part in (body[:at], body[at:]) if part], end)

    def broken_chunks(self, method, target, headers, body):
        end = self.random.choice([b"", b"0\r\n", b"zz\r\n\r\n", b"ffffffffffffffff\r\nx", b"-1\r\n\r\n", b"5\r\nab", b"5\r\nabcdefgh\r\n0\r\n\r\n", b"0" * 5000, b"\n\n"])
        return wire.chunked(method, target, headers, [body] if body else [], end)

    def cut(self, method, target, headers, body):
        raw = wire.request(method, target, headers, body)
        return raw[:self.random.randrange(1, len(raw))]

    def odd_framing(self, method, target, headers, body):
        lengths = [[("Content-Length", "5"), ("Content-Length", "6")], [("Content-Length", "-1")], [("Content-Length", "+5")], [("Content-Length", "1e3")], [("Content-Length", "9" * 25)],
                   [("Content-Length", "5"), ("Transfer-Encoding", "chunked")], [("Transfer-Encoding", "gzip, chunked")], [("Transfer-Encoding", "identity")],
                   [("Transfer-Encoding", "\x0bchunked")], [("Content-Length", str(1 << 40))], [("Content-Length", str(len(body) + 10))]]
        return wire.request(method, target, [*headers, *self.random.choice(lengths)]) + body

    def odd_head(self, method, target, headers, body):
        raw = wire.request(method, target, headers, body)
        line, rest = raw.split(b"\r\n", 1)
        target = line.split(b" ")[1]
        return self.random.choice([
            raw.replace(b"HTTP/1.1", self.random.choice([b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.11", b"http/1.1", b"XTTP/1.1"]), 1),
            raw.replace(b"\r\n", b"\n"), raw.replace(b"\r\n", b"\r"), line + b"\r\n" + b"X: y\r\n" * 2000 + rest, line + b"\r\nX: " + b"x" * 100000 + b"\r\n" + rest,
            line + b"\r\n folded: x\r\n" + rest, line + b"\r\nX\x00Y: z\r\n" + rest, line + b"\r\nX : z\r\n" + rest, line + b"\r\n: z\r\n" + rest, line + b"\r\nno colon\r\n" + rest,
            raw.replace(b"Host: ", b"Hosts: "), line + b"\r\nHost: other.example\r\n" + rest, raw.replace(target, b"http://other.example" + target, 1), raw.replace(target, b"*", 1),
            raw.replace(target, b"/" + b"a" * 20000, 1), raw.replace(target, b"/api/v1/cells/\xff\xfe", 1), b"\r\n\r\n" + raw, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            line + b"\r\nAuthorization: Bearer " + self.daemon.key.encode() + b"\r\n" + rest])

    def pipelined(self, method, target, headers, body):
        raw = wire.request(method, target, headers, body)
        return raw * self.random.choice([2, 5]) + raw[:self.random.randrange(len(raw))]

    def web_socket(self, method, target, headers, body):
        if self.random.random() < 0.8:
            cell = self.path_part("id", {})
            target = f"/api/v1/cells/{cell}/processes/{self.path_part('process', {})}/attach?after=0"
        fields = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", self.random.choice(["13", "13", "13", "8", "x"])),
                  ("Sec-WebSocket-Key", self.random.choice(["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==", "x"]))]
        frames = [wire.frame(1, b'{"type":"resize","columns":5,"rows":5}'), wire.frame(1, self.values.wild_body()[:1000]), wire.frame(2, b"ls\n"), wire.frame(9, b"ping"),
                  wire.frame(8, b""), wire.frame(8, b"\x03"), wire.frame(0, b"x"), wire.frame(15, b""), wire.frame(1, b"\xff\xff"), wire.frame(2, b"x", masked=False),
                  b"\x82\xff" + b"\xff" * 8, wire.frame(9, b"x" * 200), wire.frame(1, b'{"type":"end"}'), wire.frame(1, b'{"type":"signal","signal":"KILL"}')]
        sent = b"".join(self.random.choice(frames) for _ in range(self.random.randrange(6)))
        return wire.request("GET", target, [*headers, *fields]) + sent[:self.random.choice([len(sent), len(sent) // 2])]

    def noise(self, method, target, headers, body):
        return self.random.choice([self.random.randbytes(500), b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 100, self.values.broken(wire.request(method, target, headers, body)), b"GET /\r\n\r\n"])

    def ensure_cells(self):
        """A cell with files in it to begin with, and again where they were deleted."""
        self.pools["cells"] = [id for id in self.pools["cells"] if (self.daemon.state / "cells" / id).exists()]
        if len(self.pools["cells"]) >= 2:
            return
        cell = self.daemon.create(self.random.choice(CUSTOMERS[:3]), agent=AGENT)
        self.note("cells", cell.id)
        for path, text in (("a.txt", b"hello needle\n"), ("src/b.py", b"def main():\n    return 1\n"), ("src/deep/c.md", b"# Title\n")):
            cell.call("PUT", f"/files/{path}", text)
        # Another job may delete it meanwhile.
        self.note(f"runs of {cell.id}", cell.call("POST", "/runs", {"method": "steps"}).json.get("id"))
        self.note(f"processes of {cell.id}", cell.call("POST", "/processes", {"cmd": "cat", "stdin": True}).json.get("id"))

    def run(self, count):
        for number in range(count):
            try:
                if number % 50 == 0:
                    self.ensure_cells()
                self.one()
            except Fault as fault:
                self.wire.close()
                self.faults.append(f"request {number}: {fault}\n    {self.shown[:3000]!r}")
            except Exception:  # Of a thread, which nobody would see.
                self.faults.append(f"request {number}: {traceback.format_exc()}\n    {self.shown[:3000]!r}")
            if len(self.faults) >= FAULTS_SHOWN:
                break
        self.wire.close()


# Of the fresh cell that is made last: it may have its folder, and not yet be connected.
CONNECTIONS = 2


def descriptors(daemon):
    """What a daemon has open, and how often."""
    folder, kinds = f"/proc/{daemon.process.pid}/fd", collections.Counter()
    for fd in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            kinds[os.readlink(f"{folder}/{fd}").split(":")[0]] += 1
    return kinds


def prepare(daemon):
    """What is there before the first request: a cell of another owner, and all that a daemon opens once. The tools of MCP."""
    secret = daemon.call("POST", "/api/v1/keys", {"name": "stranger", "owner": STRANGER.split("--")[0], "scopes": ["write"]}).json["secret"]
    theirs = daemon.call("POST", "/api/v1/cells", {"customer_id": STRANGER.split("--")[1]}, {"Authorization": f"Bearer {secret}"})
    assert theirs.json["cell_id"] == STRANGER, theirs
    cell = daemon.create("first", agent=AGENT)
    cell.exec("true")
    cell.request("echo")
    cell.call("DELETE")
    daemon.get("/api/v1/audit")
    tools = daemon.call("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).json["result"]["tools"]
    return secret, tools


def check_end(daemon, secret, before):
    """Yields what is there that should not be, once the cells are deleted."""
    if daemon.process.poll() is not None:
        yield f"the daemon ended with {daemon.process.returncode}"
        return
    theirs = daemon.get(f"/api/v1/cells/{STRANGER}", {"Authorization": f"Bearer {secret}"})
    if theirs.status != 200:
        yield f"the cell of another owner was touched: {theirs}"
    for cell in daemon.get("/api/v1/cells").json["cells"]:
        daemon.call("DELETE", f"/api/v1/cells/{cell['cell_id']}")
    try:
        harness.eventually("as many descriptors as before", lambda: descriptors(daemon).total() <= before.total() + CONNECTIONS)
    except AssertionError:
        yield f"more descriptors than before: {descriptors(daemon) - before}"
    left = [folder.name for folder in (daemon.state / "cells").iterdir() if folder.name != STRANGER]
    if left:
        yield f"folders of cells are left: {left}"
    daemon.call("DELETE", f"/api/v1/cells/{STRANGER}", headers={"Authorization": f"Bearer {secret}"})
    yield from (line for line in daemon.log().splitlines() if " error " in line.lower() or "terminate" in line)


def fuzz(daemon, seed, count, jobs=1):
    """The faults, and how often each status was answered."""
    secret, tools = prepare(daemon)
    daemon.await_fresh_cells()
    before = descriptors(daemon)
    fuzzers = [Fuzzer(daemon, f"{seed}:{job}" if job else str(seed), tools) for job in range(jobs)]
    threads = [threading.Thread(target=one.run, args=(count // jobs,)) for one in fuzzers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = sum((one.statuses for one in fuzzers), collections.Counter())
    return [fault for one in fuzzers for fault in one.faults] + list(check_end(daemon, secret, before)), statuses


def options():
    """A name server that answers nobody, at once."""
    return "--name-server", "127.0.0.1:1"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--bin", default=str(HERE.parents[1] / "build/release/bin"))
    arguments = parser.parse_args()
    harness.BIN = pathlib.Path(arguments.bin).resolve()
    print(f"seed {arguments.seed}", flush=True)
    daemon = harness.Daemon(*options())
    try:
        faults, statuses = fuzz(daemon, arguments.seed, arguments.count, arguments.jobs)
        daemon_log = daemon.log().splitlines()
    finally:
        daemon.cleanup()
    faults += harness.leftovers()
    if faults:
        print("\n".join(daemon_log[-40:]))
    print(f"{sum(statuses.values())} requests: " + ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items(), key=str)))
    for fault in faults:
        print("fault:", fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
