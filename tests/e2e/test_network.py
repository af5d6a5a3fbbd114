"""The network of a cell: nothing by default, exactly what is allowed."""
import http.server
import threading

import harness


class NetworkTest(harness.CellTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()

        class Hello(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"hello from the host")

            def log_message(self, *args):
                pass

        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
        cls.addClassCleanup(cls.server.server_close)
        cls.addClassCleanup(cls.server.shutdown)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.target = f"127.0.0.1:{cls.server.server_port}"

    def get(self, cell, url):
        return cell.exec(["curl", "-sS", "--max-time", "5", url])

    def test_nothing_is_reachable_by_default(self):
        cell = self.cell()
        for url in (f"http://{self.target}/", "http://169.254.169.254/", "http://10.0.0.1/", "http://1.1.1.1/",
                    "https://example.com/", f"http://[::1]:{self.server.server_port}/",
                    f"http://localhost:{self.daemon.port}/healthz"):
            result = self.get(cell, url)
            self.assertNotIn("hello", result["stdout"], url)
            self.assertNotIn('"ok"', result["stdout"], url)

    def test_what_is_allowed_is_reachable_without_proxy_settings(self):
        cell = self.cell(allow=[self.target])
        self.assertEqual("hello from the host", self.get(cell, f"http://{self.target}/")["stdout"])
        self.assertNotIn("hello", self.get(cell, f"http://127.0.0.2:{self.server.server_port}/")["stdout"])

    def test_an_agent_reaches_what_is_allowed_too(self):
        agent = "module.exports = { async get(ctx, p) { const r = await ctx.fetch(p.url); return await r.text(); } }"
        cell = self.cell(agent=agent, allow=[self.target])
        self.assertEqual("hello from the host", cell.request("get", {"url": f"http://{self.target}/"}).json)
        other = self.cell("denied", agent=agent)
        self.assertEqual(500, other.request("get", {"url": f"http://{self.target}/"}).status)

    def test_names_that_are_not_allowed_do_not_resolve(self):
        self.assertNotEqual(0, self.cell(allow=["registry.npmjs.org"]).exec("getent hosts example.com")["exit_code"])

    def test_a_server_in_the_cell_is_reachable_in_the_cell(self):
        cell = self.cell()
        out = cell.exec("python3 -m http.server 8123 >/dev/null 2>&1 & for i in 1 2 3 4 5 6 7 8 9 10; do "
                        "curl -s --max-time 2 http://localhost:8123/ -o /dev/null && echo up && exit; sleep 0.3; done")
        self.assertEqual("up\n", out["stdout"])
