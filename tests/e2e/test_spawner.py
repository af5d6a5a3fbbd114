"""What makes cells is at work for several of them at a time, and leaves nothing of what it did not finish."""
import concurrent.futures
import contextlib
import os
import pathlib
import signal

import harness


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class SpawnerTest(harness.CellTest):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise harness.unittest.SkipTest("needs root: cells are made of namespaces and mounts")
        cls.daemon = harness.FaultyDaemon("--prepared-cells", "1")
        cls.addClassCleanup(cls.daemon.cleanup)

    def blanks(self):
        """The processes that wait to become a cell's, once there are two; none of a fresh cell, which have its files."""
        taken = "".join(record.read_text() for record in self.daemon.state.glob("cells/*/run/slot.json"))
        spawner = children(self.daemon.process.pid)[0]
        slots = {pid: self.daemon.slots_of(pid) for pid in children(spawner)}
        found = [pid for pid, names in slots.items() if names and not any(f'"{slot}"' in taken for slot in names)
                 and not os.path.exists(f"/proc/{pid}/root/work")]
        return found if len(found) == 2 and slots[found[0]] == slots[found[1]] else None

    @contextlib.contextmanager
    def held_up(self, name):
        """A cell's first command, which waits for a domain that stands still on its way; and what was prepared, all of which does."""
        cell = self.cell(name, tier="standard")  # There is no fresh one of these.
        self.daemon.await_fresh_cells(1)  # What becomes one is a blank before.
        # Ready or on their way to it.
        blanks = harness.eventually("a cell is prepared", self.blanks)
        hits = self.daemon.root / "faults.spawn.hits"
        begun = lambda: hits.read_text().split().count("spawn.making")
        before = begun()
        with concurrent.futures.ThreadPoolExecutor(1) as client:
            try:
                for blank in blanks:
                    os.kill(blank, signal.SIGSTOP)
                command = client.submit(cell.exec, "echo late")
                harness.eventually("its domain is begun", lambda: begun() > before)
                yield command, blanks
            finally:
                for blank in blanks:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(blank, signal.SIGCONT)

    def test_a_domain_that_stands_still_on_its_way_holds_up_nobody_else(self):
        others = [self.cell(f"goes-on-{number}") for number in range(3)]
        with self.held_up("stands-still") as (command, _):
            for other in others:
                self.assertEqual("ok\n", other.exec("echo ok")["stdout"])
            self.assertFalse(command.done())
        self.assertEqual("late\n", command.result()["stdout"])

    def test_what_is_half_made_when_the_daemon_is_killed_ends_and_leaves_no_group(self):
        name = harness.daemon_group(self.daemon.state)
        roots = [pathlib.Path("/sys/fs/cgroup"), *pathlib.Path("/sys/fs/cgroup").iterdir()]
        with self.held_up("half-made") as (command, blanks):
            slots = set().union(*map(self.daemon.slots_of, blanks))
            self.assertTrue(slots)
            self.daemon.kill()
            harness.eventually("they have ended", lambda: all(map(harness.has_ended, blanks)))
            self.assertIsInstance(command.exception(), OSError)
            harness.eventually("their groups are gone", lambda: not any((root / name / slot).exists() for root in roots for slot in slots))
        self.daemon.start()
        self.assertEqual("ok\n", self.cell("after").exec("echo ok")["stdout"])
