"""The API as a client sees it: keys, shapes, wrong input."""
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading

import description
import harness

AGENT = """
module.exports = {
  async hello(ctx, params) { return { hello: params.name, cell: ctx.cellId }; },
  plain(ctx) { return 7; },
  same(ctx, params) { return params; },
  nothing() {},
  boom() { throw new Error("it broke"); },
  async tell(ctx) { ctx.stream({ a: 1 }); ctx.stream({ a: 2 }); return "done"; },
  async tellAndBreak(ctx) { ctx.stream({ a: 1 }); throw new Error("later"); },
};
"""


class ApiTest(harness.CellTest):
    def test_the_daemon_says_that_it_serves_and_what_it_serves(self):
        health = self.daemon.get("/healthz", {"Authorization": None})
        self.assertEqual((200, "ok"), (health.status, health.json["status"]))
        self.assertEqual("invalid_query", self.daemon.get("/healthz?x=%zz", {"Authorization": None}).json["code"])
        self.assertEqual("3.1.0", self.daemon.get("/openapi.json").json["openapi"])
        self.assertEqual([], list(description.lint(self.daemon.description.document)))
        for path in ("/healthz", "/openapi.json"):
            head = self.daemon.call("HEAD", path, headers={"Authorization": None})
            self.assertEqual((200, b""), (head.status, head.body))

    def test_all_that_is_described_is_served(self):
        for method, _, _, template in self.daemon.description.operations:
            path = re.sub(r"{\w+}", "x", template)
            connection, response = self.daemon.open(method, path)
            body = response.read()
            is_json = response.headers.get("Content-Type") == "application/json"
            code = json.loads(body)["code"] if is_json and body and response.status >= 400 else None
            connection.close()
            self.assertNotIn(code, ("no_such_path", "method_not_allowed"), (method, template))

    def test_what_is_wrong_is_named(self):
        answer = self.daemon.call("PUT", "/api/v1/cells")
        self.assertEqual((405, {"GET", "POST"}), (answer.status, set(answer.headers["Allow"].split(", "))))
        for value in ({"text": "x"}, {"value": 1}):
            answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "named", "secrets": {"TOKEN": value}})
            self.assertEqual((400, "invalid_secret"), (answer.status, answer.json["code"]))
            self.assertIn('"TOKEN" needs a "value"', answer.json["error"])

    def test_a_missing_or_wrong_key_is_refused_with_json(self):
        for headers in ({"Authorization": None}, {"Authorization": "Bearer wrong"},
                        {"Authorization": "Basic eDp5"}, {"Authorization": None, "X-API-Key": "no"}):
            answer = self.daemon.call("GET", "/api/v1/cells", headers=headers)
            self.assertEqual(401, answer.status)
            self.assertIsInstance(answer.json["error"], str)
        ok = self.daemon.get("/api/v1/cells", {"Authorization": None, "X-API-Key": self.daemon.key})
        self.assertEqual(200, ok.status)

    def test_a_second_create_for_a_customer_gives_the_same_cell(self):
        first = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "twice", "tier": None})
        second = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "twice", "permanent": True})
        self.assertEqual((201, 200), (first.status, second.status))
        self.assertEqual(first.json["cell_id"], second.json["cell_id"])
        self.assertEqual((False, True), (first.json["permanent"], second.json["permanent"]))
        self.assertTrue(first.json["cell_id"].endswith("--twice"))
        self.assertEqual(("active", "starter"), (first.json["status"], first.json["tier"]))

    def test_cells_are_listed_page_by_page(self):
        for number in range(3):
            self.daemon.create(f"page-{number}")
        everything = [c["cell_id"] for c in self.daemon.get("/api/v1/cells").json["cells"]]
        paged, cursor = [], ""
        while True:
            page = self.daemon.get(f"/api/v1/cells?limit=2&cursor={cursor}").json
            self.assertLessEqual(len(page["cells"]), 2)
            paged += [c["cell_id"] for c in page["cells"]]
            cursor = page.get("next_cursor")
            if not cursor:
                break
        self.assertEqual(everything, paged)

    def test_cells_can_be_deleted_while_they_are_listed(self):
        made = {self.daemon.create(f"while-listed-{number}").id for number in range(3)}
        met, cursor = [], ""
        while cursor is not None:
            page = self.daemon.get(f"/api/v1/cells?limit=1&cursor={cursor}").json
            met += [c["cell_id"] for c in page["cells"]]
            if met[-1] in made:
                self.assertEqual(204, self.daemon.call("DELETE", f"/api/v1/cells/{met[-1]}").status)
            cursor = page.get("next_cursor")
        self.assertLessEqual(made, set(met))
        self.assertEqual(len(met), len(set(met)))

    def test_a_cursor_that_no_page_gave_is_refused(self):
        answer = self.daemon.get("/api/v1/cells?cursor=dev-no--body")
        self.assertEqual((400, "invalid_cursor"), (answer.status, answer.json["code"]))

    def test_tiers_are_not_taken_for_a_cell(self):
        tiers = self.daemon.get("/api/v1/cells/tiers").json["tiers"]
        self.assertEqual(["starter", "standard", "performance"], [t["id"] for t in tiers])

    def test_an_unknown_cell_is_404_with_a_code_and_a_remedy(self):
        answer = self.daemon.get("/api/v1/cells/dev-no--body")
        self.assertEqual((404, "cell_not_found"), (answer.status, answer.json["code"]))
        self.assertIs(False, answer.json["retryable"])
        self.assertIn("request_id", answer.json)

    def test_a_deleted_cell_is_gone_with_its_files(self):
        cell = self.cell()
        cell.call("PUT", "/files/x", b"1")
        self.assertEqual(204, cell.call("DELETE").status)
        self.assertEqual(404, cell.call("GET").status)
        self.assertFalse(cell.dir.exists())

    def test_wrong_bodies_are_refused_and_name_the_field(self):
        for body, word in (("{", "JSON"), ("[]", "object"), ("{}", "customer_id"),
                           ('{"customer_id": 1}', "customer_id"), ('{"customer_id": ""}', "customer_id"),
                           ('{"customer_id": "x", "tier": "huge"}', "tier"),
                           ('{"customer_id": "x", "allow": ["http://x"]}', "http://x"),
                           ('{"customer_id": "x", "idle_timeout_s": 0}', "idle_timeout_s"),
                           ('{"customer_id": "x", "secrets": {"A": 1}}', "secrets")):
            answer = self.daemon.call("POST", "/api/v1/cells", body)
            self.assertEqual(400, answer.status, body)
            self.assertIn(word, answer.json["error"], body)

    def test_a_name_in_a_query_that_no_call_has_is_refused(self):
        for method, _, operation, template in self.daemon.description.operations:
            if operation.get("security") == []:
                continue
            answer = self.daemon.call(method, re.sub(r"{\w+}", "x", template) + "?no_such_name=1")
            self.assertEqual(400, answer.status, (method, template))
            if method != "HEAD":
                self.assertEqual("invalid_query", answer.json["code"], (method, template))
                self.assertIn("no_such_name", answer.json["error"])
        answer = self.daemon.get("/api/v1/cells?limt=1")
        self.assertEqual('"limit" is near; known here: limit, cursor', answer.json["remediation"])
        answer = self.daemon.get("/api/v1/cells/tiers?%ff" + "x" * 1000)
        self.assertEqual("leave it out: none is known here", answer.json["remediation"])

    def test_a_name_in_a_body_that_no_call_has_is_refused(self):
        cell = self.cell()
        for path, body in (("/keep-alive", {"seconds": 1}), ("/wake-at", {"at": None}), ("/permanent", {"permanent": True}),
                           ("/request", {"method": "db_keys"}), ("/search", {"query": "x"}), ("/search/symbols", {"query": "x"}),
                           ("/search/index", {"path": "x", "text": "x"}), ("/search/remove", {"path": "x"})):
            answer = self.daemon.call("POST", cell.path + path, {**body, "no_such_name": None})
            self.assertEqual((400, "invalid_field"), (answer.status, answer.json["code"]), path)
            self.assertIn("no_such_name", answer.json["error"])
        domain = {"domain": "a.example", "cell_id": cell.id, "no_such_name": 1}
        self.assertEqual(400, self.daemon.call("POST", "/api/v1/domains", domain).status)
        answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "misspelt", "tire": "standard"})
        self.assertEqual((400, 'the body has the unknown field "tire"'), (answer.status, answer.json["error"]))
        self.assertTrue(answer.json["remediation"].startswith('"tier" is near; known here: customer_id, '), answer)
        self.assertNotIn("misspelt", [one["customer_id"] for one in self.daemon.get("/api/v1/cells").json["cells"]])

    def test_an_oversized_body_is_413(self):
        cell = self.cell()
        answer = self.daemon.call("POST", cell.path + "/search", b'{"query": "' + b"x" * (20 << 20) + b'"}')
        self.assertEqual(413, answer.status)

    def test_a_large_document_is_taken_and_given_as_a_small_one(self):
        """It is read on other threads."""
        cell = self.cell(agent=AGENT)
        params = {"list": list(range(100_000)), "text": "ü" * 1000}
        answer = cell.request("same", params)
        self.assertEqual((200, params), (answer.status, answer.json))
        run = cell.call("GET", f"/runs/{answer.headers['X-Cellar-Run']}").json
        self.assertEqual((params, params), (run["params"], run["result"]))
        cut = json.dumps({"method": "same", "params": params})[:-1].encode()
        refused = cell.call("POST", "/request", cut)
        self.assertEqual((400, "invalid_json"), (refused.status, refused.json["code"]))
        unknown = cell.call("POST", "/runs", {"method": "same", "params": params, "metod": ""})
        self.assertEqual((400, "invalid_field"), (unknown.status, unknown.json["code"]))
        written = cell.request("write_file", {"path": "big", "content": "x" * 300_000})
        self.assertEqual((200, 300_000), (written.status, (cell.dir / "work/big").stat().st_size))

    def test_an_unknown_path_or_verb_answers_json(self):
        self.assertEqual(404, self.daemon.get("/api/v2/x").status)
        answer = self.daemon.call("PATCH", "/api/v1/cells")
        self.assertEqual(405, answer.status)
        self.assertIn("error", answer.json)

    def test_posts_with_no_body_and_no_content_type_are_accepted(self):
        cell = self.cell()
        for verb in ("pause", "resume"):
            connection = self.daemon.connect()
            connection.putrequest("POST", f"{cell.path}/{verb}", skip_accept_encoding=True)
            connection.putheader("Authorization", f"Bearer {self.daemon.key}")
            connection.endheaders()
            self.assertEqual(200, connection.getresponse().status)
            connection.close()

    def test_garbage_on_the_wire_ends_only_that_connection(self):
        with socket.create_connection(("127.0.0.1", self.daemon.port)) as wire:
            wire.sendall(b"\x16\x03\x01\x02\x00 not http\r\n\r\n")
            wire.settimeout(harness.WAIT_S)
            self.assertTrue(wire.recv(4096).startswith(b"HTTP/1.1 400"))
        self.assertEqual(200, self.daemon.get("/healthz").status)
GATED = """
const fs = require("fs");
exports.tell = async (ctx) => {
  fs.appendFileSync("/work/log", "begun\\n");
  while (!fs.existsSync("/work/gate")) await new Promise((resolve) => setTimeout(resolve, 5));
  ctx.stream(1);
  await new Promise(() => {});
};
"""


class AgentCallTest(harness.CellTest):
    def test_an_agent_answers_by_value_by_promise_and_by_stream(self):
        cell = self.cell(agent=AGENT)
        self.assertEqual({"hello": "Ada", "cell": cell.id}, cell.request("hello", {"name": "Ada"}).json)
        self.assertEqual(7, cell.request("plain").json)
        self.assertIsNone(cell.request("nothing").json)
        stream = cell.request("tell")
        self.assertTrue(stream.headers["Content-Type"].startswith("text/event-stream"))
        data = [json.loads(line[6:]) for line in stream.body.decode().split("\n") if line.startswith("data: ")]
        self.assertEqual([{"a": 1}, {"a": 2}, "done"], data)

    def test_a_stream_goes_on_behind_the_event_that_its_client_has_seen(self):
        cell, key = self.cell(agent=AGENT), {"Idempotency-Key": "one"}
        bare = cell.call("POST", "/request", {"method": "tell"}, key)
        self.assertEqual(["data"] * 3, [line.split(":")[0] for line in bare.body.decode().split("\n") if line])

        def told(method="tell", headers=key):
            return [(event.id, event.json) for event in
                    self.daemon.stream("POST", cell.path + "/request", {"method": method}, headers)]

        whole = told()
        self.assertEqual([{"a": 1}, {"a": 2}, "done"], [value for _, value in whole])
        run = bare.headers["X-Cellar-Run"]
        self.assertNotIn(b": end", bare.body)
        for path, body in (("/request", {"method": "tell"}), (f"/runs/{run}/events", None)):
            for behind in ({}, {"Last-Event-ID": str(whole[0][0])}, {"Last-Event-ID": str(whole[-1][0])}):
                answer = cell.call("POST" if body else "GET", path, body, {"Accept": "text/event-stream", **key, **behind})
                self.assertTrue(answer.body.endswith(b"\n\n: end\n\n"), answer.body)  # Else it has broken off.
        for number, (seen, _) in enumerate(whole):
            self.assertEqual(whole[number + 1:], told(headers={**key, "Last-Event-ID": str(seen)}))
            self.assertEqual(whole[number + 1:], [(event.id, event.json["data"] if event.type == "stream" else event.json["data"]["result"])
                                                  for event in cell.events(run, seen) if event.type in ("stream", "run.completed")])
        self.assertEqual([run], [one["id"] for one in cell.runs()])
        failing = {"Idempotency-Key": "two"}
        (told_first, _), (_, failure) = told("tellAndBreak", failing)
        self.assertEqual("later", failure["error"])
        self.assertEqual([failure], [value for _, value in told("tellAndBreak", {**failing, "Last-Event-ID": str(told_first)})])
        for status, code, headers in ((400, "invalid_header", {}), (404, "run_not_found", {"Idempotency-Key": "three"}),
                                      (400, "invalid_query", {**key, "Last-Event-ID": "99999"})):
            answer = cell.call("POST", "/request", {"method": "tell"}, {"Last-Event-ID": "1", **headers})
            self.assertEqual((status, code), (answer.status, answer.json["code"]))
        self.assertEqual(2, len(cell.runs()))

    def test_a_stream_that_begins_as_the_daemon_ends_says_nothing_of_closing(self):
        # Some clients take what is to be closed for whole, wherever it breaks off.
        cell = self.cell(agent=GATED)
        opened = []
        ask = ("POST", cell.path + "/request", {"method": "tell"}, {"Accept": "text/event-stream"})
        asking = threading.Thread(target=lambda: opened.append(self.daemon.open(*ask)))
        asking.start()
        self.reaches(cell, "begun")
        self.daemon.process.terminate()

        def is_draining():
            try:
                self.daemon.connect().connect()
                return False
            except OSError:
                return True
        harness.eventually("it takes nobody in", is_draining)
        (cell.dir / "work/gate").touch()
        asking.join(harness.WAIT_S)
        connection, response = opened[0]
        connection.close()
        self.daemon.process.wait(harness.WAIT_S)
        self.daemon.process.stdout.close()
        self.daemon.start()
        self.assertEqual(("chunked", None), (response.getheader("Transfer-Encoding"), response.getheader("Connection")))

    def test_a_throw_is_500_and_in_a_stream_the_last_line(self):
        cell = self.cell(agent=AGENT)
        answer = cell.request("boom")
        self.assertEqual((500, "it broke"), (answer.status, answer.json["error"]))
        lines = [l for l in cell.request("tellAndBreak").body.decode().split("\n") if l.startswith("data: ")]
        self.assertEqual("later", json.loads(lines[-1][6:])["error"])

    def test_an_unknown_method_is_404(self):
        cell = self.cell(agent=AGENT)
        answer = cell.request("missing")
        self.assertEqual((404, "method_not_found"), (answer.status, answer.json["code"]))
        self.assertEqual(404, self.cell("without-agent").request("hello").status)
        parent = self.cell("parent", agent='exports.spawns = async (ctx) => (await ctx.spawn("missing")).result();')
        answer = parent.request("spawns")
        self.assertEqual((500, "method_not_found"), (answer.status, answer.json["code"]))

    def test_an_agent_may_be_an_es_module(self):
        cell = self.cell(agent="export async function hi(ctx, p) { return p.n + 1 }\nexport default { ho: () => 2 }")
        self.assertEqual((4, 2), (cell.request("hi", {"n": 3}).json, cell.request("ho").json))

    def test_a_broken_agent_says_what_is_wrong_with_it(self):
        for agent in ("module.exports = {\n  a() {},\n  b( {\n};", "export const a = 1;\n\n\nexport const b = ;"):
            answer = self.cell(agent=agent).request("hello")
            self.assertEqual((500, "the agent cannot be loaded: agent.js:4: SyntaxError: Unexpected token ';'"),
                             (answer.status, answer.json["error"]))

    def test_a_customer_is_reached_by_header(self):
        self.cell("by-header", agent=AGENT)
        answer = self.daemon.call("POST", "/api/v1/agents/hello", {"name": "x"}, {"X-Customer-ID": "by-header"})
        self.assertEqual("x", answer.json["hello"])
        missing = self.daemon.call("POST", "/api/v1/agents/hello", {}, {"X-Customer-ID": "nobody-here"})
        self.assertEqual(404, missing.status)
        self.assertEqual(400, self.daemon.call("POST", "/api/v1/agents/hello", {}).status)

    def test_setup_runs_once(self):
        cell = self.cell(agent="""
          module.exports = {
            setup(ctx) { ctx.db.set("setups", (ctx.db.get("setups") || 0) + 1); },
            count(ctx) { return ctx.db.get("setups"); },
          };""")
        self.assertEqual([1, 1], [cell.request("count").json for _ in range(2)])

    def test_built_in_methods_answer_before_the_agent(self):
        cell = self.cell()
        ask = lambda method, **params: cell.request(method, params).json
        self.assertEqual({"ok": True}, ask("write_file", path="a/b.txt", content="hi"))
        self.assertEqual({"content": "hi"}, ask("read_file", path="a/b.txt"))
        self.assertIn("a/b.txt", ask("list_files")["files"])
        self.assertEqual({"ok": True}, ask("db_set", key="k", value={"x": [1]}))
        self.assertEqual({"value": {"x": [1]}}, ask("db_get", key="k"))
        self.assertEqual({"value": None}, ask("db_get", key="none"))
        self.assertEqual({"keys": ["k"]}, ask("db_keys", prefix="k"))
        record = ask("db_create", entity="todo", data={"title": "t", "done": False})
        self.assertTrue(record["id"] and record["createdAt"])
        ask("db_create", entity="todo", data={"title": "u", "done": True})
        found = ask("db_query", entity="todo", where={"done": True})
        self.assertEqual(["u"], [item["title"] for item in found["items"]])
        self.assertTrue(ask("db_update", entity="todo", id=record["id"], data={"done": True})["done"])
        self.assertEqual([], ask("journal")["entries"])
        self.assertIn("requests", ask("metrics"))
        self.assertIn("lines", ask("logs"))


class OwnersTest(harness.CellTest):
    def test_a_key_is_printed_once_and_only_its_hash_is_stored(self):
        state = self.daemon.state
        stored = b"".join(p.read_bytes() for p in state.glob("registry.sqlite*"))
        self.assertNotIn(self.daemon.key.encode(), stored)

    def test_another_owners_cell_is_not_there(self):
        other = self.daemon.call("POST", "/api/v1/keys", {"name": "o", "owner": "other", "scopes": ["write"]}).json["secret"]
        cell = self.cell("mine")
        key = {"Authorization": f"Bearer {other}"}
        self.assertEqual([], self.daemon.get("/api/v1/cells", key).json["cells"])
        for method, rest in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/exec"), ("GET", "/files"),
                             ("GET", "/runs"), ("POST", "/search"), ("POST", "/request"), ("POST", "/preview"), ("POST", "/preview-links")):
            answer = cell.call(method, rest, None if method in ("GET", "DELETE") else {"cmd": "id", "query": "x", "method": "m"}, key)
            self.assertEqual((404, "cell_not_found"), (answer.status, answer.json["code"]), (method, rest))
        page = self.daemon.open("GET", f"/preview/{cell.id}/", headers=key)
        self.assertEqual((404, "cell_not_found"), (page[1].status, json.loads(page[1].read())["code"]))
        page[0].close()
        self.daemon.call("POST", "/api/v1/domains", {"domain": "mine.org", "cell_id": cell.id})
        for method, path in (("GET", "/mine.org"), ("DELETE", "/mine.org"), ("POST", "/mine.org/verify"), ("PATCH", "/mine.org")):
            answer = self.daemon.call(method, "/api/v1/domains" + path, {"cell_id": cell.id} if method == "PATCH" else None, key)
            self.assertEqual(404, answer.status, (method, path))
        taken = self.daemon.call("POST", "/api/v1/domains", {"domain": "mine.org", "cell_id": "other--x"}, key)
        self.assertEqual(404, taken.status)
        self.assertEqual([], self.daemon.get("/api/v1/domains", key).json["domains"])
        theirs = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "mine"}, key)
        taken = self.daemon.call("POST", "/api/v1/domains", {"domain": "mine.org", "cell_id": "other--mine"}, key)
        self.assertEqual((409, "domain_taken"), (taken.status, taken.json["code"]))
        self.assertEqual((201, "other--mine"), (theirs.status, theirs.json["cell_id"]))
        self.assertEqual(204, self.daemon.call("DELETE", "/api/v1/cells/other--mine", headers=key).status)
        self.assertEqual(200, cell.call("GET").status)

    def test_a_daemon_that_is_given_no_key_makes_one_and_prints_it_once(self):
        root = pathlib.Path(tempfile.mkdtemp(prefix=harness.PREFIX))
        self.addCleanup(shutil.rmtree, root)
        environment = {name: value for name, value in os.environ.items() if name != "CELLAR_API_KEY"}
        printed = []
        for _ in range(2):
            process = subprocess.Popen([harness.BIN / "cellard", "--state", root / "state", "--listen", "127.0.0.1:0",
                                        "--seal-key-file", root / "seal.key"], stdout=subprocess.PIPE, text=True, env=environment)
            lines = []
            while not lines or "listening" not in lines[-1]:
                lines.append(process.stdout.readline())
            process.terminate()
            self.assertEqual(0, process.wait(harness.WAIT_S))
            process.stdout.close()
            printed.append([line for line in lines if "API key" in line])
        self.assertEqual([1, 0], [len(lines) for lines in printed])

    def test_a_daemon_whose_address_is_taken_says_so_and_ends_in_order(self):
        root = pathlib.Path(tempfile.mkdtemp(prefix=harness.PREFIX))
        self.addCleanup(shutil.rmtree, root)
        address = f"127.0.0.1:{self.daemon.port}"
        done = subprocess.run([harness.BIN / "cellard", "--state", root / "state", "--listen", address, "--seal-key-file", root / "seal.key"],
                              capture_output=True, text=True, timeout=harness.WAIT_S)
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertIn(f"cellard: listen on {address}: Address already in use", done.stderr)
