"""The dashboard: what is served at /, and that a person can use it."""
import gzip
import pathlib
import re
import subprocess
import unittest

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULES = ROOT / "dashboard/node_modules"
CHROMIUM = pathlib.Path("/usr/bin/chromium")

# Is killed once in the middle, and then waits for somebody.
AGENT = """
module.exports = {
  async fix(ctx) {
    ctx.shell("echo 'prepared <img src=/from-output>'");
    await ctx.step("gather", async () => 1);
    await ctx.step("change", async () => { if (ctx.run.attempt === 1) process.kill(process.pid, "SIGKILL"); });
    await ctx.approve("deploy", { prompt: "Deploy it?" });
    return "deployed";
  },
};
"""


class DashboardTest(harness.CellTest):
    options = ("--preview-domain", "cells.localhost")

    def ask(self, path, method="GET", **headers):
        """As a browser does: without a key."""
        connection, response = self.daemon.open(method, path, headers={"Authorization": None, **headers})
        answer = harness.Answer(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return answer

    def test_the_page_and_its_files_are_served_without_a_key_and_kept_by_browsers(self):
        page = self.ask("/")
        self.assertEqual(200, page.status)
        text = page.body.decode()
        self.assertIn('name="cellar-dashboard" content="built"', text, "cellard was built without its dashboard: the page says why")
        self.assertNotRegex(text, r"https?://|<script>|<style|\son\w+=")
        self.assertEqual("no-cache", page.headers["Cache-Control"])
        policy = page.headers["Content-Security-Policy"]
        self.assertTrue(policy.startswith("default-src 'self';") and "frame-ancestors 'none'" in policy, policy)
        self.assertNotIn("script-src", policy)
        self.assertEqual(304, self.ask("/", **{"If-None-Match": page.headers["ETag"]}).status)

        head = self.ask("/", "HEAD")
        self.assertEqual((200, b"", str(len(page.body))), (head.status, head.body, head.headers["Content-Length"]))

        assets = re.findall(r'"(/assets/[^"]+)"', text)
        self.assertEqual({".js", ".css", ".svg", ".txt"}, {pathlib.Path(name).suffix for name in assets})
        for name in assets:
            plain, small = self.ask(name), self.ask(name, **{"Accept-Encoding": "br, gzip"})
            self.assertEqual((200, 200, "gzip"), (plain.status, small.status, small.headers["Content-Encoding"]), name)
            self.assertNotIn("Content-Encoding", plain.headers)
            self.assertEqual(plain.body, gzip.decompress(small.body), name)
            self.assertNotEqual(plain.headers["ETag"], small.headers["ETag"])
            self.assertIn("immutable", plain.headers["Cache-Control"])
            self.assertRegex(name, r"-[A-Z0-9]{8}\.\w+$")

    def test_it_is_in_nobodys_way(self):
        self.assertEqual("asset_not_found", self.ask("/assets/main.js").json["code"])
        self.assertEqual("no_such_path", self.ask("/cells").json["code"])
        self.assertEqual("method_not_allowed", self.daemon.call("POST", "/").json["code"])
        self.assertEqual(401, self.ask("/api/v1/cells").status)
        cell = self.cell(preview_access="public")
        cell.call("PUT", "/files/index.html", "the cell's own")
        for host in (f"{cell.id}.cells.localhost", f"127.0.0.1:{self.daemon.port}"):
            at_host = self.ask("/", Host=host).body.decode()
            self.assertEqual(host.startswith(cell.id), "the cell's own" == at_host, host)
        self.assertEqual(b"the cell's own", self.ask(f"/preview/{cell.id}/").body)

    def test_a_person_uses_it(self):
        if not CHROMIUM.exists() or not (MODULES / "playwright-core").exists():
            raise unittest.SkipTest(f"needs {CHROMIUM} (apt-get install chromium) and dashboard/node_modules (npm ci there)")
        cell, run = self.begin(AGENT, "fix")
        for name, text in (("notes.md", "# Notes\n"), ("zone.js", "function parseZone(text) { return text.slice(-6); }\n")):
            cell.call("PUT", f"/files/{name}", text)
        cell.exec("echo '<img src=/from-file>' > '<img src=from-name>'")
        cell.exec("curl -s -m 2 http://192.0.2.7/")
        self.daemon.create("viewed")
        self.daemon.create("long" * 32)
        harness.eventually("it waits for somebody", lambda: cell.run(run)["status"] == "waiting")
        url = f"http://127.0.0.1:{self.daemon.port}"
        done = subprocess.run(["node", ROOT / "tests/dashboard/browse.mjs", MODULES, url, self.daemon.key, cell.id, run],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(0, done.returncode, done.stdout)
