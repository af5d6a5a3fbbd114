"""Real tools through the registries: skipped where this machine reaches none."""
import socket

import harness


def reaches(host, port):
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError:
        return False
    return True


class NetworkToolsTest(harness.CellTest):
    images = "default"

    def run_in(self, cell, command):
        result = cell.exec(command)
        self.assertEqual(0, result["exit_code"], result)
        return result["stdout"]

    def test_npm_installs_a_package_with_all_it_needs(self):
        if not reaches("registry.npmjs.org", 443):
            self.skipTest("the npm registry is not reached from here")
        cell = self.cell(network={"presets": ["npm"]})
        self.run_in(cell, "npm install --no-audit --no-fund chalk@4.1.2")
        self.assertIn("ansi-styles", self.run_in(cell, "ls node_modules"))
        proxied = "https_proxy=http://127.0.0.1:3128 curl -sS -o /dev/null -w %{http_code} https://registry.npmjs.org/chalk"
        self.assertEqual("200", self.run_in(cell, proxied))
        shown = cell.call("GET", "/network").json
        self.assertEqual([], shown["refusals"])
        self.assertGreater(shown["usage"]["bytes_down"], 10_000)
        self.assertNotEqual(0, cell.exec("curl -sS --max-time 5 https://deb.debian.org/")["exit_code"])

    def test_apt_installs_a_package(self):
        if not reaches("deb.debian.org", 80):
            self.skipTest("Debian's mirror is not reached from here")
        cell = self.cell(network={"presets": ["debian"]})
        self.run_in(cell, "apt-get update -qq -o Acquire::Languages=none && apt-get install -qq -y --no-install-recommends tree")
        self.assertIn("tree v", self.run_in(cell, "tree --version"))
        self.assertEqual([], cell.call("GET", "/network").json["refusals"])
