"""Tokens for browsers: one cell, least rights, some hours; and which pages may ask."""
import contextlib
import http.client
import socket

import harness

APP = "https://app.example.com"


class TokensTest(harness.CellTest):
    options = ("--cors-origin", APP)

    def token(self, cell, *scopes, **fields):
        answer = cell.call("POST", "/tokens", {"scopes": list(scopes), **fields})
        self.assertEqual(201, answer.status, answer)
        return answer.json["token"]

    def outcome(self, token, method, path, body=None):
        answer = self.daemon.call(method, path, body, {"Authorization": f"Bearer {token}"})
        return answer.status, answer.json["code"] if answer.status >= 400 else None

    def handshake(self, path, *fields):
        """The head of the answer to a WebSocket of a browser, which sends no Authorization."""
        with socket.create_connection(("127.0.0.1", self.daemon.port), timeout=harness.WAIT_S) as wire:
            wire.sendall("\r\n".join([
                f"GET {path} HTTP/1.1", "Host: x", f"Origin: {APP}", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", *fields, "", ""]).encode())
            head = wire.makefile("rb")
            lines = [head.readline().decode().strip()]
            while line := head.readline().decode().strip():
                lines.append(line)
        return int(lines[0].split()[1]), [line.split(": ", 1)[1] for line in lines if line.lower().startswith("sec-websocket-protocol")]

    def test_a_token_opens_its_cell_for_its_scopes_and_gives_nothing_away(self):
        cell, other = self.cell(), self.cell("another")
        cell.call("PUT", "/files/x", b"1")
        reads, writes = self.token(cell, "read"), self.token(cell, "read", "write")
        self.assertEqual((200, None), self.outcome(reads, "GET", f"{cell.path}/files/x"))
        self.assertEqual((403, "missing_scope"), self.outcome(reads, "POST", f"{cell.path}/exec", {"cmd": "true"}))
        self.assertEqual((200, None), self.outcome(writes, "POST", f"{cell.path}/exec", {"cmd": "true"}))
        for method, path, body in (("GET", "/api/v1/cells", None), ("GET", "/api/v1/keys", None), ("GET", "/metrics", None),
                                   ("DELETE", cell.path, None), ("POST", f"{cell.path}/tokens", {"scopes": ["read"]}),
                                   ("PUT", f"{cell.path}/network", {}), ("POST", f"{cell.path}/preview", {}),
                                   ("POST", f"{cell.path}/preview-links", {}), ("POST", f"{cell.path}/permanent", {"permanent": True}),
                                   ("POST", f"{cell.path}/keep-alive", {"seconds": 1}), ("POST", f"{cell.path}/wake-at", {"in_s": 1})):
            self.assertEqual((403, "key_required"), self.outcome(writes, method, path, body), (method, path))
        self.assertEqual((401, "token_invalid"), self.outcome(writes, "GET", other.path))
        self.assertEqual((401, "token_invalid"), self.outcome(writes, "GET", "/api/v1/cells/dev--nobody"))
        self.assertEqual((401, "token_invalid"), self.outcome(writes[:-1] + "x", "GET", cell.path))
        cell.call("DELETE")
        self.cell()  # The same customer's, and another one.
        self.assertEqual((401, "token_invalid"), self.outcome(writes, "GET", cell.path))

    def test_a_token_ends_at_its_time_and_with_its_key(self):
        cell = self.cell()
        key = self.daemon.call("POST", "/api/v1/keys", {"name": "app", "scopes": ["write"]}).json
        made = self.daemon.call("POST", f"{cell.path}/tokens", {"scopes": ["read"]}, {"Authorization": f"Bearer {key['secret']}"}).json["token"]
        short = self.token(cell, "read", expires_in_s=1)
        self.daemon.restart()
        self.assertEqual((200, None), self.outcome(made, "GET", cell.path))
        self.daemon.call("DELETE", f"/api/v1/keys/{key['id']}")
        self.assertEqual((401, "token_invalid"), self.outcome(made, "GET", cell.path))
        harness.eventually("the token expires", lambda: self.outcome(short, "GET", cell.path) == (401, "token_expired"))

    def test_what_goes_on_ends_with_its_key(self):
        cell = self.cell()
        key = self.daemon.call("POST", "/api/v1/keys", {"name": "app", "scopes": ["write"]}).json
        secret = {"Authorization": f"Bearer {key['secret']}"}
        token = self.daemon.call("POST", f"{cell.path}/tokens", {"scopes": ["write"]}, secret).json["token"]
        process = cell.call("POST", "/processes", {"cmd": "while :; do echo x; sleep 0.05; done"}).json["id"]
        log = self.daemon.stream("GET", f"{cell.path}/processes/{process}/log", headers={**secret, "Accept": "text/event-stream"})
        self.assertEqual(200, log.status)
        with socket.create_connection(("127.0.0.1", self.daemon.port), timeout=harness.WAIT_S) as wire:
            wire.sendall("\r\n".join([f"GET {cell.path}/processes/{process}/attach?token={token} HTTP/1.1", "Host: x", "Connection: Upgrade",
                                      "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
                                      "", ""]).encode())
            self.assertIn(b" 101 ", wire.recv(100))
            self.assertEqual(204, self.daemon.call("DELETE", f"/api/v1/keys/{key['id']}").status)
            seen = b""
            while b"key_ended" not in seen:
                piece = wire.recv(65536)
                self.assertTrue(piece, seen)
                seen += piece
        with contextlib.suppress(http.client.HTTPException, ConnectionError):
            while log.response.read1(65536):
                pass
        log.close()
        self.assertEqual("running", cell.call("GET", f"/processes/{process}").json["status"])

    def test_browsers_bring_it_in_the_address_or_a_subprotocol(self):
        cell = self.cell()
        token, reads = self.token(cell, "write"), self.token(cell, "read")
        stream = self.daemon.stream("GET", f"{cell.path}/events?token={token}", headers={"Authorization": None})
        self.assertEqual(200, stream.status)
        stream.close()
        attach = cell.call("POST", "/processes", {"cmd": "sleep 100"}).json["id"].join((f"{cell.path}/processes/", "/attach"))
        offered = f"Sec-WebSocket-Protocol: cellar.token.{token}"
        self.assertEqual((101, ["cellar"]), self.handshake(attach, offered + ", cellar"))
        self.assertEqual((101, [f"cellar.token.{token}"]), self.handshake(attach, offered))
        self.assertEqual((101, []), self.handshake(f"{attach}?token={token}"))
        self.assertEqual(403, self.handshake(f"{attach}?token={reads}")[0])
        self.assertEqual(401, self.handshake(attach)[0])
        in_address = {"Authorization": None}
        self.assertEqual(401, self.daemon.call("POST", f"{cell.path}/exec?token={token}", {"cmd": "true"}, in_address).status)
        self.assertEqual(401, self.daemon.get(f"{cell.path}?token={self.daemon.key}", in_address).status)
        self.assertNotIn(token, self.daemon.log())

    def test_a_servers_own_page_never_sees_it(self):
        cell = self.cell()
        cell.call("POST", "/preview", {"access": "public"})
        cell.exec("cat > s.py <<'E'\nimport http.server\nclass H(http.server.BaseHTTPRequestHandler):\n def do_GET(self):\n"
                  "  self.send_response(200); self.end_headers(); self.wfile.write(str(self.headers).encode())\n"
                  "http.server.HTTPServer(('127.0.0.1', 3000), H).serve_forever()\nE")
        cell.call("POST", "/processes", {"cmd": "python3 s.py"})
        token = self.token(cell, "read")

        def page():
            connection, answer = self.daemon.open("GET", f"/preview/{cell.id}/3000/", headers={"Authorization": f"Bearer {token}"})
            body = answer.read()
            connection.close()
            return answer.status == 200 and body
        self.assertNotIn(token.encode(), harness.eventually("the server answers", page))

    def test_wrong_input_is_refused_by_name(self):
        cell = self.cell()
        for body, word in (({}, "scopes"), ({"scopes": []}, "scopes"), ({"scopes": ["admin"]}, "scopes"),
                           ({"scopes": ["read"], "expires_in_s": 86401}, "expires_in_s"), ({"scopes": ["read"], "ttl": 1}, "ttl")):
            answer = cell.call("POST", "/tokens", body)
            self.assertEqual(400, answer.status, body)
            self.assertIn(word, answer.json["error"], body)

    def test_only_pages_that_are_listed_get_leave(self):
        cell = self.cell()
        ask = {"Origin": APP, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization", "Authorization": None}

        def preflight(**changes):
            connection, answer = self.daemon.open("OPTIONS", f"{cell.path}/files/x", headers={**ask, **changes})
            answer.read()
            connection.close()
            return answer.status, answer.headers.get("Access-Control-Allow-Origin")
        self.assertEqual((204, APP), preflight())
        self.assertEqual((405, None), preflight(Origin="https://evil.example.com"))
        for path, headers in ((cell.path, {}), ("/api/v1/cells/dev--nobody", {}), (cell.path, {"Authorization": None})):
            answer = self.daemon.get(path, {"Origin": APP, **headers})
            self.assertEqual((APP, "Origin"), (answer.headers["Access-Control-Allow-Origin"], answer.headers["Vary"]))
        stream = self.daemon.stream("GET", f"{cell.path}/events", headers={"Origin": APP})
        self.assertEqual(APP, stream.headers["Access-Control-Allow-Origin"])
        stream.close()
        self.assertNotIn("Access-Control-Allow-Origin", self.daemon.get(cell.path, {"Origin": "https://evil.example.com"}).headers)
