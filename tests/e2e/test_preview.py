"""Previews: what runs in a cell, seen from outside; its files where nothing runs; who may see it."""
import contextlib
import hashlib
import json
import os
import re
import socket
import urllib.parse

import harness

# A server of every kind that tests need, without a library: echoes, streams, upgrades.
SERVER = r"""
import base64, hashlib, http.server, json, os, socket, socketserver, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, type="text/plain", **fields):
        self.send_response(200)
        self.send_header("Content-Type", type)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/head":
            return self.answer(json.dumps({"path": self.path, "fields": self.headers.items()}).encode())
        if path == "/cookies":
            return self.answer(b"", Set_Cookie="a=1; Domain=cells.localhost; Path=/x", Alt_Svc="h2=\":1\"", NEL="{}", Report_To="{}")
        if path == "/sse":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for i in range(3):
                self.wfile.write(b"data: %d\n\n" % i)
                self.wfile.flush()
                while not os.path.exists("/work/go%d" % i):
                    time.sleep(0.005)
            return
        if path == "/large":
            size = int(self.path.split("?")[1])
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            piece = bytes(1 << 20)
            for _ in range(size >> 20):
                self.wfile.write(piece)
            return
        if self.headers.get("Upgrade") == "websocket":
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
            self.end_headers()
            while bytes_ := self.connection.recv(65536):
                self.connection.sendall(bytes_)
            self.close_connection = True
            return
        self.answer(b"hello from " + path.encode())

    def do_POST(self):
        body = self.body()
        self.answer(json.dumps({"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}).encode())

    do_HEAD = do_GET

    def log_message(self, *args):
        pass

class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512
    address_family = socket.AF_INET6 if len(sys.argv) > 2 else socket.AF_INET

Server((sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Visitor:
    """What a test of previews does, whatever its cells run on."""

    def serve(self, cell, port, *address):
        """Starts the server above in a cell, and waits until the daemon sees it. Gives the command's stream."""
        cell.call("PUT", "/files/.server.py", SERVER.encode())
        command = ["python3", "/work/.server.py", str(port), *address]
        stream = self.daemon.stream("POST", cell.path + "/exec", {"cmd": command})
        self.addCleanup(stream.close)
        harness.eventually("the server listens", lambda: port in self.ports(cell))
        return stream

    def ports(self, cell):
        return [entry["port"] for entry in cell.get()["ports"]]

    def host(self, cell, port=None):
        return (f"{port}--" if port else "") + f"{cell.id}.cells.localhost"

    def visit(self, cell, path="/", method="GET", port=None, body=None, **fields):
        headers = {"Host": self.host(cell, port), **{name.replace("_", "-"): value for name, value in fields.items()}}
        return self.answer_to(path, method, body, headers)

    def answer_to(self, path, method="GET", body=None, headers=None):
        connection = self.daemon.connect()
        headers = {"Authorization": f"Bearer {self.daemon.key}", **(headers or {})}
        connection.request(method, path, body, {name: value for name, value in headers.items() if value is not None})
        response = connection.getresponse()
        answer = harness.Answer(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return answer


class BehindProxyTest(Visitor, harness.CellTest):
    options = ("--preview-domain", "cells.localhost", "--trusted-proxies", "127.0.0.1,10.0.0.1")

    def test_ports_that_open_and_close_are_told_without_anybody_asking(self):
        cell = self.cell("opens")
        cell.call("PUT", "/files/.server.py", SERVER.encode())
        told = iter(self.daemon.stream("GET", cell.path + "/events?types=port.*"))
        process = cell.call("POST", "/processes", {"cmd": "exec python3 .server.py 8090"}).json["id"]
        opened = next(told)
        self.assertEqual(("port.opened", {"port": 8090}), (opened.type, opened.json["data"]))
        cell.call("DELETE", f"/processes/{process}")
        closed = next(told)
        self.assertEqual(("port.closed", {"port": 8090}), (closed.type, closed.json["data"]))

    def test_what_a_trusted_proxy_says_of_the_visitor_counts(self):
        cell = self.cell()
        self.serve(cell, 8080)
        told = self.visit(cell, "/head", X_Forwarded_For="1.2.3.4", X_Forwarded_Proto="https").json["fields"]
        self.assertIn(["X-Forwarded-For", "1.2.3.4, 127.0.0.1"], told)
        self.assertIn(["X-Forwarded-Proto", "https"], told)
        link = cell.call("POST", "/preview-links", {}).json["url"]
        opened = self.visit(cell, "/?" + link.split("?")[1], X_Forwarded_Proto="https")
        self.assertIn("; Secure; SameSite=None; Partitioned", opened.headers["Set-Cookie"])


class PreviewTest(Visitor, harness.CellTest):
    options = ("--preview-domain", "cells.localhost")

    def raw(self, *parts):
        """Sends bytes, and gives all that comes back."""
        with socket.create_connection(("127.0.0.1", self.daemon.port), timeout=harness.WAIT_S) as connection:
            for part in parts:
                connection.sendall(part if isinstance(part, bytes) else part.encode())
            whole = b""
            while piece := connection.recv(65536):
                whole += piece
            return whole.decode(errors="replace")

    def head(self, cell, line="GET / HTTP/1.1", *fields, key=None):
        return "\r\n".join([line, f"Host: {self.host(cell)}", f"X-API-Key: {key or self.daemon.key}", *fields]) + "\r\n\r\n"

    def open_socket(self, cell, key=None):
        """A WebSocket to the cell's server, as raw bytes after the handshake."""
        connection = socket.create_connection(("127.0.0.1", self.daemon.port), timeout=harness.WAIT_S)
        self.addCleanup(connection.close)
        connection.sendall(self.head(cell, "GET /ws HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket",
                                     "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", key=key).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        return connection, head.decode()

    def echo(self, connection, text):
        connection.sendall(text)
        got = b""
        while len(got) < len(text):
            got += connection.recv(65536)
        self.assertEqual(text, got)

    # ---- a server in the cell ----

    def test_a_server_is_reached_by_its_port_and_as_the_default_one(self):
        cell = self.cell()
        self.serve(cell, 8080)
        self.assertEqual(b"hello from /a/b", self.visit(cell, "/a/b?c=%20").body)
        self.assertEqual(b"hello from /a", self.visit(cell, "/a?100%").body)
        self.assertEqual(b"hello from /", self.visit(cell, port=8080).body)
        self.serve(cell, 5173, "::1")
        self.assertEqual(b"hello from /", self.visit(cell, port=5173).body)
        self.assertEqual(5173, min(self.ports(cell)))
        cell.call("POST", "/preview", {"port": 8080})
        self.assertEqual(8080, cell.get()["preview"]["port"])
        view = cell.get()
        self.assertEqual(f"http://{self.host(cell)}/", view["preview_url"])

    def test_what_does_not_listen_is_told_in_the_words_of_who_asks(self):
        cell = self.cell(allow=["127.0.0.1:9"])
        cell.exec("true")  # The daemon's own listeners are there now; 80, 443 and 9 among them.
        for port in (8099, 443, 80, 53, 9):
            answer = self.visit(cell, port=port)
            self.assertEqual((502, "nothing_listens"), (answer.status, answer.json["code"]), port)
        page = self.visit(cell, port=8099, Accept="text/html,*/*")
        self.assertIn("text/html", page.headers["Content-Type"])
        self.assertIn(b"nothing listens on port 8099", page.body)

    def test_the_server_gets_what_the_client_sent_and_nothing_that_opens_the_preview(self):
        cell = self.cell()
        self.serve(cell, 8080)
        answer = self.visit(cell, "/head?x=1&cellar_token=t", "GET", X_Forwarded_For="6.6.6.6", Forwarded="for=6.6.6.6",
                            Cookie="mine=1; cellar_preview=t", X_API_Key=self.daemon.key, Accept="a/b", Connection="X-Drop",
                            X_Drop="1")
        told = answer.json
        fields = {name.lower(): value for name, value in told["fields"]}
        self.assertEqual("/head?x=1", told["path"])
        self.assertEqual(self.host(cell), fields["host"])
        self.assertEqual(("127.0.0.1", self.host(cell), "http"),
                         tuple(fields["x-forwarded-" + name] for name in ("for", "host", "proto")))
        self.assertEqual(("mine=1", "a/b"), (fields["cookie"], fields["accept"]))
        for gone in ("authorization", "x-api-key", "forwarded", "x-drop"):
            self.assertNotIn(gone, fields)
        self.assertNotIn(self.daemon.key, json.dumps(told))
        other = self.visit(cell, "/head", X_Forwarded_For="6.6.6.6", X_Forwarded_Proto="https").json
        self.assertNotIn("6.6.6.6", json.dumps(other))
        written_otherwise = self.raw(self.head(cell, "GET /head HTTP/1.1", "X_Forwarded_For: 6.6.6.6", "X_Own: 1", "Connection: close"))
        self.assertIn("X_Own", written_otherwise)
        self.assertNotIn("6.6.6.6", written_otherwise)
        of_its_own = self.visit(cell, "/head", Authorization="Bearer of-the-app", X_API_Key=self.daemon.key).json
        self.assertIn(["Authorization", "Bearer of-the-app"], of_its_own["fields"])

    def test_bodies_go_through_as_they_come_in_both_ways(self):
        cell = self.cell()
        self.serve(cell, 8080)
        size = 100 << 20
        piece = os.urandom(1 << 20)
        digest = hashlib.sha256(piece * 100).hexdigest()
        told = self.visit(cell, "/", "POST", body=iter([piece] * 100), Content_Length=str(size)).json
        self.assertEqual({"size": size, "sha256": digest}, told)
        told = self.visit(cell, "/", "POST", body=iter([b"abc", b"def"])).json
        self.assertEqual(hashlib.sha256(b"abcdef").hexdigest(), told["sha256"])
        before = self.memory()
        connection, response = self.daemon.open("GET", f"/large?{size}", headers={"Host": self.host(cell)})
        self.assertEqual(str(size), response.getheader("Content-Length"))
        got = 0
        while bytes_ := response.read(1 << 20):
            got += len(bytes_)
        connection.close()
        self.assertEqual(size, got)
        self.assertLess(self.memory() - before, 32 << 20)

    def memory(self):
        status = open(f"/proc/{self.daemon.process.pid}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) << 10

    def test_events_come_as_they_happen(self):
        cell = self.cell()
        self.serve(cell, 8080)
        stream = self.daemon.stream("GET", "/sse", headers={"Host": self.host(cell)})
        events = iter(stream)
        for i in range(3):
            self.assertEqual(str(i), next(events).data)
            cell.call("PUT", f"/files/go{i}", b"")
        self.assertIsNone(next(events, None))
        stream.close()

    def test_a_connection_serves_several_requests(self):
        cell = self.cell()
        self.serve(cell, 8080)
        reply = self.raw(self.head(cell, "GET /one HTTP/1.1"), self.head(cell, "HEAD /two HTTP/1.1"),
                         self.head(cell, "GET /three HTTP/1.1", "Connection: close"))
        self.assertEqual(3, reply.count("HTTP/1.1 200 OK"))
        self.assertIn("hello from /one", reply)
        self.assertNotIn("hello from /two", reply)
        self.assertTrue(reply.endswith("hello from /three"))

    def test_a_request_is_not_smuggled_into_another(self):
        cell = self.cell()
        self.serve(cell, 8080)
        inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        for fields in (("Content-Length: 5", "Transfer-Encoding: chunked"), ("Content-Length: 3", "Content-Length: 5"),
                       ("Transfer-Encoding: gzip, chunked",), ("Transfer-Encoding: chunked, identity",),
                       ("Transfer-Encoding : chunked",), ("Content-Length: +5",), (f"Host: {self.host(cell)}",),
                       ("Transfer-Encoding: chunked", "Transfer-Encoding: identity")):
            reply = self.raw(self.head(cell, "POST / HTTP/1.1", *fields), "0\r\n\r\n", inner)
            self.assertTrue(reply.startswith("HTTP/1.1 400"), (fields, reply))
            self.assertEqual(1, reply.count("HTTP/1.1 4"), (fields, reply))
        old = self.raw(f"GET /preview/{cell.id}/a HTTP/1.0\r\nX-API-Key: {self.daemon.key}\r\n\r\n")
        self.assertTrue(old.endswith("\r\n\r\nhello from /a"), old)
        for line in ("GET http://other/ HTTP/1.1", "CONNECT x:1 HTTP/1.1", "GET * HTTP/1.1"):
            self.assertTrue(self.raw(self.head(cell, line)).startswith("HTTP/1.1 400"), line)
        # What follows a declined upgrade is a request of its own, with its own key or without.
        reply = self.raw(self.head(cell, "GET /a HTTP/1.1", "Connection: Upgrade", "Upgrade: other"),
                         f"GET /b HTTP/1.1\r\nHost: {self.host(cell)}\r\nConnection: close\r\n\r\n")
        self.assertIn("hello from /a", reply)
        self.assertNotIn("hello from /b", reply)

    def test_a_web_socket_echoes_and_keeps_the_cell_awake(self):
        cell = self.cell(idle_timeout_s=1)
        stream = self.serve(cell, 8080)
        connection, head = self.open_socket(cell)
        self.assertTrue(head.startswith("HTTP/1.1 101"), head)
        self.echo(connection, os.urandom(300_000))
        blockers = [blocker for blocker in cell.get()["idle"]["blockers"] if blocker["kind"] == "preview"]
        self.assertEqual(["its port, websocket"], [blocker["detail"] for blocker in blockers])
        connection.close()
        harness.eventually("the connection is gone", lambda: "preview" not in json.dumps(cell.get()["idle"]))
        stream.close()
        harness.eventually("the cell pauses", lambda: cell.get()["state"] == "paused")

    def test_bytes_for_a_paused_cell_wake_it(self):
        cell = self.cell()
        self.serve(cell, 8080)
        connection, _ = self.open_socket(cell)
        cell.call("POST", "/pause")
        self.assertEqual("paused", cell.get()["state"])
        self.echo(connection, b"wake up")
        self.assertEqual("active", cell.get()["state"])
        cell.call("POST", "/pause")
        self.assertEqual(b"hello from /", self.visit(cell).body)

    def test_connections_end_with_their_cell(self):
        cell = self.cell()
        self.serve(cell, 8080)
        connection, _ = self.open_socket(cell)
        busy = cell.call("POST", "/hibernate")
        self.assertEqual((409, "cell_busy"), (busy.status, busy.json["code"]))
        self.assertEqual(204, cell.call("DELETE").status)
        self.assertEqual(b"", connection.recv(1))
        self.assertEqual(404, self.visit(cell).status)

    def test_a_hibernated_cell_wakes_for_its_preview(self):
        cell = self.cell()
        self.serve(cell, 8080).close()
        cell.call("PUT", "/files/index.html", b"<p>asleep")
        harness.eventually("it hibernates", lambda: cell.call("POST", "/hibernate").status == 200)
        self.assertEqual([], self.ports(cell))
        self.assertEqual(b"<p>asleep", self.visit(cell).body)
        self.assertEqual("active", cell.get()["state"])
        self.serve(cell, 8080)
        self.assertEqual(b"hello from /", self.visit(cell).body)

    def test_a_preview_is_there_after_a_restart_of_the_daemon(self):
        cell = self.cell()
        cell.exec("true")
        cell.call("PUT", "/files/index.html", b"there")
        link = cell.call("POST", "/preview-links", {}).json["url"]
        self.daemon.restart()
        self.assertEqual(b"there", self.visit(cell).body)
        self.serve(cell, 8080)
        self.assertEqual(b"hello from /", self.visit(cell).body)
        self.assertEqual(303, self.follow(link).status)

    def test_above_the_limit_of_connections_others_wait(self):
        cell = self.cell()
        self.serve(cell, 8080)
        held = [self.open_socket(cell)[0] for _ in range(256)]
        answer = self.visit(cell)
        self.assertEqual((503, "too_many_connections"), (answer.status, answer.json["code"]))
        self.assertIn("Retry-After", answer.headers)
        held[0].close()
        harness.eventually("there is room", lambda: self.visit(cell).status == 200)

    # ---- files ----

    def test_without_a_server_files_are_shown(self):
        cell = self.cell()
        self.assertEqual(404, self.visit(cell).status)
        cell.call("PUT", "/files/index.html", b"<h1>hi")
        cell.call("PUT", "/files/sub/index.html", b"sub")
        cell.call("PUT", "/files/a%20b.css", b"0123456789")
        page = self.visit(cell)
        self.assertEqual((200, b"<h1>hi", "text/html; charset=utf-8"), (page.status, page.body, page.headers["Content-Type"]))
        self.assertEqual("/sub/", self.visit(cell, "/sub").headers["Location"])
        self.assertEqual(b"sub", self.visit(cell, "/sub/").body)
        self.assertEqual(b"", self.visit(cell, method="HEAD").body)
        again = self.visit(cell, If_None_Match=page.headers["ETag"])
        self.assertEqual((304, b""), (again.status, again.body))
        self.assertEqual(405, self.visit(cell, method="POST", body=b"").status)
        part = self.visit(cell, "/a%20b.css", Range="bytes=2-4")
        self.assertEqual((206, b"234", "bytes 2-4/10"), (part.status, part.body, part.headers["Content-Range"]))
        self.assertEqual(416, self.visit(cell, "/a%20b.css", Range="bytes=10-").status)
        self.assertEqual(b"0123456789", self.visit(cell, "/a%20b.css", Range="bytes=2-4", If_Range='"old"').body)

    def test_no_file_outside_and_no_hidden_one_is_shown(self):
        cell = self.cell()
        for path in (".env", ".git/config", "sub/.git/config"):
            cell.call("PUT", "/files/" + path, b"secret")
        cell.exec("ln -s /etc/passwd out; ln -s / root; mkfifo pipe; ln -s .env shown; ln -s loop loop")
        for path in ("/.env", "/.git/config", "/sub/.git/config", "/%2egit/config", "/out", "/root/etc/passwd", "/pipe",
                     "/..%2f..%2fetc/passwd", "/../etc/passwd", "/a%00b", "/%zz", "/loop", "/index.html/x", "/" + "x" * 300):
            answer = self.visit(cell, path)
            self.assertEqual(404, answer.status, (path, answer))
            self.assertNotIn(b"secret", answer.body)

    def test_a_page_calls_the_agent(self):
        cell = self.cell(agent="module.exports = { add(ctx, p) { return p.a + p.b; }, db_report() { return 'own'; } }")
        self.assertEqual("own", self.visit(cell, "/request", "POST", body=json.dumps({"method": "db_report"})).json)
        call = {"method": "add", "params": {"a": 1, "b": 2}}
        self.assertEqual(3, self.visit(cell, "/request", "POST", body=json.dumps(call)).json)
        large = self.visit(cell, "/request", "POST", body=json.dumps({**call, "method": "x" * (1 << 20)}))
        self.assertEqual(413, large.status)
        cell.call("PUT", "/files/.env", b"KEY=1")
        for method, params in (("read_file", {"path": ".env"}), ("write_file", {"path": "x", "content": ""}), ("list_files", {}),
                               ("db_keys", {}), ("db_set", {"key": "k", "value": 1}), ("logs", {}), ("journal", {}), ("metrics", {})):
            answer = self.visit(cell, "/request", "POST", body=json.dumps({"method": method, "params": params}))
            self.assertEqual((403, "method_not_for_visitors"), (answer.status, answer.json["code"]), method)
        once = {"Idempotency-Key": "invoice-1"}
        self.assertEqual(5, self.visit(cell, "/request", "POST", body=json.dumps({**call, "params": {"a": 1, "b": 4}}), **once).json)
        self.assertEqual(3, cell.call("POST", "/request", call, once).json)  # The owner's keys are the owner's.
        foreign = self.visit(cell, "/request", "POST", body=json.dumps(call), Origin="http://evil")
        self.assertEqual((401, "foreign_origin"), (foreign.status, foreign.json["code"]))

    # ---- who may see it ----

    def follow(self, url, **fields):
        parts = urllib.parse.urlsplit(url)
        path = parts.path + ("?" + parts.query if parts.query else "")
        return self.answer_to(path, headers={"Host": parts.netloc, "Authorization": None, **fields})

    def test_a_preview_is_private_until_it_is_made_public(self):
        cell = self.cell()
        cell.call("PUT", "/files/index.html", b"hi")
        stranger = self.visit(cell, Authorization=None)
        nobody = self.follow("http://dev--nobody.cells.localhost/")
        self.assertEqual((401, "preview_private"), (stranger.status, stranger.json["code"]))
        self.assertEqual((401, "preview_private"), (nobody.status, nobody.json["code"]))
        self.assertEqual(401, self.visit(cell, Authorization="Bearer wrong-key-1").status)
        self.assertEqual(404, self.visit(cell, Host="dev--nobody.cells.localhost").status)
        self.assertEqual("private", cell.get()["preview"]["access"])
        self.assertEqual("public", cell.call("POST", "/preview", {"access": "public"}).json["preview"]["access"])
        self.assertEqual(b"hi", self.visit(cell, Authorization=None).body)
        cell.call("POST", "/preview", {"access": "private"})
        self.assertEqual(401, self.visit(cell, Authorization=None).status)
        wrong = cell.call("POST", "/preview", {"access": "open"})
        self.assertEqual((400, "invalid_preview_access"), (wrong.status, wrong.json["code"]))

    def test_a_link_opens_the_preview_and_becomes_a_cookie(self):
        cell = self.cell()
        cell.call("PUT", "/files/index.html", b"hi")
        made = cell.call("POST", "/preview-links", {"expires_in_s": 60})
        self.assertEqual(201, made.status)
        url = made.json["url"]
        answer = self.follow(url + "&x=1")
        self.assertEqual((303, "/?x=1"), (answer.status, answer.headers["Location"]))
        cookie = answer.headers["Set-Cookie"]
        self.assertIn("; HttpOnly; SameSite=Lax", cookie)
        value = cookie.split(";")[0]
        base = url.split("?")[0]
        self.assertEqual(b"hi", self.follow(base, Cookie=value).body)
        self.assertEqual(b"hi", self.follow(base, Cookie="cellar_preview=planted; " + value).body)
        # Another cell's preview, another site's page and a changed token open nothing.
        other = self.cell("other-one")
        self.assertEqual(401, self.visit(other, Authorization=None, Cookie=value).status)
        self.assertEqual(401, self.follow(url.replace(cell.id, other.id)).status)
        self.assertEqual("foreign_origin", self.visit(cell, "/", "POST", Authorization=None, Cookie=value, Origin="http://x").json["code"])
        token = url.split("=")[1]
        for changed in (token[:-1] + ("0" if token[-1] != "0" else "1"), token.replace(".0.", ".1."), "1.9999999999.0.x", ""):
            self.assertEqual(401, self.follow(f"{base}?cellar_token={changed}").status, changed)
        self.assertEqual("/evil", self.follow(url.replace("/?", "//evil?")).headers["Location"])
        self.assertEqual(0o600, os.stat(self.daemon.state / "preview.key").st_mode & 0o777)

    def test_a_connection_ends_with_the_key_that_opened_it(self):
        cell = self.cell()
        self.serve(cell, 8080)
        key = self.daemon.call("POST", "/api/v1/keys", {"name": "short", "scopes": ["write"]}).json
        connection, head = self.open_socket(cell, key["secret"])
        self.assertTrue(head.startswith("HTTP/1.1 101"), head)
        self.echo(connection, b"before")
        self.assertEqual(204, self.daemon.call("DELETE", f"/api/v1/keys/{key['id']}").status)
        connection.sendall(b"after")
        with contextlib.suppress(ConnectionResetError):
            self.assertEqual(b"", connection.recv(65536))

    def test_a_link_ends(self):
        cell = self.cell()
        cell.call("PUT", "/files/index.html", b"hi")
        url = cell.call("POST", "/preview-links", {"expires_in_s": 1}).json["url"]
        harness.eventually("the link is over", lambda: self.follow(url).status == 401)
        for wrong in ({"expires_in_s": 0}, {"expires_in_s": 8 * 86400}, {"port": 0}, {"prot": 1}):
            self.assertEqual(400, cell.call("POST", "/preview-links", wrong).status, wrong)
        of_a_port = cell.call("POST", "/preview-links", {"port": 8080}).json["url"]
        self.assertTrue(of_a_port.startswith(f"http://8080--{cell.id}.cells.localhost/"))
        self.assertEqual(401, self.follow(of_a_port.replace("8080--", "")).status)

    def test_a_preview_never_shows_the_api(self):
        cell = self.cell()
        answer = self.visit(cell, "/api/v1/cells")
        self.assertEqual((404, "file_not_found"), (answer.status, answer.json["code"]))
        api = self.daemon.get("/api/v1/cells", {"Origin": "null"})
        self.assertNotIn("Access-Control-Allow-Origin", api.headers)

    # ---- paths, where there are no names ----

    def test_a_preview_has_a_path_too_of_another_origin_than_the_api(self):
        cell = self.cell()
        path = f"/preview/{cell.id}"
        self.assertEqual(path + "/", self.answer_to(path).headers["Location"])
        cell.call("PUT", "/files/index.html", b"hi")
        page = self.answer_to(path + "/")
        self.assertEqual(b"hi", page.body)
        self.assertNotIn("Access-Control-Allow-Origin", page.headers)
        cell.call("POST", "/preview", {"access": "public"})
        self.assertEqual("*", self.answer_to(path + "/").headers["Access-Control-Allow-Origin"])
        cell.call("POST", "/preview", {"access": "private"})
        self.serve(cell, 8080)
        for page in (page, self.answer_to(path + "/a"), self.answer_to(path + "/9/")):
            self.assertTrue(page.headers["Content-Security-Policy"].startswith("sandbox "))
            self.assertNotIn("allow-same-origin", page.headers["Content-Security-Policy"])
        told = self.answer_to(path + "/8080/head?x").json
        fields = {name.lower(): value for name, value in told["fields"]}
        self.assertEqual(("/head?x", path + "/8080"), (told["path"], fields["x-forwarded-prefix"]))
        given = self.answer_to(path + "/8080/cookies").headers
        self.assertEqual(f"a=1; Path={path}/8080/x", given["Set-Cookie"])
        self.assertEqual([], [name for name in ("Alt-Svc", "NEL", "Report-To") if name in given])
        self.assertEqual("a=1; Path=/x", self.visit(cell, "/cookies").headers["Set-Cookie"])
        link = urllib.parse.urlsplit(cell.call("POST", "/preview-links", {}).json["url"])
        self.assertEqual(f"{cell.id}.cells.localhost", link.netloc)
        token = {"Authorization": None, "Cookie": "cellar_preview=" + link.query.split("=")[1]}
        self.assertEqual(200, self.answer_to(path + "/8080/", headers=token).status)
        part = {**token, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        self.assertEqual(401, self.answer_to(path + "/8080/", headers=part).status)
        script_of_the_dashboard = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"}
        self.assertEqual(401, self.answer_to(path + "/8080/", headers=script_of_the_dashboard).status)
        self.assertEqual(200, self.answer_to(path + "/8080/", headers={"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}).status)
        self.assertEqual("same-origin", self.visit(cell, "/").headers["Cross-Origin-Resource-Policy"])
        cell.call("POST", "/preview", {"access": "public"})
        self.assertNotIn("Cross-Origin-Resource-Policy", self.visit(cell, "/").headers)
