"""The network of a cell: nothing by default, exactly what is allowed."""
import contextlib
import http.server
import json
import os
import pathlib
import socket
import threading

import harness


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello from the host")

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # clients that a limit cuts off


class ServerV6(Server):
    address_family = socket.AF_INET6


def own_address():
    """An address of this machine that is no loopback one; nothing is sent. None where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.7", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


class ServedTest(harness.CellTest):
    """A server on the host's loopback that cells may or may not reach."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.serve(Server(("127.0.0.1", 0), Hello))
        cls.port = cls.server.server_port
        cls.target = f"127.0.0.1:{cls.port}"

    @classmethod
    def serve(cls, server):
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def get(self, cell, url, *options):
        return cell.exec(["curl", "-sS", "--max-time", "20", *options, url])

    def put(self, cell, policy):
        answer = cell.call("PUT", "/network", json.dumps(policy))
        self.assertEqual(200, answer.status, answer)
        return answer.json

    def start_server(self, cell, port, address="127.0.0.1"):
        """A server in the cell that answers "its own", as long as the test lasts."""
        script = (f"import socket\ns = socket.create_server(('{address}', {port}))\nprint('up', flush=True)\n"
                  "while True: c, _ = s.accept(); c.recv(999); c.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\nits own'); c.close()")
        stream = cell.daemon.stream("POST", f"{cell.path}/exec", {"cmd": ["python3", "-c", script]})
        self.addCleanup(stream.close)
        self.assertIn("up", next(e.data for e in stream if e.type == "stdout"))

    def refusals(self, cell):
        return [f"{r['domain']} {r['host']}:{r['port']} {r['reason']} {r.get('rule', '-')}"
                for r in cell.call("GET", "/network").json["refusals"]]


class NetworkTest(ServedTest):
    def test_nothing_is_reachable_by_default(self):
        cell = self.cell()
        for url in (f"http://{self.target}/", "http://169.254.169.254/", "http://10.0.0.1/", "http://1.1.1.1/",
                    "https://example.com/", f"http://[::1]:{self.port}/", f"http://localhost:{self.daemon.port}/healthz"):
            result = self.get(cell, url)
            self.assertNotIn("hello", result["stdout"], url)
            self.assertNotIn('"ok"', result["stdout"], url)

    def test_what_is_allowed_is_reachable_without_proxy_settings(self):
        cell = self.cell(allow=[self.target])
        self.assertEqual("hello from the host", self.get(cell, f"http://{self.target}/")["stdout"])
        self.assertNotIn("hello", self.get(cell, f"http://127.0.0.2:{self.port}/")["stdout"])

    def test_an_agent_reaches_what_is_allowed_too(self):
        agent = "module.exports = { async get(ctx, p) { const r = await ctx.fetch(p.url); return await r.text(); } }"
        cell = self.cell(agent=agent, allow=[self.target])
        self.assertEqual("hello from the host", cell.request("get", {"url": f"http://{self.target}/"}).json)
        other = self.cell("denied", agent=agent)
        self.assertEqual(500, other.request("get", {"url": f"http://{self.target}/"}).status)

    def test_a_change_holds_at_once_on_a_new_port_too(self):
        cell = self.cell()
        self.assertNotIn("hello", self.get(cell, f"http://{self.target}/")["stdout"])
        shown = self.put(cell, {"allow": [f"127.0.0.0/8:{self.port}"], "deny": ["127.0.0.9"]})
        self.assertEqual("hello from the host", self.get(cell, f"http://{self.target}/")["stdout"])
        self.assertNotIn("hello", self.get(cell, f"http://127.0.0.9:{self.port}/")["stdout"])
        self.assertEqual([f"shell 127.0.0.9:{self.port} denied deny 127.0.0.9"], self.refusals(cell))
        told, = harness.eventually("it is an event", lambda: cell.call("GET", "/events?types=network.*").json["events"])
        refused, = cell.call("GET", "/network").json["refusals"]
        self.assertEqual(("network.refused", refused), (told["type"], told["data"] | {"at": refused["at"]}))
        self.assertEqual(shown["policy"], self.put(cell, shown["policy"])["policy"])  # as it was shown
        self.put(cell, "deny-all")
        self.assertNotIn("hello", self.get(cell, f"http://{self.target}/")["stdout"])
        self.assertEqual(f"shell {self.target} not_listed -", self.refusals(cell)[-1])
        self.assertIn(f'add "{self.target}"', self.daemon.log())

    def test_names_that_are_not_allowed_do_not_resolve(self):
        cell = self.cell(allow=["registry.npmjs.org"])
        self.assertNotEqual(0, cell.exec("getent hosts data.in.a.name.example.com")["exit_code"])
        self.assertEqual(["shell data.in.a.name.example.com:53 not_listed -"], self.refusals(cell))

    def test_a_server_in_the_cell_is_reachable_in_the_cell(self):
        cell = self.cell()
        out = cell.exec("python3 -m http.server 8123 >/dev/null 2>&1 & for i in $(seq 90); do "
                        "curl -s --max-time 2 http://localhost:8123/ -o /dev/null && echo up && exit; sleep 0.3; done")
        self.assertEqual("up\n", out["stdout"])

    def test_a_port_that_a_program_of_the_cell_has_is_left_to_it_and_shown(self):
        cell = self.cell()
        self.start_server(cell, 8123)
        self.assertEqual([8123], self.put(cell, {"allow": ["127.0.0.1:8123", self.target]})["ports_taken"])
        self.assertEqual("its own", self.get(cell, "http://127.0.0.1:8123/")["stdout"])
        self.assertEqual("hello from the host", self.get(cell, f"http://{self.target}/")["stdout"])

    def test_any_port_of_a_listed_host_is_reached_and_the_cell_s_own_ports_stay_its_own(self):
        address = own_address()
        if address is None:
            self.skipTest("this machine has loopback addresses only")
        port = self.serve(Server((address, 0), Hello)).server_port
        cell = self.cell(allow=["example.com"])
        for own in (port, 80, 443):
            self.start_server(cell, own, "0.0.0.0")
        self.assertNotIn("its own", self.get(cell, f"http://{address}:{port}/")["stdout"])
        self.assertEqual([], self.put(cell, {"allow": [f"{address}:*"], "deny": ["*:4444"]})["ports_taken"])
        self.assertEqual("hello from the host", self.get(cell, f"http://{address}:{port}/")["stdout"])
        for own in (f"127.0.0.1:{port}", f"localhost:{port}", "127.0.0.1", "0.0.0.0:443"):
            self.assertEqual("its own", self.get(cell, f"http://{own}/")["stdout"], own)
        for other in (f"10.9.9.9:{port}", f"[2001:db8::7]:{port}", f"{address}:4444"):
            self.assertNotIn("its own", self.get(cell, f"http://{other}/")["stdout"], other)
        self.assertEqual([f"shell {address}:{port} not_listed -", f"shell 10.9.9.9:{port} not_listed -",
                          f"shell 2001:db8::7:{port} not_listed -", f"shell {address}:4444 denied deny *:4444"], self.refusals(cell))

    def test_nothing_of_its_way_out_is_left_of_a_cell_that_is_gone(self):
        def links():
            found = []
            for fd in pathlib.Path(f"/proc/{self.daemon.process.pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    found.append(os.readlink(fd))
            return len([name for name in found if "bpf" in name])

        before = links()
        cell = self.daemon.create("gone")
        cell.exec("true")
        self.assertEqual(before + 1, links())
        cell.call("POST", "/hibernate")
        self.assertEqual(before, links())
        cell.exec("true")
        cell.call("DELETE", "")
        self.assertEqual(before, links())

    def test_ipv6_addresses_are_reached_where_listed_and_told_where_not(self):
        server = self.serve(ServerV6(("::1", 0), Hello))
        cell = self.cell(allow=[f"[::1]:{server.server_port}"])
        self.assertEqual("hello from the host", self.get(cell, f"http://[::1]:{server.server_port}/")["stdout"])
        self.assertNotIn("hello", self.get(cell, "http://[2001:db8::7]/")["stdout"])
        self.assertNotIn("hello", self.get(cell, f"http://[::ffff:127.0.0.1]:{server.server_port}/")["stdout"])
        self.assertEqual(["shell 2001:db8::7:80 not_listed -", f"shell 127.0.0.1:{server.server_port} not_listed -"],
                         self.refusals(cell))


class PolicyTest(ServedTest):
    def test_the_agent_and_the_shell_may_have_policies_of_their_own(self):
        agent = "module.exports = { async get(ctx, p) { const r = await ctx.fetch(p.url); return await r.text(); } }"
        cell = self.cell(agent=agent, network={"agent": {"allow": [self.target]}})
        self.assertEqual("hello from the host", cell.request("get", {"url": f"http://{self.target}/"}).json)
        self.assertNotIn("hello", self.get(cell, f"http://{self.target}/")["stdout"])
        self.put(cell, {"allow": [self.target], "agent": "deny-all"})
        self.assertEqual(500, cell.request("get", {"url": f"http://{self.target}/"}).status)
        self.assertEqual("hello from the host", self.get(cell, f"http://{self.target}/")["stdout"])

    def test_a_policy_outlives_the_daemon_and_so_does_what_was_used(self):
        cell = self.cell(network={"allow": [self.target], "deny": ["*.evil.test"], "limits": {"connections": 7}})
        self.get(cell, f"http://{self.target}/")
        used = harness.eventually("the connection has ended", lambda: (
            n := cell.call("GET", "/network").json)["usage"]["connections_open"] == 0 and n)
        self.assertGreater(used["usage"]["bytes_up"], 50)
        self.assertGreater(used["usage"]["bytes_down"], 19)
        self.assertEqual(0, self.daemon.stop())
        self.daemon.start()
        after = cell.call("GET", "/network").json
        self.assertEqual((used["policy"], used["usage"]), (after["policy"], after["usage"]))
        self.assertEqual("hello from the host", self.get(cell, f"http://{self.target}/")["stdout"])

    def test_a_proxy_serves_those_who_want_one_by_the_same_policy(self):
        cell = self.cell(allow=[self.target])
        for proxy in ("127.0.0.1", "10.1.2.3", "[fd00::1]"):
            out = self.get(cell, f"http://{self.target}/", "--proxy", f"http://{proxy}:3128")
            self.assertEqual("hello from the host", out["stdout"], out)
        out = self.get(cell, f"http://{self.target}/", "--proxy", "http://127.0.0.1:3128", "--proxytunnel")
        self.assertEqual("hello from the host", out["stdout"], out)
        self.assertIn("403", self.get(cell, "https://10.9.9.9/", "--proxy", "http://127.0.0.1:3128")["stderr"])
        self.assertIn("may not reach 127.0.0.2",
                      self.get(cell, f"http://127.0.0.2:{self.port}/", "--proxy", "http://127.0.0.1:3128")["stdout"])
        self.assertEqual("", cell.exec("env | grep -i proxy || true")["stdout"])

    def test_limits_hold_and_say_so(self):
        cell = self.cell(network={"allow": [self.target], "limits": {"bytes": 10}})
        self.assertNotEqual(0, self.get(cell, f"http://{self.target}/")["exit_code"])
        self.assertNotEqual(0, self.get(cell, f"http://{self.target}/")["exit_code"])
        self.assertEqual([f"shell *:{self.port} byte_limit -"], self.refusals(cell))
        self.put(cell, {"allow": [self.target], "limits": {"bytes": 100000, "connections": 1}})
        self.assertEqual("hello from the host", self.get(cell, f"http://{self.target}/")["stdout"])
        hold = (f"import socket; a = socket.create_connection(('127.0.0.1', {self.port})); "
                f"a.sendall(b'GET / HTTP/1.0\\r\\n'); b = socket.create_connection(('127.0.0.1', {self.port})); "
                "b.settimeout(5); print(b.recv(1))")
        self.assertIn("ConnectionResetError", cell.exec(["python3", "-c", hold])["stderr"])
        self.assertEqual(f"shell *:{self.port} too_many_connections -", self.refusals(cell)[-1])

    def test_what_cannot_be_enforced_or_read_is_refused_and_changes_nothing(self):
        cell = self.cell(allow=[self.target])
        for policy, word in (({"rules": [{"host": "10.0.0.1", "match": {"path": "/x"}}]}, "rule 1"),
                             ({"allow": ["http://a.test"]}, "http://a.test"), ({"deny": ["a.test:0"]}, "a.test:0"),
                             ({"allow": ["10.0.0.1/8"]}, "10.0.0.0/8"), ({"presets": ["cobol"]}, "cobol"),
                             ({"alow": []}, "alow"), ("allow", "allow-all"), ([], "allow-all"), ({"allow": ["a.test:3128"]}, "3128"),
                             ({"shell": {"limits": {}}}, "limits"), ({"limits": {"connections": 4097}}, "4096"),
                             ({"limits": {"bytes_per_s": 1}}, "1024"), ({"deny": ["a.test"] * 257}, "at most 256")):
            answer = cell.call("PUT", "/network", json.dumps(policy))
            self.assertEqual(400, answer.status, policy)
            self.assertIn(word, answer.json["error"] + answer.json.get("remediation", ""), policy)
        self.assertEqual([self.target], cell.call("GET", "/network").json["policy"]["allow"])
        both = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "both", "allow": [], "network": {}})
        self.assertEqual(400, both.status)

    def test_a_hundred_refusals_are_shown_at_most(self):
        cell = self.cell()
        names = ", ".join(f"'n{i}.test'" for i in range(120))
        ask = f"import socket\nfor n in ({names}):\n try: socket.getaddrinfo(n, 80)\n except OSError: pass"
        self.assertEqual(0, cell.exec(["python3", "-c", ask])["exit_code"])
        shown = self.refusals(cell)
        self.assertEqual(100, len(shown))
        self.assertIn("n119.test", shown[-1])
