"""The Model Context Protocol: over HTTP, over standard input and output, and with the official client."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading

import harness

NEWEST, OLDER = "2025-06-18", "2025-03-26"
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
HELLO = {"protocolVersion": NEWEST, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
SDK = pathlib.Path(__file__).resolve().parents[1] / "mcp"

AGENT = """
module.exports = {
  async hello(ctx, params) { return { hello: params.name }; },
  async big(ctx) { for (let i = 0; i < 60; ++i) await ctx.step(`s${i}`, () => i); return "x".repeat(40000); },
  async back(ctx, { list }) { return list.reverse(); },
  async huge() { return "x".repeat(65 << 20); },
  async boom() { throw new Error("it broke"); },
  async ask(ctx) { return await ctx.waitForEvent("answer"); },
};
"""


class McpTest(harness.CellTest):
    def post(self, body, query="", revision=NEWEST, **headers):
        fields = {**HEADERS, "MCP-Protocol-Version": revision, **{k.replace("_", "-"): v for k, v in headers.items()}}
        return self.daemon.call("POST", f"/mcp{query}", body if isinstance(body, (str, bytes)) else json.dumps(body), fields)

    def ask(self, method, params=None, at="", **headers):
        """The result of a request."""
        answer = self.post({"jsonrpc": "2.0", "id": 7, "method": method, "params": params or {}}, at, **headers)
        self.assertEqual(200, answer.status, answer)
        self.assertEqual(7, answer.json["id"])
        return answer.json["result"]

    def tool(self, name, at="", /, **arguments):
        return self.ask("tools/call", {"name": name, "arguments": arguments}, at)

    def structured(self, name, at="", /, **arguments):
        result = self.tool(name, at, **arguments)
        self.assertFalse(result["isError"], result)
        return result["structuredContent"]

    def refusal(self, name, at="", /, **arguments):
        result = self.tool(name, at, **arguments)
        self.assertTrue(result["isError"], result)
        return result["content"][0]["text"]

    # ---- the protocol ----

    def test_a_client_and_the_daemon_agree_upon_a_revision(self):
        for wanted, given in ((NEWEST, NEWEST), (OLDER, OLDER), ("2024-11-05", NEWEST), ("2099-01-01", NEWEST)):
            answer = self.post({"jsonrpc": "2.0", "id": "i", "method": "initialize", "params": {**HELLO, "protocolVersion": wanted}},
                               revision=None)
            self.assertEqual(given, answer.json["result"]["protocolVersion"])
            self.assertEqual({"tools": {}}, answer.json["result"]["capabilities"])
            self.assertTrue(answer.headers["Mcp-Session-Id"].startswith("session_"))
        accepted = self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.assertEqual((202, b""), (accepted.status, accepted.body))
        self.assertEqual({}, self.ask("ping"))
        self.assertEqual(405, self.daemon.get("/mcp").status)
        self.assertEqual(405, self.daemon.call("DELETE", "/mcp").status)

    def test_what_is_no_message_is_refused_in_the_protocols_words(self):
        def code(answer, status):
            self.assertEqual(status, answer.status, answer)
            return answer.json["error"]["code"]

        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        self.assertEqual(-32700, code(self.post("{"), 400))
        self.assertEqual(-32700, code(self.post(""), 400))
        self.assertEqual(-32600, code(self.post([ping]), 400))  # the newer revision has no batches
        self.assertEqual(-32600, code(self.post([ping] * 65, revision=OLDER), 400))
        self.assertEqual(-32600, code(self.post({"id": 1, "method": "ping"}), 200))
        self.assertEqual(-32601, code(self.post({**ping, "method": "resources/list"}), 200))
        self.assertEqual(-32602, code(self.post({**ping, "method": "tools/list", "params": {"cursor": "x"}}), 200))
        self.assertEqual(-32602, code(self.post({**ping, "method": "initialize"}), 200))
        for params in ({"name": "nothing"}, {"name": 7}, {"name": "exec", "arguments": [1]}):
            self.assertEqual(-32602, code(self.post({**ping, "method": "tools/call", "params": params}), 200))
        batch = self.post([ping, {"jsonrpc": "2.0", "method": "notifications/initialized"}, 7, {**ping, "id": 2}], revision=OLDER)
        self.assertEqual([1, None, 2], [answer["id"] for answer in batch.json])
        self.assertEqual(202, self.post([{"jsonrpc": "2.0", "id": 1, "result": {}}], revision=None).status)

    def test_wrong_requests_are_refused_as_everywhere(self):
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        for status, code, headers in ((401, "unauthenticated", {"Authorization": "Bearer wrong"}),
                                      (403, "origin_refused", {"Origin": "http://evil.example:4750"}),
                                      (403, "origin_refused", {"Origin": "null"}),
                                      (403, "origin_refused", {"Origin": "http://localhost.evil.example"}),
                                      (400, "invalid_header", {"Content-Type": "text/plain"}),
                                      (400, "invalid_header", {"Mcp_Session_Id": "two words"}),
                                      (400, "invalid_header", {"Mcp_Session_Id": "x" * 129}),
                                      (400, "invalid_header", {"MCP-Protocol-Version": "2024-11-05"})):
            answer = self.post(ping, **headers)
            self.assertEqual((status, code), (answer.status, answer.json["code"]), headers)
        for origin in ("http://localhost:6274", "http://127.0.0.1", "http://[::1]:1"):
            self.assertEqual(200, self.post(ping, Origin=origin).status)
        self.assertEqual("cell_not_found", self.post(ping, "?cell=nobody").json["code"])
        self.assertEqual("invalid_query", self.post(ping, "?cell=").json["code"])  # not all of them
        large = self.post(b"x" * ((16 << 20) + 1))
        self.assertEqual((413, "body_too_large"), (large.status, large.json["code"]))

    # ---- tools ----

    def test_a_cell_is_made_used_and_deleted_by_tools(self):
        made = self.structured("create_cell", customer_id="by-tools", tier="starter", agent=AGENT)
        self.addCleanup(self.daemon.call, "DELETE", f"/api/v1/cells/{made['cell_id']}")
        cell_id = made["cell_id"]
        self.assertEqual(cell_id, self.structured("create_cell", customer_id="by-tools")["cell_id"])
        self.assertIn(cell_id, [cell["cell_id"] for cell in self.structured("list_cells")["cells"]])
        self.assertNotEqual([], self.structured("list_cells", limit=1)["cells"])
        self.assertEqual("active", self.structured("get_cell", cell_id=cell_id)["state"])
        self.assertEqual("paused", self.structured("pause_cell", cell_id=cell_id)["state"])
        self.assertEqual("active", self.structured("resume_cell", cell_id=cell_id)["state"])

        run = self.structured("call_agent", cell_id=cell_id, method="hello", params={"name": "x"}, idempotency_key="k")
        self.assertEqual(("completed", {"hello": "x"}), (run["status"], run["result"]))
        again = self.structured("call_agent", cell_id=cell_id, method="hello", params={"name": "x"}, idempotency_key="k")
        self.assertEqual(run["id"], again["id"])
        child = f"child\n{run['id']}\n1"  # As if that run had begun it.
        self.assertIn("without control characters", self.refusal("call_agent", cell_id=cell_id, method="hello", idempotency_key=child))
        self.assertEqual(run["id"], self.structured("list_runs", cell_id=cell_id)["runs"][0]["id"])
        failed = self.tool("call_agent", cell_id=cell_id, method="boom")
        self.assertTrue(failed["isError"])
        self.assertIn("it broke", failed["content"][0]["text"])
        broken = self.structured("get_run", cell_id=cell_id, run_id=failed["structuredContent"]["id"])
        self.assertEqual("failed", broken["status"])  # that it is shown is no failure
        big = self.structured("call_agent", cell_id=cell_id, method="big")
        self.assertEqual((50, 10), (len(big["steps"]), big["steps_left_out"]))
        self.assertLess(len(big["result"]), 33_000)
        long = self.structured("call_agent", cell_id=cell_id, method="back", params={"list": list(range(60_000))})
        self.assertTrue(long["result"].startswith("[59999,59998,"), long["result"][:20])
        self.assertLess(len(long["result"]), 33_000)
        call = {"name": "call_agent", "arguments": {"cell_id": cell_id, "method": "huge"}}
        huge = self.ask("tools/call", call, Accept="application/json")  # However long it takes.
        self.assertTrue(huge["isError"], huge)
        self.assertIn("answer_too_large: run run_", huge["content"][0]["text"])
        self.assertIn(f"GET /api/v1/cells/{cell_id}/runs/run_", huge["content"][0]["text"])
        waiting = self.structured("call_agent", cell_id=cell_id, method="ask", wait_s=0)
        self.daemon.call("POST", f"/api/v1/cells/{cell_id}/runs/{waiting['id']}/events", {"type": "answer", "payload": 42})
        self.assertEqual(42, self.structured("get_run", cell_id=cell_id, run_id=waiting["id"], wait_s=30)["result"])
        self.assertEqual("completed", self.structured("get_run", cell_id=cell_id, run_id=run["id"])["status"])
        self.assertIn("list_runs", self.refusal("get_run", cell_id=cell_id, run_id="run_x"))

        self.assertEqual(True, self.structured("delete_cell", cell_id=cell_id)["deleted"])
        self.assertIn("cell_not_found: ", self.refusal("get_cell", cell_id=cell_id))
        self.assertIn("list_cells", self.refusal("exec", cell_id=cell_id, command="true"))
        self.assertIn('"cell_id" must be', self.refusal("exec", command="true"))

    def test_files_are_read_written_changed_and_found(self):
        at = f"?cell={self.cell().id}"
        self.assertEqual({"path": "src/a.py", "bytes": 28},
                         self.structured("write_file", at, path="/work/src/a.py", content="def one():\n    return 'one'\n"))
        self.assertEqual("def one():\n    return 'one'\n", self.structured("read_file", at, path="src/a.py")["content"])
        edit = self.structured("edit_file", at, path="src/a.py", old_string="'one'", new_string="1")
        self.assertEqual({"path": "src/a.py", "replacements": 1, "line": 2}, edit)
        self.assertIn("text_not_found", self.refusal("edit_file", at, path="src/a.py", old_string="'one'", new_string="1"))
        self.assertIn("3 times in src/a.py, on lines 1, 1, 2",
                      self.refusal("edit_file", at, path="src/a.py", old_string="e", new_string="E"))
        self.structured("edit_file", at, path="src/a.py", old_string="    ", new_string="  ", replace_all=True)
        part = self.structured("read_file", at, path="src/a.py", start_line=2, end_line=2)
        self.assertEqual(("  return 1\n", 2, 2, 2), (part["content"], part["start_line"], part["end_line"], part["total_lines"]))
        self.assertIn("no_such_line", self.refusal("read_file", at, path="src/a.py", start_line=9))
        self.assertEqual(["src", "src/a.py"], [f["path"] for f in self.structured("list_files", at, recursive=True)["files"]])
        self.assertEqual(["src/a.py"], [f["path"] for f in self.structured("list_files", at, path="/work/src")["files"]])
        found = self.structured("search_code", at, query="return 1", mode="lexical")["results"]
        self.assertEqual("src/a.py", found[0]["path"])
        self.assertIn("body_too_large", self.refusal("search_code", at, query="x" * (1 << 20)))  # the route's own limit
        self.assertIn("list_files", self.refusal("read_file", at, path="nothing"))
        self.assertIn("list_files", self.refusal("list_files", at, path="nothing"))
        self.assertIn("list_files lists a folder", self.refusal("edit_file", at, path="src", old_string="a", new_string="b"))
        self.assertIn("below /work", self.refusal("read_file", at, path="/etc/passwd"))
        self.assertIn("below /work", self.refusal("write_file", at, path="../x", content=""))
        self.assertIn('unknown field "cell_id"', self.refusal("read_file", at, path="src/a.py", cell_id="other"))

    def test_edits_of_one_file_at_the_same_time_are_all_done(self):
        cell = self.cell()
        self.structured("write_file", f"?cell={cell.id}", path="f", content="".join(f"<{n}>\n" for n in range(20)))
        results = []

        def edit(n):
            results.append(self.tool("edit_file", f"?cell={cell.id}", path="f", old_string=f"<{n}>", new_string=f"[{n}]")["isError"])

        threads = [threading.Thread(target=edit, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([False] * 20, results)
        self.assertEqual("".join(f"[{n}]\n" for n in range(20)), cell.call("GET", "/files/f").body.decode())

    def test_commands_say_how_they_ended(self):
        at = f"?cell={self.cell().id}"
        result = self.tool("exec", at, command="cat; echo $X >&2; pwd; exit 3", stdin="in\n", env={"X": "err"}, cwd="/tmp")
        self.assertEqual(("in\n/tmp\n", "err\n", 3, False), tuple(
            result["structuredContent"][key] for key in ("stdout", "stderr", "exit_code", "truncated")))
        self.assertRegex(result["content"][0]["text"], r"^in\n/tmp\n\[stderr\]\nerr\n\[exit code 3, after \d+ ms\]$")
        self.assertFalse(result["isError"])
        late = self.tool("exec", at, command="sleep 60", timeout_s=1)
        self.assertTrue(late["structuredContent"]["timed_out"])
        self.assertIn("give a larger timeout_s", late["content"][0]["text"])
        long = self.structured("exec", at, command="seq 20000")
        self.assertTrue(long["stdout"].startswith("1\n2\n") and long["stdout"].endswith("19999\n20000\n"))
        self.assertTrue(long["truncated"])
        self.assertLess(len(long["stdout"]), 30_100)
        flood = self.tool("exec", at, command="yes | head -c 1100000")
        self.assertIn("beyond 1 MiB is lost", flood["content"][0]["text"])
        for wrong in ({}, {"command": ["ls"]}, {"command": "x", "timeout_s": 3601}, {"command": "x", "shell": "bash"}):
            self.assertIn("invalid_field", self.refusal("exec", at, **wrong))

    def test_what_is_too_much_for_a_model_is_left_out_and_said(self):
        cell = self.cell()
        at = f"?cell={cell.id}"
        cell.exec("mkdir many && cd many && seq 1001 | xargs touch; cd ..; seq 3000 > lines; head -c 4194304 /dev/zero | tr '\\0' x > long;"
                  "cp long longer; echo >> longer; head -c 100 /dev/urandom > bytes; printf 'a\\0' > nul; : > empty")
        listed = self.tool("list_files", at, path="many")
        self.assertEqual((1000, True), (len(listed["structuredContent"]["files"]), listed["structuredContent"]["truncated"]))
        self.assertIn("There is more", listed["content"][1]["text"])
        lines = self.tool("read_file", at, path="lines")
        self.assertEqual((2000, 3000, True), tuple(lines["structuredContent"][key] for key in ("end_line", "total_lines", "truncated")))
        self.assertIn("start_line 2001", lines["content"][1]["text"])
        self.assertIn("too long to be shown", self.tool("read_file", at, path="long")["content"][1]["text"])
        self.assertIn("more than 4 MiB", self.refusal("read_file", at, path="longer"))
        for path in ("bytes", "nul"):
            self.assertIn("not_a_text", self.refusal("read_file", at, path=path))
        self.assertEqual(0, self.structured("read_file", at, path="empty")["end_line"])

    def test_a_session_goes_on_with_a_daemon_that_was_started_again(self):
        cell = self.cell()
        hello = self.post({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO})
        self.daemon.restart()
        call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "exec", "arguments": {"command": "echo on"}}}
        answer = self.post(call, f"?cell={cell.id}", Mcp_Session_Id=hello.headers["Mcp-Session-Id"])
        self.assertEqual("on\n", answer.json["result"]["structuredContent"]["stdout"])

    # ---- what takes long ----

    def call_later(self, cell, session, id, command, **meta):
        """A call of exec on a connection of its own."""
        body = {"jsonrpc": "2.0", "id": id, "method": "tools/call",
                "params": {"name": "exec", "arguments": {"command": command}, "_meta": meta}}
        return self.daemon.open("POST", f"/mcp?cell={cell.id}", json.dumps(body),
                                {**HEADERS, "MCP-Protocol-Version": NEWEST, "Mcp-Session-Id": session})

    def await_sleep(self, cell, seconds):
        command = f"sleep\0{seconds}\0".encode()
        return harness.eventually("it sleeps", lambda: command in cell.processes("shell").values())

    def test_a_call_that_takes_long_shows_progress_and_can_be_cancelled(self):
        cell = self.cell()
        connection, response = self.call_later(cell, "session-a", 1, "sleep 4321; true", progressToken="p")
        stream = harness.Stream(connection, response)
        self.assertEqual("text/event-stream", stream.headers["Content-Type"])
        progress = next(iter(stream)).json
        self.assertEqual(("notifications/progress", "p"), (progress["method"], progress["params"]["progressToken"]))
        self.await_sleep(cell, 4321)
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        self.post(cancel, Mcp_Session_Id="session-b")  # another session's 1
        self.post({**cancel, "params": {"requestId": "1"}}, Mcp_Session_Id="session-a")
        self.post({**cancel, "params": {}}, Mcp_Session_Id="session-a")
        self.assertIn(b"sleep\x004321\0", cell.processes("shell").values())
        self.post(cancel, Mcp_Session_Id="session-a")
        self.assertEqual([], [event for event in stream if "result" in event.json])
        stream.close()
        harness.eventually("it is killed", lambda: b"sleep\x004321\0" not in cell.processes("shell").values())

    def test_what_a_client_asked_for_ends_when_it_leaves(self):
        cell = self.cell()
        left = threading.Event()

        def ask():
            with contextlib.suppress(OSError):
                connection = self.daemon.connect()
                body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                        "params": {"name": "exec", "arguments": {"command": "sleep 1234; true"}}}
                connection.request("POST", f"/mcp?cell={cell.id}", json.dumps(body),
                                   {"Content-Type": "application/json", "Authorization": f"Bearer {self.daemon.key}"})
                left.wait(harness.WAIT_S)
                connection.close()

        thread = threading.Thread(target=ask)
        thread.start()
        self.await_sleep(cell, 1234)
        left.set()
        thread.join()
        harness.eventually("it is killed", lambda: b"sleep\x001234\0" not in cell.processes("shell").values())

    # ---- standard input and output ----

    @contextlib.contextmanager
    def bridge(self, *words, **environment):
        process = subprocess.Popen([harness.BIN / "cellar", "mcp", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "CELLAR_URL": f"http://127.0.0.1:{self.daemon.port}",
                                        "CELLAR_API_KEY": self.daemon.key, **environment})
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    @staticmethod
    def say(process, *messages):
        for message in messages:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        process.stdin.flush()

    def test_an_editor_has_the_tools_at_standard_input_and_output(self):
        cell = self.cell()
        with self.bridge(cell.id) as process:
            self.say(process, {"id": 0, "method": "initialize", "params": HELLO})
            self.assertEqual(NEWEST, json.loads(process.stdout.readline())["result"]["protocolVersion"])
            sleep = {"name": "exec", "arguments": {"command": "sleep 2222; true"}}
            self.say(process, {"method": "notifications/initialized"}, {"id": 1, "method": "tools/call", "params": sleep})
            self.await_sleep(cell, 2222)
            hello = {"name": "exec", "arguments": {"command": "echo hello"}}
            self.say(process, {"id": 2, "method": "tools/call", "params": hello})  # while the other one goes on
            answer = json.loads(process.stdout.readline())
            self.assertEqual((2, "hello\n"), (answer["id"], answer["result"]["structuredContent"]["stdout"]))
            self.say(process, {"method": "notifications/cancelled", "params": {"requestId": 1}})
            harness.eventually("it is killed", lambda: b"sleep\x002222\0" not in cell.processes("shell").values())
            process.stdin.write("no json\n[]\n")
            self.say(process, {"id": 3, "method": "tools/list"})
            out, err = process.communicate(timeout=harness.WAIT_S)
            answers = {str(answer["id"]): answer for answer in map(json.loads, out.splitlines())}
            self.assertEqual({"None", "3"}, set(answers))
            self.assertNotIn("create_cell", [tool["name"] for tool in answers["3"]["result"]["tools"]])
            self.assertEqual(("", 0), (err, process.returncode))

    def test_an_editor_is_told_what_is_wrong_with_its_settings(self):
        for words, environment, text in (((), {"CELLAR_API_KEY": "wrong"}, "CELLAR_API_KEY"),
                                         ((), {"CELLAR_URL": "http://127.0.0.1:1"}, "127.0.0.1:1"),
                                         (("nobody",), {}, "no cell")):
            with self.bridge(*words, **environment) as process:
                self.say(process, {"id": "a", "method": "initialize", "params": HELLO}, {"method": "notifications/initialized"})
                out, err = process.communicate(timeout=harness.WAIT_S)
                self.assertEqual("a", json.loads(out)["id"])
                self.assertIn(text, json.loads(out)["error"]["message"])
                self.assertIn(text, err)
        with self.bridge() as process:
            self.assertIn("more than 16 MiB", process.communicate("x" * ((16 << 20) + 1), timeout=harness.WAIT_S)[1])
            self.assertEqual(1, process.returncode)
        with self.bridge("") as process:
            self.assertIn("must not be empty", process.communicate(timeout=harness.WAIT_S)[1])
            self.assertEqual(2, process.returncode)

    def test_an_editor_has_not_any_number_of_requests_under_way(self):
        with socket.create_server(("127.0.0.1", 0), backlog=128) as nobody:  # answers nothing
            with self.bridge(CELLAR_URL=f"http://127.0.0.1:{nobody.getsockname()[1]}") as process:
                self.say(process, *({"id": n, "method": "ping"} for n in range(65)))
                refused = json.loads(process.stdout.readline())
                self.assertEqual(64, refused["id"])
                self.assertIn("64 requests", refused["error"]["message"])

    # ---- the official client ----

    def test_the_official_client_speaks_both_ways(self):
        if not (SDK / "node_modules").exists() or not shutil.which("node"):
            self.skipTest("tests/mcp has no node_modules: npm --prefix tests/mcp ci --ignore-scripts")
        cell = self.cell()
        done = subprocess.run(["node", SDK / "client.js", f"http://127.0.0.1:{self.daemon.port}", self.daemon.key,
                               harness.BIN / "cellar", cell.id], capture_output=True, text=True, timeout=harness.WAIT_S * 2)
        self.assertEqual((0, "ok http\nok stdio\n"), (done.returncode, done.stdout), done.stderr)
