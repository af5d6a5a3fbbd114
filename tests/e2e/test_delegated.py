"""A daemon without root in a part of cgroup v2 that was given to its user: cells are limited as by root's."""
import json
import os
import pathlib
import subprocess
import unittest

import harness


class DelegatedTest(harness.CellTest):
    top = pathlib.Path("/sys/fs/cgroup")
    files = ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads")

    @classmethod
    def setUpClass(cls):
        controllers = cls.top / "cgroup.controllers"
        if not controllers.exists() or "memory" not in controllers.read_text():
            raise unittest.SkipTest("memory is not limited by cgroup v2 here")
        reason = harness.User.why_not()
        if reason:
            raise unittest.SkipTest(reason)
        (cls.top / "cgroup.subtree_control").write_text("+memory +pids +cpu")
        cls.group = cls.top / "cellar-e2e-given"
        cls.group.mkdir()
        cls.addClassCleanup(cls.remove_group)
        for name in cls.files:
            os.chown(cls.group / name, harness.User.uid, harness.User.uid)
        cls.daemon = harness.Daemon("--level", "reduced", rootless=True, group=cls.group)
        cls.addClassCleanup(cls.daemon.cleanup)

    @classmethod
    def remove_group(cls):
        for folder in (*(folder for folder in cls.group.iterdir() if folder.is_dir()), cls.group):
            folder.rmdir()  # The daemon has left nothing but the group that it was in.

    def test_a_cell_and_its_commands_are_limited_as_by_root(self):
        cell = self.cell()
        self.assertEqual([], cell.get()["limits"]["not_enforced"])
        self.assertEqual(["mounts.idmapped"], [lack["id"] for lack in cell.get()["isolation"]["missing"]])
        self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])
        slots = (self.group / harness.daemon_group(self.daemon.state)).glob("*/memory.max")
        self.assertIn(str(cell.get()["limits"]["memory_bytes"]), [file.read_text().strip() for file in slots])
        bomb = cell.exec(["python3", "-c", "x = bytearray(200 << 20)"], limits={"memory_bytes": 64 << 20})
        self.assertEqual((137, True), (bomb["exit_code"], bomb["oom"]))
        self.assertIn("fork", cell.exec("for i in 1 2 3 4 5 6 7 8; do sleep 5 & done", limits={"pids": 4})["stderr"].lower())
        cell.exec("(setsid sleep 1007 &); true")
        self.assertEqual("0\n", cell.exec("ps -e -o args | grep -c '[s]leep 1007'")["stdout"])

    def test_doctor_says_so_where_it_is_started(self):
        words = self.daemon.user.wrap("cellar", "-o", "json", "doctor", "--level", "reduced")
        told = subprocess.run(words, capture_output=True, text=True, timeout=harness.WAIT_S, env={**os.environ, "HOME": str(self.daemon.root)})
        findings = {finding["id"]: finding for finding in json.loads(told.stdout)["findings"]}
        for id in ("cgroup.memory", "cgroup.pids", "cgroup.cpu", "cgroup.into", "cgroup.freeze", "cgroup.kill"):
            self.assertEqual("ok", findings[id]["verdict"], findings[id])

    def test_a_paused_cell_is_resumed_by_the_next_daemon(self):
        cell = self.cell("paused")
        namespace = cell.exec("readlink /proc/self/ns/mnt")["stdout"]
        self.assertEqual("paused", cell.call("POST", "/pause").json["state"])
        self.daemon.restart()
        self.assertEqual("paused", cell.get()["state"])
        self.assertEqual(namespace, cell.exec("readlink /proc/self/ns/mnt")["stdout"], "the domain lived on")
        self.assertEqual([], cell.get()["limits"]["not_enforced"])
