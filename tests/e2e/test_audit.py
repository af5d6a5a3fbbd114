"""The audit log: who changed what and who was refused, in a chain that shows what was done to it."""
import json
import socket
import struct
import subprocess
import threading

import harness


class AuditTest(harness.CellTest):
    def entries(self, **wanted):
        """All that have these fields, by pages."""
        found, cursor = [], 0
        while cursor is not None:
            page = self.daemon.get(f"/api/v1/audit?limit=50&cursor={cursor}").json
            found += page["entries"]
            cursor = page.get("next_cursor")
        self.assertEqual(list(range(1, len(found) + 1)), [entry["seq"] for entry in found])
        return [entry for entry in found if all(entry[name] == value for name, value in wanted.items())]

    def verify(self, *words):
        done = subprocess.run([harness.BIN / "cellar", "-o", "json", "audit", "verify", "--state", self.daemon.state, *words],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return done.returncode, json.loads(done.stdout or done.stderr)

    def test_who_changed_what_is_there_with_no_word_of_what_it_was(self):
        key = self.daemon.call("POST", "/api/v1/keys", {"name": "app", "scopes": ["write"]}).json
        with_key = {"Authorization": f"Bearer {key['secret']}"}
        cell = self.cell()
        self.daemon.call("PUT", f"{cell.path}/files/in/side?x=query-word", b"body-word", with_key)
        self.daemon.call("GET", f"{cell.path}/files/in/side", headers=with_key)
        self.daemon.call("POST", f"{cell.path}/exec", {"cmd": "true", "env": {"SECRET": "body-word"}}, with_key)
        token = self.daemon.call("POST", f"{cell.path}/tokens", {"scopes": ["write"]}, with_key).json["token"]
        self.daemon.call("POST", f"{cell.path}/pause", headers={"Authorization": f"Bearer {token}"})
        missing = self.daemon.call("POST", f"{cell.path}/runs", {"method": "none", "params": {}}, with_key)
        mine = self.entries(key=key["id"])
        for operation, made in (("createCell", cell.id), ("createKey", key["id"])):
            self.assertIn(made, [entry["target"] for entry in self.entries(operation=operation)])
        self.assertEqual(["writeFile", "exec", "createToken", "pauseCell", "startRun"], [entry["operation"] for entry in mine])
        self.assertEqual({(cell.id, "dev", "127.0.0.1")}, {(e["target"], e["owner"], e["from"]) for e in mine})
        self.assertEqual(["key", "key", "key", "token", "key"], [entry["via"] for entry in mine])
        self.assertEqual((missing.status, missing.json["code"], missing.json["request_id"]),
                         (mine[-1]["status"], mine[-1]["code"], mine[-1]["request_id"]))
        files = b"".join(path.read_bytes() for path in (self.daemon.state / "audit").iterdir())
        for word in (b"body-word", b"query-word", token.encode(), key["secret"].encode(), self.daemon.key.encode()):
            self.assertNotIn(word, files)

    def test_a_call_whose_cell_is_deleted_under_it_has_its_status(self):
        cell = self.cell(agent="module.exports = { async waits(ctx) { await ctx.waitForEvent('never'); } };")
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(cell.request("waits")))
        waiting.start()
        harness.eventually("it waits", lambda: [run for run in cell.runs() if run["status"] == "waiting"])
        self.assertEqual(204, cell.call("DELETE").status)
        waiting.join(harness.WAIT_S)
        told, = self.entries(code="ended_meanwhile")
        self.assertEqual([(503, 503, cell.id)], [(answer.status, told["status"], told["target"]) for answer in answers])

    def test_who_resets_the_connection_is_there_with_an_address_and_no_status(self):
        cell = self.cell(agent="module.exports = { async waits(ctx) { await ctx.waitForEvent('never'); } };")
        wire = socket.create_connection(("127.0.0.1", self.daemon.port), timeout=harness.WAIT_S)
        body = json.dumps({"method": "waits"})
        wire.sendall(f"POST {cell.path}/request HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.daemon.key}\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        harness.eventually("it waits", lambda: [run for run in cell.runs() if run["status"] == "waiting"])
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.close()
        told, = harness.eventually("it is noted", lambda: self.entries(status=0))
        self.assertEqual((cell.id, "127.0.0.1"), (told["target"], told["from"]))

    def test_refusals_are_there_and_a_flood_of_them_is_counted(self):
        reader = self.daemon.call("POST", "/api/v1/keys", {"name": "r", "scopes": ["read"]}).json
        self.daemon.call("POST", "/api/v1/cells", {"customer_id": "x"}, {"Authorization": f"Bearer {reader['secret']}"})
        refused, = self.entries(key=reader["id"])
        self.assertEqual(("createCell", 403, "missing_scope"), (refused["operation"], refused["status"], refused["code"]))
        connection = self.daemon.connect()
        for _ in range(300):
            connection.request("GET", "/api/v1/cells", headers={"Authorization": "Bearer guess"})
            connection.getresponse().read()
        connection.close()
        all_told = lambda: len(guesses := self.entries(status=401)) + sum(e["left_out"] for e in guesses) - len(self.entries(operation="refused"))
        harness.eventually("all are counted", lambda: all_told() == 300)
        self.assertLess(len(self.entries(status=401)), 300)

    def test_only_admins_read_it(self):
        writer = self.daemon.call("POST", "/api/v1/keys", {"name": "w", "scopes": ["write"]}).json["secret"]
        self.assertEqual(403, self.daemon.get("/api/v1/audit", {"Authorization": f"Bearer {writer}"}).status)
        self.assertEqual(400, self.daemon.get("/api/v1/audit?limit=1001").status)
        self.assertEqual([], self.daemon.get("/api/v1/audit?cursor=1000000").json["entries"])

    def test_it_goes_on_over_a_stop_and_a_kill_and_shows_what_was_done_to_it(self):
        self.cell()
        self.assertEqual(0, self.daemon.stop())
        code, found = self.verify()
        self.assertEqual((0, ""), (code, found["problem"]))
        kept = found["last"]
        self.daemon.start()
        self.cell("later")
        self.entries()  # On the disk now.
        self.daemon.restart()
        self.assertEqual(1, len(self.entries(operation="createCell", request_id=self.entries(operation="createCell")[-1]["request_id"])))
        self.assertEqual(0, self.verify("--expect", kept)[0])
        self.assertEqual(1, self.verify("--expect", kept[:-1] + ("0" if kept[-1] != "0" else "1"))[0])
        self.assertEqual(2, self.verify("--expect", "none")[0])
        log = next((self.daemon.state / "audit").glob("*.jsonl"))
        whole = log.read_text()
        lines = whole.splitlines(keepends=True)
        for change, place in ((whole.replace('"owner":"dev"', '"owner":"eve"', 1), ":"), ("".join(lines[1:]), ":1"),
                              ("".join([lines[1], lines[0], *lines[2:]]), ":1"), ("".join(lines[:-1]), f":{len(lines) - 1}")):
            log.write_text(change)
            code, found = self.verify()
            self.assertEqual(1, code)
            self.assertIn(f"{log}{place}", found["problem"])
        log.write_text(whole)
        self.assertEqual(0, self.verify()[0])
