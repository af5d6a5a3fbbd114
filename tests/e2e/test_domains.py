"""Domains of customers: added, proven by DNS, and served as the cell's preview."""
import socket
import struct
import threading

import harness


class NameServer:
    """Answers from its `records`, {(name, type): text}; everything else does not exist."""

    types = {"TXT": 16, "CNAME": 5}

    def __init__(self):
        self.records = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.socket.close()

    def serve(self):
        while True:
            try:
                query, client = self.socket.recvfrom(4096)
            except OSError:
                return
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
                at += 1 + query[at]
            question = query[12:at + 5]
            kind = struct.unpack(">H", query[at + 1:at + 3])[0]
            texts = [text for (name, type), text in self.records.items() if (name, self.types[type]) == (".".join(labels), kind)]
            data = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(part)) + part
                            for part in (self.encode(kind, text) for text in texts))
            flags = 0x8180 if texts or any(name == ".".join(labels) for name, _ in self.records) else 0x8183
            self.socket.sendto(query[:2] + struct.pack(">HHHHH", flags, 1, len(texts), 0, 0) + question + data, client)

    def encode(self, kind, text):
        parts = [text] if kind == 16 else text.split(".")
        encoded = b"".join(bytes([len(part)]) + part.encode() for part in parts)
        return encoded if kind == 16 else encoded + b"\0"


class DomainTest(harness.CellTest):
    @classmethod
    def setUpClass(cls):
        cls.dns = NameServer()
        cls.addClassCleanup(cls.dns.close)
        cls.options = ("--preview-domain", "cells.example.com", "--name-server", cls.dns.address)
        super().setUpClass()

    def call(self, method, rest="", body=None):
        return self.daemon.call(method, "/api/v1/domains" + rest, body)

    def page(self, host):
        connection, response = self.daemon.open("GET", "/", headers={"Host": host})
        answer = harness.Answer(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return answer

    def test_a_domain_leads_to_its_cell_once_dns_proves_it(self):
        cell, other = self.cell("first"), self.cell("second")
        cell.call("PUT", "/files/index.html", b"first")
        other.call("PUT", "/files/index.html", b"second")
        added = self.call("POST", "", {"domain": "App.Customer.org.", "cell_id": cell.id})
        self.assertEqual(201, added.status)
        self.assertEqual(("app.customer.org", "pending", False, "dev"), tuple(
            added.json[name] for name in ("domain", "domain_status", "is_apex_domain", "developer_id")))
        record = added.json["dns_instructions"][0]
        self.assertEqual(("TXT", "_cellar.app.customer.org"), (record["type"], record["name"]))
        page = self.page("app.customer.org")
        self.assertEqual((404, "domain_not_verified"), (page.status, page.json["code"]))
        verified = self.call("POST", "/app.customer.org/verify").json
        self.assertEqual((False, "pending"), (verified["dnsVerified"], verified["domainStatus"]))
        self.assertEqual(added.json["dns_instructions"], verified["dnsInstructions"])
        self.dns.records[(record["name"], "TXT")] = "cellar-verification=of-another"
        self.assertFalse(self.call("POST", "/app.customer.org/verify").json["dnsVerified"])
        self.dns.records[(record["name"], "TXT")] = record["value"]
        self.assertEqual({"dnsVerified": True, "domainStatus": "verified"}, self.call("POST", "/app.customer.org/verify").json)
        self.assertEqual(b"first", self.page("app.customer.org:443").body)
        self.assertEqual(other.id, self.call("PATCH", "/app.customer.org", {"cell_id": other.id}).json["cell_id"])
        self.assertEqual(b"second", self.page("app.customer.org").body)
        self.daemon.restart()
        self.assertEqual(b"second", self.page("app.customer.org").body)
        self.dns.records.clear()  # What was proven stays; it is told all the same.
        self.assertEqual((False, "verified"), tuple(self.call("POST", "/app.customer.org/verify").json[name] for name in (
            "dnsVerified", "domainStatus")))
        self.assertEqual(["app.customer.org"], [entry["domain"] for entry in self.call("GET").json["domains"]])
        self.assertEqual("external", self.call("POST", "/app.customer.org/provision-ssl").json["sslStatus"])
        self.assertEqual(204, self.call("DELETE", "/app.customer.org").status)
        self.assertEqual(404, self.call("GET", "/app.customer.org").status)
        self.assertNotEqual(b"second", self.page("app.customer.org").body)

    def test_another_name_of_the_cells_own_host_proves_it_too(self):
        cell = self.cell()
        self.call("POST", "", {"domain": "www.customer.org", "cell_id": cell.id})
        self.dns.records[("www.customer.org", "CNAME")] = "dev--somebody-else.cells.example.com"
        self.assertFalse(self.call("POST", "/www.customer.org/verify").json["dnsVerified"])
        self.dns.records[("www.customer.org", "CNAME")] = f"{cell.id}.Cells.example.com"
        self.assertTrue(self.call("POST", "/www.customer.org/verify").json["dnsVerified"])
        cell.call("DELETE")
        self.assertEqual(404, self.call("GET", "/www.customer.org").status)

    def test_wrong_domains_are_refused(self):
        cell = self.cell()
        for domain in ("localhost", "1.2.3.4", "a..b", "x.cells.example.com", "cells.example.com", "a.com/x"):
            answer = self.call("POST", "", {"domain": domain, "cell_id": cell.id})
            self.assertEqual((400, "invalid_domain"), (answer.status, answer.json["code"]), domain)
        self.assertEqual(404, self.call("POST", "", {"domain": "a.org", "cell_id": "dev--nobody"}).status)
        self.assertEqual(201, self.call("POST", "", {"domain": "a.org", "cell_id": cell.id}).status)
        again = self.call("POST", "", {"domain": "A.org", "cell_id": cell.id})
        self.assertEqual((409, "domain_taken"), (again.status, again.json["code"]))
