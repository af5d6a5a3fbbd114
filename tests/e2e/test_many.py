"""Cells in numbers: a thousand that come and go, two hundred at once, daemons killed in between. Nothing is left."""
import collections
import concurrent.futures
import contextlib
import os
import pathlib
import re

import harness

CYCLES = int(os.environ.get("CELLAR_E2E_CYCLES", "1000"))
AT_ONCE = int(os.environ.get("CELLAR_E2E_CELLS", "200"))
WORKERS = 4
PREPARED = 4  # cells, as by default
NAMESPACE = r"(cgroup|ipc|mnt|net|pid|time|user|uts):\[\d+\]"
KEPT_MAX = 300  # the spawner keeps up to 256 user namespaces, of the newest ids


class ManyCellsTest(harness.CellTest):
    images = "default"

    def groups(self):
        """Of this daemon's cells, in every hierarchy, but for those that are prepared for later ones."""
        slots = self.daemon.slots()
        return slots - self.prepared(slots)

    def prepared(self, slots):
        """The slots of the spawner that runs, and of no cell."""
        own = {record.read_text() for record in self.daemon.state.glob("cells/*/run/slot.json")}
        run = next(command.split(b"\0")[4].decode() for command in map(pathlib.Path.read_bytes, self.daemon.commands())
                   if b"cellar-spawn" in command)
        return {slot for slot in slots if slot.startswith(run) and not any(f'"{slot}"' in record for record in own)}

    def folders(self):
        """Of cells, and of what was one: a busy disk takes longer for its files than the answer to who deleted it."""
        return list((self.daemon.state / "cells").iterdir())

    def descriptors(self):
        """How many the daemon and its spawner have."""
        return sum(len(list((command.parent / "fd").iterdir()))
                   for command in [*self.daemon.commands(), pathlib.Path(f"/proc/{self.daemon.process.pid}/cmdline")])

    def held(self):
        """What this daemon's programs and all processes of its cells hold besides the cells' own: mounts of the state folder that the
        spawner sees, namespaces of each kind that a process is in or a descriptor keeps, and processes."""
        group = harness.daemon_group(self.daemon.state)
        programs = [command.parent for command in self.daemon.commands()]
        links, inside = [], 0
        for process in [*programs, *(p for p in pathlib.Path("/proc").iterdir() if p.name.isdigit())]:
            with contextlib.suppress(OSError):
                is_inside = f"/{group}/" in (process / "cgroup").read_text()
                inside += is_inside
                links += [os.readlink(kind) for kind in (process / "ns").iterdir()] if is_inside or process in programs else []
                links += [os.readlink(fd) for fd in (process / "fd").iterdir()] if process in programs else []
        kinds = collections.Counter(link.split(":")[0] for link in set(links) if re.fullmatch(NAMESPACE, link))
        self.assertLessEqual(kinds.pop("user"), KEPT_MAX)
        mounts = sum(str(self.daemon.state) in line for program in programs for line in (program / "mountinfo").read_text().splitlines())
        return {"mounts": mounts, "processes": inside, **kinds}

    def settled(self, what, probe, expected):
        harness.eventually(f"{what} is {expected}", lambda: probe() == expected or None)

    def cycle(self, number):
        cell = self.daemon.create(f"cycle-{number}")
        result = cell.exec(f"echo {number} > file; cat file; sleep 1000 &")
        assert (result["exit_code"], result["stdout"]) == (0, f"{number}\n"), result
        assert cell.call("DELETE").status == 204

    def test_a_thousand_cells_come_and_go_and_leave_nothing(self):
        self.cycle("first")  # Its image is mounted for all.
        self.settled("the processes left", lambda: self.held()["processes"], 4 * PREPARED)  # two of each sandbox, two of each fresh cell
        before, held = self.descriptors(), self.held()
        for start in range(0, CYCLES, CYCLES // 4):
            with concurrent.futures.ThreadPoolExecutor(WORKERS) as workers:
                list(workers.map(self.cycle, range(start, start + CYCLES // 4)))
            half_done = self.daemon.create("half-done")
            half_done.exec("sleep 1000 > /dev/null 2>&1 & echo up")
            self.daemon.restart()  # By SIGKILL: what it had prepared is somebody else's to remove.
            self.assertEqual("0\n", half_done.exec("echo $?")["stdout"])
            self.assertEqual(204, half_done.call("DELETE").status)
        self.settled("the groups left", self.groups, set())
        self.settled("the folders left", self.folders, [])
        self.assertNotIn(str(self.daemon.state), pathlib.Path("/proc/self/mountinfo").read_text())
        self.cycle("last")
        self.settled("what is held", self.held, held)
        # What still held a namespace, a mount or a socket of a cell would be a descriptor.
        harness.eventually("no descriptors are kept", lambda: self.descriptors() <= before + KEPT_MAX)

    def test_two_hundred_cells_run_at_once_and_outlive_the_daemon(self):
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as workers:
            cells = list(workers.map(lambda n: self.daemon.create(f"crowd-{n}"), range(AT_ONCE)))
            list(workers.map(lambda cell: cell.exec(f"echo {cell.id} > /tmp/mine"), cells))
            self.assertEqual(AT_ONCE, len(self.groups()))
            self.daemon.restart()
            kept = list(workers.map(lambda cell: cell.exec("cat /tmp/mine")["stdout"].strip(), cells))
            self.assertEqual([cell.id for cell in cells], kept)  # /tmp is memory: they were not made anew
            list(workers.map(lambda cell: cell.call("DELETE"), cells))
        self.settled("the groups left", self.groups, set())
        self.settled("the folders left", self.folders, [])

    def test_hibernated_cells_are_served_before_the_daemon_has_opened_them_all(self):
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as workers:
            cells = list(workers.map(lambda n: self.daemon.create(f"sleeper-{n:03}"), range(AT_ONCE // 2)))
            for cell in cells:
                (cell.dir / "work/own").write_text(cell.id)
            self.daemon.restart()
            listed = self.daemon.get("/api/v1/cells").json["cells"]  # Most are not open yet.
            self.assertEqual({(cell.id, "hibernated") for cell in cells}, {(c["cell_id"], c["state"]) for c in listed})
            last = cells[-1]
            self.assertEqual(204, last.call("DELETE").status)
            self.assertEqual(404, last.call("GET").status)
            # Many ask for one at once: it is opened once, and they all get its answer.
            one = cells[-2]
            answers = list(workers.map(lambda _: one.call("GET", "/files/own").body.decode(), range(4 * WORKERS)))
            self.assertEqual({one.id}, set(answers))
            read = list(workers.map(lambda cell: cell.call("GET", "/files/own").body.decode(), cells[:-1]))
            self.assertEqual([cell.id for cell in cells[:-1]], read)
            list(workers.map(lambda cell: cell.call("DELETE"), cells[:-1]))
        self.settled("the folders left", self.folders, [])
