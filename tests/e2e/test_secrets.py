"""Secrets that never come into a cell, and rules of requests: a TLS server on the host sees what arrives."""
import base64
import http.server
import json
import pathlib
import ssl
import subprocess
import threading
import unittest
import unittest.mock

import harness

VALUE = "sk-live-PLANTED-0123456789"
NAMES = ("api.test", "other.test", "bad.test", "old.test", "gateway.test")


class Upstream(http.server.BaseHTTPRequestHandler):
    """Tells what it was asked: in its list, and in its answer, without the headers."""
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

    def do_GET(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        self.server.seen.append((self.command, self.path, dict(self.headers), body.decode(errors="replace")))
        if self.path == "/echo":
            self.say(json.dumps(dict(self.headers)))
        elif self.path == "/echo-header":
            self.say("", {"X-Echo": self.headers.get("Authorization", "")})
        elif self.path == "/events":
            self.stream()
        else:
            self.say(f"{self.headers['Host'].split(':')[0]}{self.path}")

    do_POST = do_PUT = do_GET

    def say(self, text, headers={}):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def stream(self):
        """The second event comes when somebody has asked for /go."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in (b"data: 1\n\n", b"data: 2\n\n"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
            if event.startswith(b"data: 1"):
                self.server.go.wait(harness.WAIT_S)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args):
        pass


class UpstreamServer(http.server.ThreadingHTTPServer):
    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), Upstream)
        self.context, self.seen, self.go = context, [], threading.Event()

    def finish_request(self, request, address):
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, address)
        if self.context:
            request.unwrap()

    def handle_error(self, request, address):
        pass  # clients that are cut off, or that do not trust it


class TestCa:
    """Certificates for hosts of the tests, by the openssl program."""

    def __init__(self, folder):
        self.folder = folder
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
                 "-out", "ca.crt", "-subj", "/CN=Test CA", "-days", "2", "-addext", "keyUsage=critical,keyCertSign")

    def run(self, *words):
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def context(self, name, days="1"):
        self.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out",
                 f"{name}.csr", "-subj", f"/CN={name}")
        (self.folder / "ext").write_text(f"subjectAltName=DNS:{name}\n")
        self.run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", days,
                 "-extfile", "ext", "-out", f"{name}.crt")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        return context


class NamedDaemon(harness.Daemon):
    """One for which the names of the tests are this machine, whatever its network says."""

    def __init__(self, folder, *options):
        self.folder = folder
        hosts = folder / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {name}\n" for name in NAMES))
        # A program of its own, as the daemon's place tells it where the other programs are.
        launcher = folder / "cellard"
        launcher.write_text("#!/bin/sh\nexec unshare --mount --propagation slave sh -c 'mount --bind \"$0\" /etc/hosts && exec \"$@\"' "
                            f"{hosts} {harness.BIN.resolve()}/cellard \"$@\"\n")
        launcher.chmod(0o755)
        super().__init__(*options)

    def start(self):
        before, harness.BIN = harness.BIN, self.folder
        try:
            super().start()
        finally:
            harness.BIN = before


class UpstreamTest(harness.CellTest):
    """Servers on the host, a daemon that knows them by name, and cells that may reach them."""

    @classmethod
    def setUpClass(cls):
        if harness.os.geteuid() != 0:
            raise unittest.SkipTest("needs root")
        cls.folder = pathlib.Path(harness.tempfile.mkdtemp(prefix=harness.PREFIX))
        cls.addClassCleanup(harness.shutil.rmtree, cls.folder)
        ca = TestCa(cls.folder)
        cls.api, cls.other, cls.gateway, cls.old = (
            cls.serve(ca.context(name)) for name in ("api.test", "other.test", "gateway.test", "elsewhere.test"))
        cls.plain = cls.serve(None)
        cls.daemon = cls.start("--egress-ca", str(cls.folder / "ca.crt"), "--log-level", "debug",
                               "--forward-to", f"gateway.test:{cls.gateway.server_port},127.0.0.1:{cls.gateway.server_port}")
        cls.addClassCleanup(cls.daemon.cleanup)

    @classmethod
    def start(cls, *options):
        return NamedDaemon(cls.folder, *options)

    @classmethod
    def serve(cls, context):
        server = UpstreamServer(context)
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def setUp(self):
        super().setUp()
        for server in (self.api, self.other, self.gateway, self.old, self.plain):
            server.seen.clear()

    def at(self, server, name="api.test"):
        return f"{name}:{server.server_port}"

    def network(self, **more):
        ports = [s.server_port for s in (self.api, self.other, self.old, self.plain)]
        return {"allow": [f"*.test:{port}" for port in ports] + [f"127.0.0.1:{port}" for port in ports], **more}

    def secret(self, **more):
        return {"value": VALUE, "hosts": [self.at(self.api)], "shell": True, **more}

    def make(self, customer=None, agent=None, **secret):
        more = {"agent": agent} if agent else {}
        return self.cell(customer, network=self.network(), secrets={"API_KEY": self.secret(**secret), "PLAIN": "p"}, **more)

    def sh(self, cell, line):
        result = cell.exec(["sh", "-c", line])
        return result["stdout"] + result["stderr"]

    def curl(self, cell, url, *options):
        return self.sh(cell, f"curl -sS --max-time 10 {' '.join(options)} {url}")

    def refusals(self, cell):
        return [f"{r['domain']} {r['host']} {r['reason']} {r.get('secret', r.get('rule', r.get('detail', '-')))}"
                for r in cell.call("GET", "/network").json["refusals"]]

    def look(self):
        """What the agent and a command have, and what arrives of it."""
        agent = """module.exports = { async ask(ctx, p) {
          const answer = await ctx.fetch(p.url, { headers: { a: process.env.API_KEY } });
          return [process.env.API_KEY, await answer.text()]; } }"""
        cell = self.make(agent=agent)
        url = f"https://{self.at(self.api)}"
        placeholder, text = cell.request("ask", {"url": f"{url}/agent"}).json
        self.assertRegex(placeholder, "^cellar-secret-[0-9a-f]{32}$")
        self.assertEqual("api.test/agent", text)
        self.assertEqual("api.test/curl", self.curl(cell, f"{url}/curl", '-H "A: $API_KEY"'))
        self.assertIn("reset", self.curl(cell, f"http://{self.at(self.plain)}/", '-H "A: $API_KEY"'))
        self.assertEqual([VALUE, VALUE], [seen[2].get("a") or seen[2].get("A") for seen in self.api.seen])
        self.assertEqual([], self.plain.seen)


class GvisorSecretsTest(UpstreamTest):
    def test_a_cell_in_gvisor_has_placeholders_and_trusts_its_authority(self):
        probe = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "probe", "runtime": "gvisor"})
        if probe.status == 503:
            self.skipTest(probe.json["error"])
        self.make = lambda agent: self.cell(network=self.network(), secrets={"API_KEY": self.secret()}, agent=agent, runtime="gvisor")
        self.look()


class RootlessSecretsTest(UpstreamTest):
    @classmethod
    def start(cls, *options):
        reason = harness.User.why_not()
        if reason:
            raise unittest.SkipTest(reason)
        cls.folder.chmod(0o755)

        class NamedUser(harness.User):
            files = {**harness.User.files, "hosts": "".join(f"127.0.0.1 {name}\n" for name in NAMES)}

        with unittest.mock.patch.object(harness, "User", NamedUser):
            return harness.Daemon("--level", "reduced", *options, rootless=True)

    def test_a_daemon_without_root_puts_values_in_as_well(self):
        self.look()


class SecretsTest(UpstreamTest):
    # ---- what works ----

    def test_tools_use_a_placeholder_and_the_server_gets_the_value(self):
        cell = self.make()
        url = f"https://{self.at(self.api)}"
        self.assertEqual("api.test/curl", self.curl(cell, f"{url}/curl", '-H "Authorization: Bearer $API_KEY"'))
        self.assertEqual("api.test/basic", self.curl(cell, f"{url}/basic", '-u "me:$API_KEY"'))
        out = self.sh(cell, f"""python3 -c 'import os, urllib.request as u
print(u.urlopen(u.Request("{url}/python", headers=dict(A=os.environ["API_KEY"]))).read().decode())'""")
        self.assertEqual("api.test/python\n", out)
        out = self.sh(cell, f"""node -e 'fetch("{url}/node", {{method: "POST", body: "x".repeat(1e5), headers: {{a: process.env.API_KEY}}}})
.then(r => r.text()).then(console.log, e => console.log(e.cause))'""")
        self.assertEqual("api.test/node\n", out)
        curl, basic, python, node = self.api.seen
        self.assertEqual(f"Bearer {VALUE}", curl[2]["Authorization"])
        self.assertEqual(f"me:{VALUE}", base64.b64decode(basic[2]["Authorization"].split()[1]).decode())
        self.assertEqual((VALUE, VALUE, 100_000), (python[2]["A"], node[2]["a"], len(node[3])))
        self.assertEqual([], self.refusals(cell))

    def test_an_agent_uses_it_and_its_commands_do_not_unless_they_may(self):
        agent = """module.exports = { async ask(ctx, p) {
          const answer = await ctx.fetch(p.url, { headers: { authorization: `Bearer ${process.env.API_KEY}` } });
          return [process.env.API_KEY, await answer.text(), process.env.PLAIN]; } }"""
        cell = self.make(agent=agent, shell=False)
        url = f"https://{self.at(self.api)}"
        placeholder, text, plain = cell.request("ask", {"url": f"{url}/agent"}).json
        self.assertRegex(placeholder, "^cellar-secret-[0-9a-f]{32}$")
        self.assertEqual(("api.test/agent", "p"), (text, plain))
        self.assertEqual(f"Bearer {VALUE}", self.api.seen[0][2]["authorization"])
        self.assertEqual("\n", self.sh(cell, "echo $API_KEY$PLAIN"))
        # A command that was told it: the host stays closed to it, so nobody sees it, and nothing is put in.
        self.assertIn("certificate", self.curl(cell, f"{url}/shell", f'-H "A: {placeholder}"'))
        self.assertEqual(1, len(self.api.seen))

    def test_a_secret_may_be_a_header_and_change_while_programs_run(self):
        cell = self.make(header="X-Api-Key")
        url = f"https://{self.at(self.api)}"
        before = self.sh(cell, "echo $API_KEY")
        self.curl(cell, f"{url}/1", "-H 'x-api-key: mine'")
        answer = cell.call("PUT", "/secrets/API_KEY", self.secret(value="sk-live-NEW-0123456789", header="X-Api-Key"))
        self.assertEqual({"name": "API_KEY", "hosts": [self.at(self.api)], "header": "X-Api-Key", "shell": True}, answer.json)
        self.curl(cell, f"{url}/2")
        self.assertEqual([VALUE, "sk-live-NEW-0123456789"], [seen[2]["X-Api-Key"] for seen in self.api.seen])
        self.assertEqual(before, self.sh(cell, "echo $API_KEY"))
        shown = cell.call("GET", "/secrets")
        self.assertEqual(["API_KEY", "PLAIN"], [secret["name"] for secret in shown.json["secrets"]])
        self.assertNotIn(b"sk-live", shown.body)
        self.daemon.restart()
        self.assertEqual("api.test/3", self.curl(cell, f"{url}/3"))
        self.assertEqual(204, cell.call("DELETE", "/secrets/API_KEY").status)
        self.assertIn("certificate", self.curl(cell, f"{url}/4"))  # It is not opened any more.
        self.assertEqual("secret_not_found", cell.call("DELETE", "/secrets/API_KEY").json["code"])

    def test_events_of_a_server_come_as_they_are_sent_and_connections_are_kept(self):
        cell = self.make()
        url = f"https://{self.at(self.api)}"
        self.api.go.clear()
        stream = cell.daemon.stream("POST", f"{cell.path}/exec", {"cmd": f"curl -sSN {url}/events"})
        first = next(event for event in stream if event.type == "stdout")
        self.assertIn("data: 1", first.data)
        self.api.go.set()
        self.assertIn("data: 2", "".join(event.data for event in stream if event.type == "stdout"))
        out = self.sh(cell, f"curl -sSv {url}/a {url}/b 2>&1 | grep -c 'Re-using'")
        self.assertEqual("1\n", out)

    # ---- what is refused ----

    def test_a_placeholder_that_must_not_be_sent_is_refused_and_told(self):
        cell = self.make()
        cell.call("PUT", "/secrets/OTHER", self.secret(hosts=[self.at(self.other, "other.test")], value="other-value"))
        header = '-H "A: $API_KEY"'
        api, plain = f"https://{self.at(self.api)}", f"http://{self.at(self.plain)}"
        self.assertIn("is not for this host", self.curl(cell, f"https://{self.at(self.other, 'other.test')}/", header))
        self.assertIn("in the URL", self.curl(cell, f"{api}/bot$API_KEY"))
        self.assertIn("in the URL", self.curl(cell, f"{api}/?key=$API_KEY"))
        self.assertIn("no secret", self.curl(cell, api, f"-H 'A: cellar-secret-{'0' * 32}'"))
        self.assertIn("reset", self.curl(cell, f"{plain}/", header))
        self.assertIn("reset", self.curl(cell, f"{plain}/", '-d "$API_KEY"'))
        self.assertIn("without TLS", self.curl(cell, f"{plain}/", header, "-x http://127.0.0.1:3128"))
        self.assertIn("without TLS", self.curl(cell, f"http://{self.at(self.api)}/", header))
        self.assertEqual("api.test/ok", self.curl(cell, f"{plain}/ok"))
        self.assertEqual([], self.api.seen + self.other.seen)
        self.assertEqual(["/ok"], [seen[1] for seen in self.plain.seen])
        self.assertEqual(["shell other.test secret_elsewhere API_KEY", "shell api.test secret_misplaced API_KEY",
                          "shell api.test secret_unknown -", "shell api.test secret_in_clear API_KEY",
                          "shell api.test secret_in_clear API_KEY"], self.refusals(cell))
        told = harness.eventually("they are events", lambda: cell.call("GET", "/events?types=network.*").json["events"])
        self.assertEqual("API_KEY", told[0]["data"]["secret"])

    def test_a_server_that_proves_nothing_gets_nothing(self):
        cell = self.make(hosts=[self.at(self.old, "old.test"), self.at(self.plain, "bad.test")])
        out = self.curl(cell, f"https://{self.at(self.old, 'old.test')}/", '-H "A: $API_KEY"')
        self.assertIn("certificate", out)
        self.assertIn("cannot be reached", self.curl(cell, f"https://{self.at(self.plain, 'bad.test')}/", '-H "A: $API_KEY"'))
        self.assertEqual([], self.old.seen + self.plain.seen)
        self.assertEqual(["shell old.test bad_certificate hostname mismatch"], [refusal.lower() for refusal in self.refusals(cell)])

    def test_a_value_that_a_server_sends_back_does_not_come_in(self):
        cell = self.make()
        for path in ("/echo", "/echo-header"):
            out = self.curl(cell, f"https://{self.at(self.api)}{path}", "-i", '-H "Authorization: Bearer $API_KEY"', "--compressed")
            self.assertNotIn("PLANTED", out)
        self.assertIn("sent a secret's value back", out)
        self.assertEqual(["shell api.test secret_echo -"], self.refusals(cell))

    def test_requests_cannot_be_smuggled_behind_one_that_was_looked_at(self):
        cell = self.make()
        attempts = ["Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
                    "Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc",
                    "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
                    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
                    "Connection: content-length\r\nContent-Length: 3\r\n\r\nabc", "X: y\n\r\n\r\n", " folded: y\r\n\r\n",
                    "Transfer-Encoding: chunked\r\n\r\n3;\n\r\nabc\r\n0\r\n\r\n", "Host: evil.test\r\n\r\n"]
        cell.call("PUT", "/files/attack.py", (
            "import json, os, socket, ssl, sys\n"
            "for attempt in json.load(sys.stdin):\n"
            f"  s = ssl.create_default_context().wrap_socket(socket.create_connection(('api.test', {self.api.server_port})), server_hostname='api.test')\n"
            f"  s.sendall(('POST /first HTTP/1.1\\r\\nHost: {self.at(self.api)}\\r\\nA: ' + os.environ['API_KEY'] + '\\r\\n' + attempt\n"
            f"             + 'GET /smuggled HTTP/1.1\\r\\nHost: {self.at(self.api)}\\r\\n\\r\\n').encode())\n"
            "  try: print(s.recv(12).decode())\n"
            "  except OSError: print('cut')\n").encode())
        out = cell.exec(["python3", "/work/attack.py"], stdin=json.dumps(attempts))
        self.assertEqual("", out["stderr"])
        answers = out["stdout"].splitlines()
        self.assertEqual(len(attempts), len(answers))
        self.assertEqual({"HTTP/1.1 400"}, set(answers[:8] + answers[9:]))
        self.assertNotIn("/smuggled", [seen[1] for seen in self.api.seen])

    # ---- what is not there ----

    def test_the_value_and_the_key_of_the_authority_are_nowhere(self):
        agent = "module.exports = { async ask(ctx, p) { const a = await ctx.fetch(p.url, { headers: { a: process.env.API_KEY } }); return await a.text(); } }"
        cell = self.make(agent=agent)
        url = f"https://{self.at(self.api)}"
        cell.request("ask", {"url": f"{url}/agent"})
        self.curl(cell, f"{url}/shell", '-H "A: $API_KEY"')
        self.assertEqual([VALUE, VALUE], [seen[2].get("a", seen[2].get("A")) for seen in self.api.seen])
        # As root in the cell: environments, memory of every process there, all files. The needles are put together
        # in the search, so that it does not find itself.
        cell.call("PUT", "/files/search.py", b"""
import os, re
needles = [bytes(n) for n in ([ord(c) for c in "sk-live-" "PLAN"] + [84, 69, 68], list(b"BEGIN ") + list(b"PRIVATE") + list(b" KEY-----\\nMIGHAg"))]
placeholder = os.environ["API_KEY"].encode()  # what is there shows that the search finds
found, seen = [], set()
def look(name, data):
    if placeholder in data:
        seen.add(name.split("/")[1])
    found.extend(name for needle in needles if needle in data)
for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) == os.getpid():
        continue
    for name in ("environ", "cmdline"):
        try: look(f"{pid}/{name}", open(f"/proc/{pid}/{name}", "rb").read())
        except OSError: pass
    try:
        for line in open(f"/proc/{pid}/maps"):
            first, last = (int(n, 16) for n in line.split()[0].split("-"))
            memory = open(f"/proc/{pid}/mem", "rb", 0)
            memory.seek(first)
            look(f"{pid}/mem", memory.read(min(last - first, 1 << 24)))
    except (OSError, OverflowError, ValueError): pass
for top in ("/etc", "/root", "/work", "/run", "/tmp", "/var", "/usr/local", "/data", "/opt"):
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not path.endswith("search.py"):
                try: look(path, open(path, "rb").read(1 << 22))
                except OSError: pass
print(found, sorted(seen & {"environ", "mem", "work"}))
""")
        self.assertEqual("[] ['environ', 'mem', 'work']\n",
                         self.sh(cell, "echo $API_KEY > /work/noted; sleep 30 & python3 /work/search.py; kill $!"))
        self.assertNotIn("PLANTED", self.daemon.log())
        for path in ("", "/network", "/secrets", "/runs", "/events"):
            self.assertNotIn(b"PLANTED", cell.call("GET", path).body)
        for path, data in harness.files_below(self.daemon.state):
            if not path.is_symlink() and "images" not in path.parts:
                self.assertFalse(b"PLANTED" in data or b"PRIVATE KEY-----" in data, path)

    def test_a_program_that_crashes_leaves_its_memory_nowhere(self):
        script = "ulimit -Hc; ulimit -c unlimited 2>/dev/null; ulimit -c; cd /work; (kill -SEGV $BASHPID); ls"
        agent = f"module.exports = {{ crash: () => require('child_process').execFileSync('bash', ['-c', {json.dumps(script)}]).toString() }};"
        cell = self.make(agent=agent)
        self.assertEqual("0\n0\n", cell.exec(["bash", "-c", script])["stdout"])
        self.assertEqual("0\n0\n", cell.request("crash").json)

    def test_cells_do_not_trust_each_others_authority(self):
        one, two = self.make("one"), self.make("two")
        certificate = lambda cell: self.sh(cell, "cat $CELLAR_CA_FILE")
        self.assertIn("BEGIN CERTIFICATE", certificate(one))
        self.assertNotEqual(certificate(one), certificate(two))
        two.call("PUT", "/files/one.crt", certificate(one).encode())
        url = f"https://{self.at(self.api)}/"
        self.assertEqual("api.test/", self.curl(two, url))
        self.assertIn("certificate", self.curl(two, url, "--cacert /work/one.crt --capath /none"))
        self.assertEqual(["shell api.test distrusted"], [" ".join(r.split()[:3]) for r in self.refusals(two)])
        self.assertEqual("", self.sh(self.cell("without"), "echo -n $CELLAR_CA_FILE; grep -h BEGIN /etc/ssl/cellar-cell.crt /usr/local/share/ca-certificates/cellar-cell.crt 2>/dev/null"))

    def test_a_secret_that_cannot_be_kept_is_refused_by_name(self):
        for secret, what in (({"value": "short", "hosts": ["api.test"]}, "8 to 8192 bytes"),
                             ({"value": VALUE}, None), ({"value": VALUE, "hosts": []}, "at least one"),
                             ({"value": VALUE, "header": "X"}, "at least one"), ({"value": VALUE, "hosts": ["10.0.0.1"]}, "no name"),
                             ({"value": VALUE, "hosts": ["a.test"], "header": "Host"}, "cannot be the header"),
                             ({"value": VALUE + "\n", "hosts": ["a.test"]}, "one line"), ({"value": VALUE, "host": "a"}, "host"),
                             ({"value": VALUE, "hosts": ["a.test"] * 33}, "32 hosts"), (7, "a text or an object")):
            answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "bad", "secrets": {"K": secret}})
            self.assertEqual(400 if what else 201, answer.status, answer)
            self.assertIn(what or "", answer.json.get("error", ""))

    # ---- rules ----

    def test_rules_answer_add_headers_and_send_elsewhere_and_the_first_decides(self):
        host = self.at(self.api)
        gateway = self.at(self.gateway, "gateway.test")
        rules = [{"host": host, "match": {"method": "GET", "path": "/v1/*"}, "headers": {"X-Team": "blue"}},
                 {"host": host, "match": {"path": "/local"}, "respond": {"status": 200, "headers": {"X-By": "rule"}, "body": "from here"}},
                 {"host": host, "match": {"path": "/away/*"}, "forward": f"https://{gateway}/base"},
                 {"host": host, "respond": {"status": 403, "body": "no"}},
                 {"host": self.at(self.plain), "match": {"method": "POST"}, "respond": {"status": 405}}]
        cell = self.cell(network=self.network(rules=rules))
        url, plain = f"https://{host}", f"http://{self.at(self.plain)}"
        self.assertEqual("api.test/v1/x", self.curl(cell, f"{url}/v1/x"))
        self.assertEqual("from here", self.curl(cell, f"{url}/local"))
        self.assertEqual("gateway.test/base/away/x", self.curl(cell, f"{url}/away/x"))
        self.assertEqual("no", self.curl(cell, f"{url}/v1/x", "-X DELETE"))
        self.assertIn("more than one way", self.curl(cell, f"{url}/v1/../admin", "--path-as-is"))
        for proxy in ("", "-x http://127.0.0.1:3128"):
            self.assertEqual("api.test/get", self.curl(cell, f"{plain}/get", proxy))
            self.assertEqual("405", self.curl(cell, f"{plain}/", proxy, "-d x -o /dev/null -w '%{http_code}'"))
        self.assertEqual("no", self.curl(cell, f"{url}/x", "-x http://127.0.0.1:3128"))
        self.assertEqual([("/v1/x", "blue")], [(seen[1], seen[2].get("X-Team")) for seen in self.api.seen])
        self.assertEqual([f"shell api.test rule rule 4 ({host})", "shell api.test malformed -",
                          f"shell api.test rule rule 5 (POST {self.at(self.plain)})"], self.refusals(cell))
        self.assertEqual(rules[1]["respond"], cell.call("GET", "/network").json["policy"]["rules"][1]["respond"])

    def test_a_rule_sends_nothing_where_the_operator_lets_nobody_send(self):
        host = self.at(self.api)
        for forward in (f"https://{self.at(self.other, 'other.test')}", "http://localhost:4750", "http://169.254.169.254/", "file:///etc"):
            answer = self.daemon.call("POST", "/api/v1/cells", {
                "customer_id": "forward", "network": self.network(rules=[{"host": host, "forward": forward}])})
            self.assertEqual((400, "invalid_rule"), (answer.status, answer.json.get("code")), f"{forward}: {answer}")
        # A secret of the first host does not go along.
        rules = [{"host": host, "forward": f"https://{self.at(self.gateway, 'gateway.test')}"}]
        cell = self.cell(network=self.network(rules=rules), secrets={"API_KEY": self.secret()})
        self.assertIn("is not for this host", self.curl(cell, f"https://{host}/", '-H "A: $API_KEY"'))
        self.assertEqual("gateway.test/x", self.curl(cell, f"https://{host}/x"))
        self.assertEqual([None], [seen[2].get("A") for seen in self.gateway.seen])
