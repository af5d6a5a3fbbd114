"""An agent's folder: made, tried while it is written, and given to cells."""
import contextlib
import os
import pathlib
import signal
import subprocess

import harness


class ProjectTest(harness.CellTest):
    def cellar(self, *words, **options):
        environment = {**os.environ, "CELLAR_URL": f"http://127.0.0.1:{self.daemon.port}", "CELLAR_API_KEY": self.daemon.key}
        return subprocess.Popen([harness.BIN / "cellar", *words], text=True, env=environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **options)

    def say(self, *words):
        process = self.cellar(*words)
        out, err = process.communicate(timeout=harness.WAIT_S)
        self.assertEqual((0, ""), (process.returncode, err))
        return out

    def test_an_agent_is_begun_tried_and_given_to_cells(self):
        folder = self.daemon.root / "agent"
        self.say("init", str(folder))
        dev = self.cellar("dev", str(folder), "--customer", "dev-here")
        self.addCleanup(lambda: (dev.kill(), dev.communicate()))
        self.assertIn("agent.js (", dev.stderr.readline())
        cell = self.daemon.create("dev-here")
        self.assertEqual({"hello": "you", "calls": 1}, cell.request("hello", {"name": "you"}).json)
        self.assertIn("run.started", dev.stdout.readline())
        self.assertIn(b'"ok":true', cell.request("check").body)

        source = pathlib.Path(folder, "agent.js")
        source.write_text("module.exports = { again() { return 2; } };")
        self.assertIn("agent.js (", dev.stderr.readline())
        self.assertEqual(2, cell.request("again").json)
        dev.send_signal(signal.SIGTERM)  # Whoever runs this in the background has SIGINT ignored.
        dev.wait(harness.WAIT_S)

        other = self.cell()
        self.assertEqual("new", self.say("deploy", str(folder), other.id).split()[2])
        self.assertEqual(2, other.request("again").json)
        self.assertIn("as it was", self.say("deploy", str(source), "--all"))

    def test_dev_ends_when_its_cell_is_gone(self):
        folder = self.daemon.root / "gone"
        self.say("init", str(folder))
        dev = self.cellar("dev", str(folder), "--customer", "dev-gone")
        with contextlib.closing(dev.stderr):
            self.assertIn("agent.js (", dev.stderr.readline())
            cell = self.daemon.create("dev-gone")
            self.assertEqual(204, cell.call("DELETE").status)
            self.assertEqual(1, dev.wait(harness.WAIT_S))
        dev.stdout.close()
