"""The JavaScript SDK against a real daemon: the cases of all SDKs, and the examples of its pages."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import harness
import test_domains

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENT = ROOT / "sdk/js/client"


class SdkJsTest(harness.CellTest):
    @classmethod
    def setUpClass(cls):
        cls.dns = test_domains.NameServer()
        cls.addClassCleanup(cls.dns.close)
        cls.options = ("--preview-domain", "cells.example.com", "--name-server", cls.dns.address)
        super().setUpClass()
        assert (CLIENT / "dist").exists(), "the SDK is not built: npm --prefix sdk/js/client ci && npm --prefix sdk/js/client run build"

    def node(self, *words, cwd=CLIENT):
        environment = dict(os.environ, CELLAR_URL=f"http://127.0.0.1:{self.daemon.port}", CELLAR_API_KEY=self.daemon.key)
        return subprocess.run(["node", *words], cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=harness.WAIT_S * 4)

    def test_it_passes_the_cases_of_all_sdks(self):
        done = self.node("test/conformance.js")
        print("\n".join(line for line in done.stdout.splitlines() if not line.startswith("ok ")))
        self.assertEqual(0, done.returncode, done.stdout)

    def test_the_examples_of_its_pages_do_what_they_say(self):
        folder = self.installed()
        for page in (CLIENT / "README.md", ROOT / "docs/guide/sdk-js.md"):
            for number, block in enumerate(re.findall(r"^```js\n(.*?)^```$", page.read_text(), re.S | re.M), 1):
                with self.subTest(page=page.name, example=number):
                    (folder / "example.mjs").write_text(block)
                    done = self.node("example.mjs", cwd=folder)
                    self.assertEqual(0, done.returncode, done.stdout)
                    self.assertEqual(re.findall(r"// → (.*)$", block, re.M), done.stdout.splitlines())

    def test_a_daemon_that_is_killed_and_started_again_is_not_noticed(self):
        daemon = harness.Daemon()
        self.addCleanup(daemon.cleanup)
        daemon.listen = f"127.0.0.1:{daemon.port}"
        environment = dict(os.environ, CELLAR_URL=f"http://{daemon.listen}", CELLAR_API_KEY=daemon.key)
        with subprocess.Popen(["node", "test/interrupted.js"], cwd=CLIENT, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as client:
            self.assertEqual("now\n", client.stdout.readline())
            daemon.restart()
            said = client.communicate(timeout=harness.WAIT_S * 2)[0]
        self.assertEqual(0, client.returncode, said)
        numbers = list(range(20))
        self.assertEqual({"items": [{"i": i} for i in numbers] + ["done"], "value": "quiet", "runs": 3, "isInOrder": True,
                          "streamed": numbers, "last": "run.completed"}, json.loads(said))

    def installed(self):
        """A folder with what `npm pack` makes of the SDK, where a program's `import` finds it."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix=harness.PREFIX))
        self.addCleanup(shutil.rmtree, folder)
        packed = subprocess.run(["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", folder], cwd=CLIENT,
                                stdout=subprocess.PIPE, text=True, check=True, timeout=harness.WAIT_S * 2)
        subprocess.run(["tar", "-xf", packed.stdout.strip()], cwd=folder, check=True)
        (folder / "node_modules").mkdir()
        (folder / "package").rename(folder / "node_modules/cellar")
        return folder
