"""From inside of a cell whose policy allows much: nothing else is reached."""
import http.server
import threading

import harness

# Sends what it is given as it is, and prints what comes back.
RAW = """
import socket, sys
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
peer.sendall(sys.argv[3].encode().decode('unicode_escape').encode('latin-1'))
answer = b''
try:
    while piece := peer.recv(65536): answer += piece
except OSError as error: answer += repr(error).encode()
print(answer.decode('latin-1'))
"""
# The address that the cell's resolver gives for a name, whatever /etc/hosts says.
ASK = """
import socket, sys
name = b''.join(bytes([len(part)]) + part.encode() for part in sys.argv[1].split('.'))
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.settimeout(5)
peer.sendto(b'\\x12\\x34\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0' + name + b'\\0\\0\\x01\\0\\x01', ('9.9.9.9', 53))
answer = peer.recv(512)
print('.'.join(map(str, answer[-4:])) if answer[7] else 'none')
"""


class NetworkAttackTest(harness.CellTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seen = []

        class Host(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                cls.seen.append(f"{self.command} {self.path}")
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                to = self.path.removeprefix("/to/")
                self.send_response(302 if to != self.path else 200)
                if to != self.path:
                    self.send_header("Location", f"http://{to}/")
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"hello")

            do_GET = do_POST = answer

            def log_message(self, *args):
                pass

        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host)
        cls.addClassCleanup(cls.server.server_close)
        cls.addClassCleanup(cls.server.shutdown)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.port = cls.server.server_port
        cls.target = f"127.0.0.1:{cls.port}"

    def setUp(self):
        super().setUp()
        self.seen.clear()

    def reasons(self, cell):
        return {f"{r['host']}:{r['port']} {r['reason']}" for r in cell.call("GET", "/network").json["refusals"]}

    def get(self, cell, url, *options):
        return cell.exec(["curl", "-sS", "--max-time", "5", *options, url])["stdout"]

    def test_services_of_the_host_are_not_reached_by_any_form_of_their_address(self):
        cell = self.cell(network={"allow": ["*", f"0.0.0.0/0:{self.port}", "[::/0]:*"]})
        for host in ("127.0.0.1", "127.1.2.3", "0.0.0.0", "localhost", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]",
                     "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "2130706433", "0177.0.0.1", "0x7f.1"):
            for options in ((), ("--proxy", "http://127.0.0.1:3128"), ("--proxy", "http://127.0.0.1:3128", "--proxytunnel")):
                self.assertNotIn("hello", self.get(cell, f"http://{host}:{self.port}/", *options), (host, options))
        self.assertEqual([], self.seen)
        self.assertIn(f"127.0.0.1:{self.port} private_address", self.reasons(cell))
        self.assertIn(f"::1:{self.port} private_address", self.reasons(cell))

    def test_metadata_and_private_networks_stay_closed_when_all_is_allowed(self):
        cell = self.cell(network="allow-all")
        for host in ("169.254.169.254", "168.63.129.16", "10.0.0.1", "192.168.0.1", "100.100.100.200", "[fd00:ec2::254]"):
            self.assertIn("private network", self.get(cell, f"http://{host}/"), host)

    def test_a_name_that_leads_to_the_host_is_refused_where_it_is_dialed(self):
        cell = self.cell(network={"allow": [f"*:{self.port}"]})
        address = cell.exec(["python3", "-c", ASK, "localhost"])["stdout"].strip()
        self.assertTrue(address.startswith("198.18."), address)
        self.assertNotIn("hello", self.get(cell, f"http://{address}:{self.port}/"))
        self.assertEqual({f"localhost:{self.port} private_address"}, self.reasons(cell))
        self.assertEqual([], self.seen)

    def test_a_redirect_leads_nowhere_that_the_policy_does_not(self):
        cell = self.cell(allow=[self.target])
        for to in ("169.254.169.254", "10.0.0.1", "127.0.0.2", f"127.0.0.1:{self.daemon.port}", "example.com"):
            out = self.get(cell, f"http://{self.target}/to/{to}", "--location")
            self.assertNotIn("hello", out, to)
        self.assertEqual(5, len(self.seen))

    def test_requests_smuggled_to_the_proxy_reach_nobody(self):
        cell = self.cell(allow=[self.target])
        start = f"POST http://{self.target}/outer HTTP/1.1\\r\\nHost: {self.target}\\r\\n"
        inner = f"GET /inner HTTP/1.1\\r\\nHost: {self.target}\\r\\n\\r\\n"
        for headers, status in (("Content-Length: 0\\r\\nTransfer-Encoding: chunked\\r\\n", 400), ("Content-Length: 0\\r\\nContent-Length: 99\\r\\n", 400),
                                ("Transfer-Encoding : chunked\\r\\n", 400), ("X: 1\\nContent-Length: 0\\r\\n", 400),
                                ("Connection: content-length\\r\\nContent-Length: 99\\r\\n", 400), ("Host: evil.test\\r\\n", 400),
                                ("Content-Length: 0\\r\\n", 200), ("", 200)):
            out = cell.exec(["python3", "-c", RAW, "127.0.0.1", "3128", f"{start}{headers}\\r\\n{inner}"])["stdout"]
            self.assertTrue(out.startswith(f"HTTP/1.1 {status} "), (headers, out))
        self.assertEqual(["POST /outer"] * 2, self.seen)

    def test_the_proxy_connects_to_no_literal_that_is_not_listed(self):
        cell = self.cell(allow=[self.target])
        for target in ("127.0.0.2:80", f"127.0.0.1:{self.daemon.port}", f"[::1]:{self.port}", "169.254.169.254:80", "1.1.1.1:443"):
            out = cell.exec(["python3", "-c", RAW, "127.0.0.1", "3128", f"CONNECT {target} HTTP/1.1\\r\\n\\r\\n"])["stdout"]
            self.assertTrue(out.startswith("HTTP/1.1 403 "), (target, out))
        self.assertEqual([], self.seen)

    def test_cells_do_not_reach_each_other(self):
        server = self.cell("server")
        stream = self.daemon.stream("POST", f"{server.path}/exec", {"cmd": "python3 -u -m http.server 8123 2>&1"})
        self.assertIn("Serving", next(event.data for event in stream if event.type == "stdout"))
        other = self.cell("other", network="allow-all")
        for host in ("127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.1.1"):
            self.assertNotIn("Directory listing", self.get(other, f"http://{host}:8123/"), host)
        self.assertIn("Directory listing", self.get(server, "http://127.0.0.1:8123/"))
        stream.close()

    def test_who_tries_every_port_is_told_and_keeps_nobody_from_what_is_allowed(self):
        cell = self.cell(allow=[self.target])
        script = ("import socket\nall = []\nfor port in range(20000, 20600):\n s = socket.socket()\n s.setblocking(False)\n"
                  " s.connect_ex(('10.0.0.1', port))\n all.append(s)\n"
                  "for s in all:\n s.settimeout(10)\n try: s.recv(1)\n except ConnectionResetError: pass")
        self.assertEqual("", cell.exec(["python3", "-c", script])["stderr"])
        self.assertEqual("hello", self.get(cell, f"http://{self.target}/"))
        network = cell.call("GET", "/network").json
        self.assertEqual((100, {"not_listed"}), (len(network["refusals"]), {r["reason"] for r in network["refusals"]}))
        self.assertEqual(256, self.daemon.log().count("its shell may not reach 10.0.0.1:20"))

    def test_nothing_but_tcp_goes_out_and_no_raw_packet(self):
        cell = self.cell(network="allow-all")
        script = ("import socket\nfor family, kind, number in ((2, 3, 1), (2, 3, 255), (10, 3, 58), (17, 3, 768), (17, 2, 768)):\n"
                  " try: socket.socket(family, kind, number); print('made')\n except OSError: print('refused')\n"
                  "peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\npeer.connect(('1.1.1.1', 443))\n"
                  "try:\n peer.send(b'x'); peer.settimeout(5); peer.recv(9); print('answered')\nexcept OSError as error: print(type(error).__name__)\n")
        self.assertEqual("refused\n" * 5 + "ConnectionRefusedError\n", cell.exec(["python3", "-c", script])["stdout"])
        routes = cell.exec("cat /proc/net/route; ls /sys/class/net 2>/dev/null; cat /proc/net/dev")["stdout"]
        self.assertNotIn("eth", routes)
        self.assertIn("lo:", routes)
