"""New cells that were made before anybody created them: who gets one, what it is then, and that nothing is left of others."""
import concurrent.futures
import contextlib
import os
import pathlib
import signal

import harness
import test_warm

SHAPE = "cat /proc/self/mountinfo"
NODE_AGENT = "module.exports = { host() { return require('os').hostname(); } };"


def shape(mountinfo):
    """What is mounted where, with which options and from what kind of file system."""
    return sorted((fields[4], fields[5], fields[fields.index("-") + 1]) for fields in map(str.split, mountinfo.splitlines()))


class FreshTest(harness.CellTest):
    images = "default"

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise harness.unittest.SkipTest("needs root: cells are made of namespaces and mounts")
        cls.daemon = harness.FaultyDaemon("--prepared-cells", "1", images=cls.images, warm_agents=1)
        cls.addClassCleanup(cls.daemon.cleanup)

    def await_fresh(self):
        """The folder of one that is ready."""
        def waiting():
            told = [line.rsplit(" ", 1)[1] for line in self.daemon.log().splitlines() if "a fresh cell is ready: " in line]
            return next((pathlib.Path(folder) for folder in told if pathlib.Path(folder).exists()), None)
        return harness.eventually("a fresh cell is ready", waiting)

    def new_cell(self, name, **fields):
        """The cell, and the number of the folder of files that was ready when it was created."""
        number = (self.await_fresh() / "work").stat().st_ino
        return self.cell(name, **fields), number

    def groups(self):
        """Of slots that no cell has."""
        return self.daemon.slots() - {harness.json.loads(record.read_text())["slot"] for record in self.daemon.state.glob("cells/*/run/slot.json")}

    def is_taken(self, cell):
        return f"cell {cell.id}: a fresh cell is taken" in self.daemon.log()

    def test_a_new_cell_is_one_and_looks_like_one_made_for_it(self):
        cell, files = self.new_cell("usual")
        self.assertEqual((files, True), ((cell.dir / "work").stat().st_ino, self.is_taken(cell)))
        self.assertIsNone(cell.slot())  # Until something is done in it.
        fresh = cell.exec(f"hostname; id -u; touch /work/mine /etc/mine; {SHAPE}")["stdout"]
        self.assertEqual([cell.id, "0"], fresh.split("\n")[:2])
        self.assertEqual([0, 0], [(cell.dir / name).stat().st_uid for name in ("work/mine", "root/layers/root/upper/etc/mine")])
        cell.call("POST", "/hibernate")
        own = cell.exec(f"hostname; ls /etc/mine; {SHAPE}")["stdout"]
        self.assertEqual([cell.id, "/etc/mine"], own.split("\n")[:2])
        self.assertEqual(shape(own.split("\n", 2)[2]), shape(fresh.split("\n", 2)[2]))

    def test_cells_that_are_not_the_usual_ones_get_none(self):
        for fields in ({"tier": "standard"}, {"image": "dev"}):
            with self.subTest(fields):
                cell, files = self.new_cell(f"unusual-{'-'.join(fields)}", **fields)
                self.assertEqual("0\n", cell.exec("id -u")["stdout"])
                self.assertNotEqual(files, (cell.dir / "work").stat().st_ino)
        cell, files = self.new_cell("named-usual", tier="starter")
        self.assertEqual(files, (cell.dir / "work").stat().st_ino)

    def test_an_agent_that_is_needed_first_is_a_warm_one_in_groups_of_its_own(self):
        cell, files = self.new_cell("agent-first", agent=NODE_AGENT)
        self.daemon.await_warm_agent()
        self.assertTrue(self.is_taken(cell))
        self.assertEqual(cell.id, cell.request("host").json)
        self.assertTrue(test_warm.is_warm(cell))
        self.assertEqual(f"{cell.id}\n", cell.exec("hostname")["stdout"])
        self.assertEqual(files, (cell.dir / "work").stat().st_ino)

    def test_an_agent_that_is_needed_after_a_command_is_in_the_cells_groups(self):
        cell, _ = self.new_cell("agent-second", agent=NODE_AGENT)
        self.assertEqual(f"{cell.id}\n", cell.exec("hostname")["stdout"])
        self.assertEqual(cell.id, cell.request("host").json)
        self.assertFalse(test_warm.is_warm(cell))
        self.assertEqual({"agent", "shell"}, {domain for domain in ("agent", "shell") if cell.processes(domain)})

    def test_one_that_nobody_has_used_sleeps_and_goes_as_any_other(self):
        cell, _ = self.new_cell("unused")
        for state in ("pause", "resume", "hibernate"):
            self.assertEqual(200, cell.call("POST", f"/{state}").status)
        self.assertEqual(f"{cell.id}\n", cell.exec("hostname")["stdout"])
        unused, _ = self.new_cell("unused-gone")
        self.assertEqual(204, unused.call("DELETE").status)

    def test_after_a_kill_a_cell_that_nobody_has_used_has_no_processes_and_nothing_else_is_left(self):
        cell, _ = self.new_cell("unused-kill")
        before = self.groups()
        left = self.await_fresh() / "left"
        left.touch()
        self.daemon.restart()
        self.assertEqual("hibernated", cell.get()["state"])
        harness.eventually("the groups of before are gone", lambda: not before & self.groups())
        harness.eventually("its files are gone", lambda: not left.exists())
        self.await_fresh()
        self.assertFalse(left.exists())  # Another one may be of the same number.
        self.assertEqual(f"{cell.id}\n", cell.exec("hostname")["stdout"])

    def test_a_daemon_that_is_killed_on_the_way_leaves_a_cell_or_none(self):
        noted = {"fresh.noted": "hibernated", "fresh.slot_kept": "active"}
        for point in ("fresh.before_moved", "fresh.moved", "fresh.adopted", *noted):
            with self.subTest(point):
                name = point.replace(".", "-").replace("_", "-")
                self.await_fresh()
                before = self.groups()
                (self.daemon.root / "faults").write_text(f"{point} 1 kill\n")
                with contextlib.suppress(OSError, harness.http.client.HTTPException):
                    self.cell(name).exec("true")
                self.daemon.process.wait(harness.WAIT_S)
                self.daemon.process.stdout.close()
                (self.daemon.root / "faults").write_text("")
                self.daemon.start()
                cell = self.cell(name)
                if point in noted:  # The others are killed before it is told that there is a cell.
                    self.assertEqual(noted[point], cell.get()["state"])
                self.assertEqual(f"{cell.id}\n", cell.exec("hostname")["stdout"])
                harness.eventually("the groups of before are gone", lambda: not before & self.groups())

    def test_what_stands_in_the_way_is_told_and_the_cell_gets_files_of_its_own(self):
        self.await_fresh()
        first = self.cell("in-the-way")
        first.call("DELETE")
        (first.dir / "work").mkdir(parents=True)
        (first.dir / "work/left").write_text("from before")
        cell, files = self.new_cell("in-the-way")
        self.assertNotEqual(files, (cell.dir / "work").stat().st_ino)
        self.assertEqual("from before", cell.exec("cat left")["stdout"])
        self.assertIn("what was made ahead is of no use", self.daemon.log())

    def test_one_that_cannot_be_taken_over_ends_and_the_cell_gets_domains_of_its_own(self):
        fresh = self.await_fresh()
        before = self.slot_of(fresh)
        (self.daemon.root / "faults").write_text("fresh.adopted 1 errno=5\n")
        cell = self.cell("not-taken")
        (self.daemon.root / "faults").write_text("")
        self.assertFalse(fresh.exists())
        self.assertNotIn(before, self.groups())
        self.assertEqual(f"{cell.id}\n", cell.exec("hostname")["stdout"])
        self.assertNotEqual(before, cell.slot())
        self.daemon.restart()
        self.assertEqual("active", cell.get()["state"])

    def test_one_whose_domain_has_ended_is_nobodys(self):
        fresh = self.await_fresh()
        ended = [pid for pid in self.inits() if self.is_in(pid, fresh)]
        os.kill(ended[0], signal.SIGKILL)
        harness.eventually("it has ended", lambda: harness.has_ended(ended[0]))
        cell = self.cell("instead")
        self.assertFalse(self.is_taken(cell))
        self.assertEqual("0\n", cell.exec("id -u")["stdout"])
        harness.eventually("its folder is removed", lambda: not fresh.exists())

    def slot_of(self, fresh):
        """The name of its groups."""
        slot, = self.daemon.slots_of(next(pid for pid in self.inits() if self.is_in(pid, fresh)))
        return slot

    def inits(self):
        children = pathlib.Path(f"/proc/{self.daemon.spawner()}/task/{self.daemon.spawner()}/children")
        return [int(pid) for pid in children.read_text().split()]

    @staticmethod
    def is_in(pid, folder):
        """Whether the process sees the folder's files as /work."""
        with contextlib.suppress(OSError):
            return os.stat(f"/proc/{pid}/root/work").st_ino == (folder / "work").stat().st_ino
        return False

    def test_a_tier_that_is_changed_before_the_first_command_is_the_domains(self):
        sizes = {}
        for name, tier in (("grown", "standard"), ("not-grown", "starter")):
            cell, _ = self.new_cell(name)
            self.assertEqual(200, self.daemon.call("POST", "/api/v1/cells", {"customer_id": name, "tier": tier}).status)
            sizes[tier] = int(cell.exec("df -B1 --output=size /tmp | tail -1")["stdout"])
        self.assertGreater(sizes["standard"], sizes["starter"])

    def test_a_command_and_an_agent_that_begin_at_once_are_both_in_the_cell(self):
        for number in range(5):
            cell, _ = self.new_cell(f"at-once-{number}", agent=NODE_AGENT)
            self.daemon.await_warm_agent()
            with concurrent.futures.ThreadPoolExecutor(2) as clients:
                agent, command = clients.submit(cell.request, "host"), clients.submit(cell.exec, "hostname")
                self.assertEqual((cell.id, f"{cell.id}\n"), (agent.result().json, command.result()["stdout"]))
            self.assertEqual({"agent", "shell"}, {domain for domain in ("agent", "shell") if cell.processes(domain)})

    def test_a_daemon_that_ends_leaves_no_processes_of_a_cell_that_nobody_has_used(self):
        for state in ("active", "paused"):
            cell, _ = self.new_cell(f"{state}-stop")
            if state == "paused":
                cell.call("POST", "/pause")
            self.assertEqual(0, self.daemon.stop())
            self.assertEqual((set(), None), (self.groups(), cell.slot()))
            self.daemon.start()
            self.assertEqual("hibernated", cell.get()["state"])
            self.assertEqual(f"{cell.id}\n", cell.exec("hostname")["stdout"])

    def test_a_daemon_that_ends_leaves_none(self):
        daemon = harness.Daemon("--prepared-cells", "3", "--log-level", "debug")
        self.addCleanup(daemon.cleanup)
        harness.eventually("all are ready", lambda: daemon.log().count("a fresh cell is ready") == 3)
        self.assertEqual(3, len(list(daemon.state.glob("fresh/*"))))
        self.assertEqual(0, daemon.stop())
        self.assertEqual([], list(daemon.state.glob("fresh/*")))


class NoRoomTest(harness.CellTest):
    def test_none_is_made_where_no_memory_is_left_for_it(self):
        total = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) << 10
        daemon = harness.Daemon("--memory-reserve-bytes", str(total))
        self.addCleanup(daemon.cleanup)
        harness.eventually("it has looked", lambda: "no fresh cell is made: memory is short" in daemon.log())
        self.assertEqual([], list(daemon.state.glob("fresh/*")))


if __name__ == "__main__":
    harness.unittest.main()
