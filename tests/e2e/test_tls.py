"""HTTPS that cellard serves itself: whose certificate, what works over it, and what a change of files does."""
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

import harness
import test_domains


def make_pair(chain, key, *names):
    """A certificate of its own for these names, as two files."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", f"/CN={names[0]}", "-addext", "subjectAltName=" + ",".join(name if ":" in name else f"DNS:{name}" for name in names),
                    "-keyout", key, "-out", chain], check=True, capture_output=True)


class TlsDaemon(harness.Daemon):
    """Speaks HTTPS with the files `chain` and `key`, and all calls of the test go there."""

    def __init__(self, folder, *options):
        self.chain, self.key_file = folder / "chain.pem", folder / "key.pem"
        make_pair(self.chain, self.key_file, "cells.example.com", "*.cells.example.com", "localhost")
        super().__init__("--tls-listen", "127.0.0.1:0", "--tls-cert", self.chain, "--tls-key", self.key_file, *options)

    def start(self):
        self.tls_port = None
        super().start()
        self.listen = f"127.0.0.1:{self.port}"  # where the authority looks for proofs after a restart, too
        self.tls_port = int(self.process.stdout.readline().decode().strip().rsplit(":", 1)[1])

    def connect(self):
        if self.tls_port is None:
            return super().connect()
        return harness.http.client.HTTPSConnection("127.0.0.1", self.tls_port, timeout=harness.WAIT_S * 2, context=trusting_all())

    def secure(self, name="cells.example.com", context=None):
        """A connection after the handshake."""
        raw = socket.create_connection(("127.0.0.1", self.tls_port), harness.WAIT_S)
        try:
            return (context or trusting_all()).wrap_socket(raw, server_hostname=name)
        except OSError:
            raw.close()
            raise

    def shown(self, name="cells.example.com"):
        """The certificate that a client is shown that asks for `name`."""
        with self.secure(name) as connection:
            return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))


def trusting_all():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class TlsTest(harness.CellTest):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise harness.unittest.SkipTest("needs root: cells are made of namespaces and mounts")
        cls.dns = test_domains.NameServer()
        cls.addClassCleanup(cls.dns.close)
        folder = tempfile.TemporaryDirectory(prefix=harness.PREFIX)
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.daemon = TlsDaemon(cls.folder, "--preview-domain", "cells.example.com", "--name-server", cls.dns.address)
        cls.addClassCleanup(cls.daemon.cleanup)

    def test_who_connects_speaks_http_1_by_tls_1_2_or_later(self):
        context = trusting_all()
        context.set_alpn_protocols(["h2", "http/1.1"])
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with self.daemon.secure(context=context) as connection:
            self.assertEqual(("http/1.1", "TLSv1.2"), (connection.selected_alpn_protocol(), connection.version()))
        only_new = trusting_all()
        only_new.set_alpn_protocols(["h2"])
        self.assertRaises(ssl.SSLError, self.daemon.secure, context=only_new)
        old = trusting_all()
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        self.assertRaises(ssl.SSLError, self.daemon.secure, context=old)
        verifying = ssl.create_default_context(cafile=str(self.daemon.chain))
        with self.daemon.secure("dev--a.cells.example.com", verifying) as connection:
            self.assertEqual("TLSv1.3", connection.version())
        in_clear = harness.http.client.HTTPConnection("127.0.0.1", self.daemon.tls_port, timeout=harness.WAIT_S)
        in_clear.request("GET", "/healthz")
        answer = in_clear.getresponse()
        self.assertEqual((400, "tls_required"), (answer.status, json.loads(answer.read())["code"]))
        in_clear.close()

    def test_the_command_line_trusts_the_roots_that_it_is_told(self):
        words = [harness.BIN / "cellar", "--url", f"https://localhost:{self.daemon.tls_port}", "ls"]
        given = dict(os.environ, CELLAR_API_KEY=self.daemon.key)
        refused = subprocess.run(words, env=given, capture_output=True, text=True)
        self.assertEqual(4, refused.returncode)
        self.assertIn("SSL_CERT_FILE names a PEM file", refused.stderr)
        given["SSL_CERT_FILE"] = str(self.daemon.chain)
        trusted = subprocess.run(words, env=given, capture_output=True, text=True)
        self.assertEqual((0, ""), (trusted.returncode, trusted.stderr))

    def test_bodies_streams_and_web_sockets_pass_as_without_tls(self):
        cell = self.cell()
        body = os.urandom(1 << 20) * 20
        self.assertIn(cell.call("PUT", "/files/big", body).status, (200, 201))
        self.assertEqual(body, cell.call("GET", "/files/big").body)
        events = self.daemon.stream("POST", f"{cell.path}/exec", {"cmd": "echo one; sleep 0.1; echo two"})
        self.assertEqual(["exit"], [event.type for event in events if event.type not in ("stdout", "stderr", "output")][-1:])
        events.close()
        process = cell.call("POST", "/processes", {"cmd": "cat", "stdin": True}).json
        with self.daemon.secure() as connection:
            connection.sendall((f"GET {cell.path}/processes/{process['id']}/attach HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.daemon.key}\r\n"
                                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                                "\r\n").encode())
            said = connection.recv(4096)
            self.assertTrue(said.startswith(b"HTTP/1.1 101"), said)
            frame = bytes([0x82, 0x86, 0, 0, 0, 0]) + b"hello\n"  # a binary message, masked with zeros
            connection.sendall(frame)
            while b"hello" not in said:
                piece = connection.recv(4096)
                self.assertTrue(piece, said)
                said += piece
        cell.call("DELETE", f"/processes/{process['id']}")

    def test_a_client_that_leaves_ends_what_it_asked_for(self):
        cell = self.cell()
        marker = f"sleep 4{os.getpid()}"
        with self.daemon.secure() as connection:  # Its good-bye is never read: the daemon waits for no request.
            request = json.dumps({"cmd": marker})
            connection.sendall((f"POST {cell.path}/exec HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.daemon.key}\r\n"
                                f"Content-Type: application/json\r\nContent-Length: {len(request)}\r\n\r\n{request}").encode())
            running = lambda: any(marker.encode() in command.replace(b"\0", b" ") for command in cell.processes().values())
            harness.eventually("the command runs", running)
            with self.assertRaises((TimeoutError, ssl.SSLError)):
                connection.settimeout(0.05)
                connection.unwrap()
        harness.eventually("the command is ended", lambda: not running())

    def test_a_preview_says_https(self):
        cell = self.cell(preview_access="public")
        server = ("import http.server\nclass H(http.server.BaseHTTPRequestHandler):\n  def do_GET(s):\n    b = s.headers['X-Forwarded-Proto'].encode()\n"
                  "    s.send_response(200); s.send_header('Content-Length', str(len(b))); s.end_headers(); s.wfile.write(b)\n"
                  "http.server.HTTPServer(('127.0.0.1', 8000), H).serve_forever()")
        cell.call("POST", "/processes", {"cmd": f"python3 -c \"{server}\""})

        def answer(path, host):
            connection, response = self.daemon.open("GET", path, headers={"Host": host})
            body = response.read()
            connection.close()
            return body if response.status == 200 else None
        harness.eventually("the server answers", lambda: answer("/", f"8000--{cell.id}.cells.example.com") == b"https")
        self.assertEqual(b"https", answer(f"/preview/{cell.id}/8000/", "x"))
        self.assertTrue(cell.get()["preview_url"].startswith("https://"))

    def test_changed_files_are_read_again_and_a_broken_pair_never_shown(self):
        chain, key = self.daemon.chain, self.daemon.key_file
        first = self.daemon.shown()
        with self.daemon.secure() as before:
            make_pair(chain, self.folder / "other.pem", "cells.example.com", "*.cells.example.com", "localhost")
            self.daemon.process.send_signal(signal.SIGHUP)
            harness.eventually("the pair is refused", lambda: "the private key is not the certificate's" in self.daemon.log())
            self.assertEqual(first, self.daemon.shown())
            (self.folder / "other.pem").rename(key)  # no signal: it is seen
            second = chain.read_text()
            harness.eventually("the new pair is shown", lambda: self.daemon.shown() == second)
            before.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")  # what is open goes on
            self.assertIn(b" 200 OK", before.recv(4096))
        self.assertEqual(1, self.daemon.log().count("is not the certificate's"))

    def test_a_domain_has_the_certificate_of_its_folder_once_it_is_verified(self):
        cell = self.cell(preview_access="public")
        cell.call("PUT", "/files/index.html", b"mine")
        folder = self.daemon.state / "certificates/shop.example.org"
        folder.mkdir(parents=True)
        make_pair(folder / "fullchain.pem", folder / "privkey.pem", "shop.example.org")
        own = (folder / "fullchain.pem").read_text()
        record = self.daemon.call("POST", "/api/v1/domains", {"domain": "shop.example.org", "cell_id": cell.id}).json["dns_instructions"][0]
        self.assertNotEqual(own, self.daemon.shown("shop.example.org"))
        ends = lambda: dict(re.findall(r'^cellar_certificate_end_timestamp_seconds{of="(\w+)"} (\d+)$', self.daemon.get("/metrics").body.decode(), re.M))
        base_end = ends()
        self.assertEqual({"base"}, set(base_end))
        told = self.daemon.call("POST", "/api/v1/domains/shop.example.org/provision-ssl").json
        self.assertEqual("none", told["sslStatus"])
        self.assertIn("once the domain is verified", told["message"])
        self.dns.records[(record["name"], "TXT")] = record["value"]
        self.assertTrue(self.daemon.call("POST", "/api/v1/domains/shop.example.org/verify").json["dnsVerified"])
        self.daemon.process.send_signal(signal.SIGHUP)
        harness.eventually("its certificate is shown", lambda: self.daemon.shown("Shop.example.org") == own)
        self.assertNotEqual(own, self.daemon.shown("other.example.org"))
        domain = self.daemon.get("/api/v1/domains/shop.example.org").json
        self.assertEqual("active", domain["ssl_status"])
        end = datetime.datetime.fromisoformat(domain["cert_expires_at"].replace("Z", "+00:00")).timestamp()
        self.assertEqual({**base_end, "domains": str(int(end))}, ends())
        connection, response = self.daemon.open("GET", "/", headers={"Host": "shop.example.org"})
        self.assertEqual((200, b"mine"), (response.status, response.read()))
        connection.close()


class AcmeNameServer(test_domains.NameServer):
    """Knows addresses, too."""

    types = {**test_domains.NameServer.types, "A": 1}

    def encode(self, kind, text):
        return socket.inet_aton(text) if kind == 1 else super().encode(kind, text)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class AcmeTest(harness.CellTest):
    """Certificates by a program: Debian's lego, against Debian's pebble, an ACME server for tests; and a program that fails."""

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise harness.unittest.SkipTest("needs root: cells are made of namespaces and mounts")
        cls.dns = AcmeNameServer()
        cls.addClassCleanup(cls.dns.close)
        folder = tempfile.TemporaryDirectory(prefix=harness.PREFIX)
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.acme_port = free_port()
        program = cls.folder / "program"
        program.write_text(f"""#!/bin/sh
echo "$1" >> {cls.folder}/asked
case $1 in bad.*) echo the authority says no; env; printf "\\377"; exit 3;; slow.*) echo $$ > {cls.folder}/pid; exec sleep 1000;; esac
export LEGO_CA_CERTIFICATES={cls.folder}/acme.crt
exec lego --accept-tos --email me@example.org --server https://127.0.0.1:{cls.acme_port}/dir --path "$2" --http --http.webroot "$3" --domains "$1" run
""")
        program.chmod(0o755)
        cls.daemon = TlsDaemon(cls.folder, "--name-server", cls.dns.address, "--acme-command", f"{program} {{domain}} {{directory}} {{webroot}}")
        cls.addClassCleanup(cls.daemon.cleanup)

    def domain(self, name):
        """A verified one."""
        cell = self.cell(name.replace(".", "-"))
        record = self.daemon.call("POST", "/api/v1/domains", {"domain": name, "cell_id": cell.id}).json["dns_instructions"][0]
        refused = self.daemon.call("POST", f"/api/v1/domains/{name}/provision-ssl")
        self.assertEqual((409, "domain_not_verified"), (refused.status, refused.json["code"]))
        self.dns.records[(record["name"], "TXT")] = record["value"]
        self.dns.records[(name, "A")] = "127.0.0.1"
        self.assertTrue(self.daemon.call("POST", f"/api/v1/domains/{name}/verify").json["dnsVerified"])

    def get(self, name):
        return self.daemon.get(f"/api/v1/domains/{name}").json

    def provision(self, name):
        answer = self.daemon.call("POST", f"/api/v1/domains/{name}/provision-ssl")
        self.assertEqual(200, answer.status, answer)
        return answer.json

    def asked(self, name):
        said = self.folder / "asked"
        return said.read_text().split().count(name) if said.exists() else 0

    def start_authority(self):
        make_pair(self.folder / "acme.crt", self.folder / "acme.key", "IP:127.0.0.1")
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{self.acme_port}", "managementListenAddress": f"127.0.0.1:{free_port()}",
            "certificate": str(self.folder / "acme.crt"), "privateKey": str(self.folder / "acme.key"),
            "httpPort": self.daemon.port, "tlsPort": self.daemon.tls_port}}))
        pebble = subprocess.Popen(["pebble", "-config", self.folder / "pebble.json", "-dnsserver", self.dns.address],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  env=dict(os.environ, PEBBLE_VA_NOSLEEP="1", PEBBLE_WFE_NONCEREJECT="0", PEBBLE_AUTHZREUSE="0"))
        self.addCleanup(lambda: (pebble.kill(), pebble.wait()))

        def answers():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.acme_port)) == 0
        harness.eventually("the authority listens", answers)

    def test_a_domain_gets_its_certificate_by_acme_and_keeps_it(self):
        for program in ("lego", "pebble"):
            if not shutil.which(program):
                self.skipTest(f"{program} is not installed")
        self.start_authority()
        self.domain("shop.example.org")
        self.assertEqual("none", self.get("shop.example.org")["ssl_status"])
        done = self.provision("shop.example.org")
        self.assertEqual("active", done["sslStatus"], done)
        known = self.get("shop.example.org")
        self.assertEqual(("active", done["certExpiresAt"]), (known["ssl_status"], known["cert_expires_at"]))
        issued = self.daemon.state / "certificates/shop.example.org/acme.pem"
        self.assertEqual(0o600, issued.stat().st_mode & 0o777)
        shown = self.daemon.shown("shop.example.org")
        self.assertIn(shown.strip(), issued.read_text())
        self.assertEqual((done, 1), (self.provision("shop.example.org"), self.asked("shop.example.org")))  # There is one.
        self.daemon.kill()
        issued.unlink()  # As if it were over: the order is known, and followed, with nobody asking.
        self.daemon.start()
        harness.eventually("another one is shown", lambda: self.daemon.shown("shop.example.org") not in (shown, self.daemon.chain.read_text()))
        self.assertEqual(204, self.daemon.call("DELETE", "/api/v1/domains/shop.example.org").status)

    def test_a_link_to_a_preview_below_a_path_is_of_the_way_that_it_was_asked_for_by(self):
        link = self.cell().call("POST", "/preview-links", {}).json["url"]
        self.assertTrue(link.startswith(f"https://127.0.0.1:{self.daemon.tls_port}/preview/"), link)

    def test_a_name_of_the_daemon_is_no_customers(self):
        answer = self.daemon.call("POST", "/api/v1/domains", {"domain": "Cells.example.com", "cell_id": self.cell().id})
        self.assertEqual((400, "invalid_domain"), (answer.status, answer.json["code"]))

    def test_what_the_program_says_is_told_and_it_is_not_run_again_at_once(self):
        self.domain("bad.example.org")
        failed = self.provision("bad.example.org")
        self.assertEqual("failed", failed["sslStatus"])
        self.assertIn("the program ended with 3: the authority says no", failed["message"])
        self.assertIn("PATH=", failed["message"])
        self.assertNotIn("CELLAR_", failed["message"])
        self.assertEqual((failed, 1), (self.provision("bad.example.org"), self.asked("bad.example.org")))
        self.daemon.restart()
        harness.eventually("it is known again", lambda: self.get("bad.example.org")["ssl_status"] == "failed")
        self.assertEqual(1, self.asked("bad.example.org"))
        self.assertEqual(0, self.daemon.stop())
        (self.daemon.state / "certificates/bad.example.org/acme.json").write_text("{")
        self.daemon.start()
        harness.eventually("an order whose record is damaged goes on", lambda: self.get("bad.example.org")["ssl_status"] == "failed")
        self.assertEqual(2, self.asked("bad.example.org"))

    def test_a_program_ends_with_the_daemon_and_its_order_stays(self):
        self.domain("slow.example.org")
        connection = self.daemon.connect()  # Its answer is not waited for.
        connection.request("POST", "/api/v1/domains/slow.example.org/provision-ssl", headers={"Authorization": f"Bearer {self.daemon.key}"})
        pid = self.folder / "pid"
        harness.eventually("the program runs", lambda: harness.text_of(pid).strip())
        self.assertEqual("provisioning", self.get("slow.example.org")["ssl_status"])
        connection.close()  # Whoever asked has left: that changes nothing.
        first = int(pid.read_text())
        pid.unlink()
        self.assertEqual(0, self.daemon.stop())
        self.assertRaises(ProcessLookupError, os.kill, first, 0)
        self.daemon.start()
        harness.eventually("it runs again", lambda: harness.text_of(pid).strip())
        again = int(pid.read_text())
        self.assertEqual(204, self.daemon.call("DELETE", "/api/v1/domains/slow.example.org").status)
        harness.eventually("it ends with its domain", lambda: harness.has_ended(again))

    def test_proofs_are_shown_for_verified_domains_only(self):
        self.domain("proof.example.org")
        place = self.daemon.state / "acme-webroot/.well-known/acme-challenge"
        place.mkdir(parents=True, exist_ok=True)
        (place / "a-token_1").write_text("a-token_1.key")

        def shown(host, token):
            connection = harness.http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=harness.WAIT_S)
            connection.request("GET", f"/.well-known/acme-challenge/{token}", headers={"Host": host})
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer.status, body
        self.assertEqual((200, b"a-token_1.key"), shown("proof.example.org", "a-token_1"))
        for token in ("none", "..%2f..%2fregistry.sqlite", "../../registry.sqlite"):
            self.assertEqual(404, shown("proof.example.org", token)[0], token)
        self.assertNotEqual(200, shown("other.example.org", "a-token_1")[0])


if __name__ == "__main__":
    harness.unittest.main()
