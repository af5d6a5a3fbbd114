"""Keys: what each is good for, how long, and whose cells it reaches."""
import subprocess

import harness


class KeysTest(harness.CellTest):
    def make(self, *scopes, **fields):
        answer = self.daemon.call("POST", "/api/v1/keys", {"name": "a key", "scopes": list(scopes), **fields})
        self.assertEqual(201, answer.status, answer)
        return answer.json

    def ask(self, key, method, path, body=None):
        return self.daemon.call(method, path, body, {"Authorization": f"Bearer {key['secret']}"})

    def outcome(self, *question):
        answer = self.ask(*question)
        return answer.status, answer.json["code"] if answer.status >= 400 else None

    def listed(self, key):
        return next((one for one in self.daemon.get("/api/v1/keys").json["keys"] if one["id"] == key["id"]), None)

    def test_each_scope_opens_what_it_says_and_nothing_else(self):
        cell = self.cell()
        cell.call("PUT", "/files/x", b"1")
        missing = (403, "missing_scope")
        reader, writer, admin, scraper = (self.make(scope) for scope in ("read", "write", "admin", "metrics"))
        reads = [("GET", cell.path), ("GET", f"{cell.path}/files/x"), ("POST", f"{cell.path}/search", {"query": "x"})]
        writes = [("POST", f"{cell.path}/exec", {"cmd": "true"}), ("POST", f"{cell.path}/preview-links", {})]
        for question in reads:
            self.assertEqual(200, self.ask(reader, *question).status, question)
            self.assertEqual(200, self.ask(writer, *question).status, question)
            self.assertEqual([missing] * 2, [self.outcome(key, *question) for key in (admin, scraper)], question)
        for question in writes:
            self.assertLess(self.ask(writer, *question).status, 300, question)
            self.assertEqual([missing] * 3, [self.outcome(key, *question) for key in (reader, admin, scraper)], question)
        attach = ("GET", f"{cell.path}/processes/p/attach")
        self.assertEqual([missing, (404, "process_not_found")], [self.outcome(key, *attach) for key in (reader, writer)])
        connection, page = self.daemon.open("POST", f"/preview/{cell.id}/request", {"method": "x"}, {"Authorization": f"Bearer {reader['secret']}"})
        self.assertEqual((403, b"missing_scope"), (page.status, page.read().split(b'"code":"')[1].split(b'"')[0]))
        connection.close()
        keys = [("GET", "/api/v1/keys"), ("POST", "/api/v1/keys", {}), ("DELETE", "/api/v1/keys/x")]
        for question in keys:
            self.assertEqual([missing] * 3, [self.outcome(key, *question) for key in (reader, writer, scraper)], question)
        self.assertEqual(200, self.ask(admin, *keys[0]).status)
        refused = self.ask(reader, *writes[0]).json
        self.assertIn("write", refused["error"])
        self.assertIn("write", refused["remediation"])

    def test_a_key_reaches_its_owners_cells_only(self):
        mine = self.cell()
        theirs = self.make("write", owner="team-b")
        self.assertEqual((404, "cell_not_found"), self.outcome(theirs, "GET", mine.path))
        made = self.ask(theirs, "POST", "/api/v1/cells", {"customer_id": "alice"}).json["cell_id"]
        self.assertEqual("team-b--alice", made)
        self.assertEqual(404, self.daemon.get(f"/api/v1/cells/{made}").status)
        self.assertEqual(204, self.ask(theirs, "DELETE", f"/api/v1/cells/{made}").status)

    def test_a_key_ends_at_once_or_at_its_time_and_is_kept_over_a_kill(self):
        kept, ended, short = self.make("read"), self.make("read"), self.make("read", expires_in_s=1)
        self.assertEqual(204, self.daemon.call("DELETE", f"/api/v1/keys/{ended['id']}").status)
        self.assertEqual((401, "unauthenticated"), self.outcome(ended, "GET", "/api/v1/cells"))
        self.daemon.restart()
        self.assertEqual(200, self.ask(kept, "GET", "/api/v1/cells").status)
        self.assertEqual((401, "unauthenticated"), self.outcome(ended, "GET", "/api/v1/cells"))
        harness.eventually("the key expires", lambda: self.outcome(short, "GET", "/api/v1/cells") == (401, "key_expired"))
        self.assertEqual(404, self.daemon.call("DELETE", f"/api/v1/keys/{ended['id']}").status)
        self.assertIsNotNone(self.listed(kept)["last_used_at"])

    def test_secrets_are_shown_once_and_stored_nowhere(self):
        key = self.make("read", "metrics", name="once", owner="team-c")
        shown = self.listed(key)
        self.assertEqual({**{k: v for k, v in key.items() if k != "secret"}}, shown)
        self.assertEqual(["read", "metrics"], shown["scopes"])
        stored = b"".join(p.read_bytes() for p in self.daemon.state.glob("registry.sqlite*"))
        self.assertNotIn(key["secret"].encode(), stored)
        self.assertNotIn(key["secret"], self.daemon.log())

    def test_the_last_admin_for_ever_stays(self):
        first = next(k for k in self.daemon.get("/api/v1/keys").json["keys"] if k["name"] == "first")
        for key in self.daemon.get("/api/v1/keys").json["keys"]:
            if key["id"] != first["id"]:
                self.daemon.call("DELETE", f"/api/v1/keys/{key['id']}")
        self.make("admin", expires_in_s=3600)
        answer = self.daemon.call("DELETE", f"/api/v1/keys/{first['id']}")
        self.assertEqual((409, "last_admin_key"), (answer.status, answer.json["code"]))

    def test_wrong_input_is_refused_by_name(self):
        good = {"name": "n", "scopes": ["read"]}
        for change, word in (({"name": ""}, "name"), ({"scopes": None}, "scopes"), ({"scopes": []}, "scopes"),
                             ({"scopes": ["root"]}, "root"), ({"owner": "a--b"}, "owner"), ({"expires_in_s": 0}, "expires_in_s"),
                             ({"scope": ["read"]}, "scope")):
            answer = self.daemon.call("POST", "/api/v1/keys", {**good, **change})
            self.assertEqual(400, answer.status, change)
            self.assertIn(word, answer.json["error"], change)

    def test_the_command_line_makes_lists_and_ends_keys(self):
        def cellar(*words, key=self.daemon.key):
            return subprocess.run([harness.BIN / "cellar", "--url", f"http://127.0.0.1:{self.daemon.port}", "--api-key", key, *words],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        made = cellar("keys", "create", "ci", "--scope", "read", "--expires", "1h")
        fields = dict(line.split(None, 1) for line in made.stdout.splitlines())
        self.assertEqual(0, made.returncode, made.stderr)
        self.assertIn(fields["id"], cellar("keys", "ls").stdout)
        refused = cellar("keys", "ls", key=fields["secret"])
        self.assertEqual(5, refused.returncode)
        self.assertIn("cellar keys create", refused.stderr)
        self.assertEqual(0, cellar("keys", "rm", fields["id"]).returncode)
        self.assertEqual(3, cellar("keys", "rm", fields["id"]).returncode)
        self.assertEqual(2, cellar("keys", "create", "ci", "--scope", "root").returncode)
