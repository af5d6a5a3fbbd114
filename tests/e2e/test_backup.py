"""docs/guide/operating.md, "Backup": a copy of the state folder and the sealing key is the daemon with all its cells."""
import copy
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import harness

AGENT = """
module.exports = {
  async twice(ctx) { await ctx.step("first", () => 1); await ctx.waitForEvent("go"); return process.env.TOKEN; },
  keep(ctx) { ctx.db.set("k", { a: 1 }); return 1; },
  told(ctx) { return ctx.db.get("k"); },
};
"""


class BackupTest(unittest.TestCase):
    def restored(self, daemon):
        """A daemon on a copy of another one's folders, by the words of the guide."""
        other = copy.copy(daemon)
        other.root = pathlib.Path(tempfile.mkdtemp(prefix=harness.PREFIX))
        other.state = other.root / "state"
        harness.GROUPS.add(harness.daemon_group(other.state))
        subprocess.run(["tar", "--acls", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--exclude=state/fresh", "-C", daemon.root,
                        "-cf", other.root / "backup.tar", "state", "keys"],
                       check=True, stderr=subprocess.DEVNULL)  # It tells of sockets that it leaves out.
        subprocess.run(["tar", "--acls", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", other.root, "-xpf", other.root / "backup.tar"], check=True)
        return other

    def back_from(self, copy_it):
        if os.geteuid() != 0:
            self.skipTest("needs root: cells are made of namespaces and mounts")
        daemon = harness.Daemon("--run-suspend-after-ms", "50")
        cell = daemon.create("kept", agent=AGENT, secrets={"TOKEN": "sealed-value"})
        cell.exec("echo text > a.txt; ln -s a.txt link; chown 1000:1000 a.txt; chmod 640 a.txt; mkdir /root/x; touch /usr/local/installed")
        cell.request("keep")
        run = cell.call("POST", "/runs", {"method": "twice"}).json["id"]
        harness.eventually("the run waits", lambda: cell.run(run)["status"] == "waiting")
        other = copy_it(daemon, cell)
        other.start()
        self.addCleanup(other.cleanup)
        back = harness.Cell(other, cell.fields)
        self.assertEqual("text\n1000:1000 640 a.txt\n", back.exec("cat link; stat -c '%u:%g %a %n' a.txt; ls -d /root/x /usr/local/installed >/dev/null")["stdout"])
        self.assertEqual({"a": 1}, back.request("told").json)
        back.call("POST", f"/runs/{run}/events", {"type": "go"})
        ended = back.settled(run)
        self.assertEqual(("completed", "sealed-value"), (ended["status"], ended["result"]))
        self.assertEqual([1], [step["executed"] for step in ended["steps"] if step["name"] == "first"])

    def test_a_copy_of_a_stopped_daemon_s_folder_is_all_cells(self):
        def copied(daemon, cell):
            harness.eventually("it hibernates", lambda: cell.call("POST", "/hibernate").status == 200)
            self.assertEqual(0, daemon.stop())
            other = self.restored(daemon)
            shutil.rmtree(daemon.root)
            return other

        self.back_from(copied)

    def test_a_copy_that_is_started_beside_the_first_leaves_its_processes_alone(self):
        first = {}

        def copied(daemon, cell):
            self.addCleanup(daemon.cleanup)
            first["process"] = cell.call("POST", "/processes", {"cmd": "echo up; exec sleep 1000"}).json["id"]
            first["cell"] = cell
            first["copy"] = self.restored(daemon)
            return first["copy"]

        self.back_from(copied)
        self.assertIn("is a copy of a folder whose cell was awake", first["copy"].log())
        self.assertNotIn("exit_code", first["cell"].call("GET", f"/processes/{first['process']}").json)
        self.assertEqual("here\n", first["cell"].exec("echo here")["stdout"])
        self.assertEqual({"a": 1}, first["cell"].request("told").json)

    def test_a_copy_while_cells_run_is_as_after_a_power_cut(self):
        def copied(daemon, cell):
            other = self.restored(daemon)
            daemon.cleanup()  # As on another machine: the copy finds none of its processes.
            return other

        self.back_from(copied)
