"""Pause, resume and hibernation, beside the kernel's own freezer; and ten thousand cells that sleep. scripts/bench pause.

The memory that goes to swap is moved to compressed memory made for it (zram), where the kernel has that; else to a file.
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import time

import pause_references
from bench import Bench, Client, carry_out, harness, milliseconds
from swap import swap, why_not

HEAP_MB = 300
FIRST_TIMES = 7
# A server with a heap of objects, as programs have it; the daemon asks it over the agent's own method.
AGENT = """const heap = [];
module.exports = {
  nothing() { return 1; },
  fill(ctx, { megabytes }) {
    for (let block = 0; block < megabytes * 4; block++) {
      heap.push(Array.from({ length: 4096 }, (_, i) => ({ block, i })));
      if (process.memoryUsage().rss > megabytes << 20) break;
    }
    return process.memoryUsage().rss;
  },
  touch() { let sum = 0; for (const block of heap) for (const entry of block) sum += entry.i; return sum; },
};"""
GROUP = pathlib.Path("/sys/fs/cgroup/unified" if pathlib.Path("/sys/fs/cgroup/unified").is_dir() else "/sys/fs/cgroup")


def memory_of(pid, line):
    """The bytes that a line of the process's status tells: VmRSS, RssAnon, …"""
    return bytes_in(f"/proc/{pid}/status", line)


def bytes_in(path, line):
    texts = pathlib.Path(path).read_text().splitlines()
    return next(int(text.split()[1]) << 10 for text in texts if text.startswith(line))


def faults_of(pid):
    """How often the main thread has waited for a page that was not in memory."""
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[9])


def percentile(times, part):
    return sorted(times)[min(len(times) - 1, int(len(times) * part))]


class Freezer:
    """The reference: as many processes in a cgroup of their own, frozen and thawed by two writes."""

    def __init__(self, count):
        self.group = GROUP / f"cellar-bench-{os.getpid()}"
        self.group.mkdir()
        self.processes = [subprocess.Popen(["sleep", "100000"]) for _ in range(count)]
        for process in self.processes:
            (self.group / "cgroup.procs").write_text(str(process.pid))

    def turn(self, frozen):
        (self.group / "cgroup.freeze").write_text("1" if frozen else "0")
        while f"frozen {int(frozen)}" not in (self.group / "cgroup.events").read_text():
            pass

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.group.rmdir()


class PauseBench(Bench):
    def __init__(self, runs, cells, parts):
        self.runs, self.rows, self.cells, self.parts = runs, [], cells, parts
        self.daemon = harness.Daemon("--page-out-after-s", "0", images="default")

    def processes(self):
        for count in (1, 10, 100):
            self.resumes(count)

    def resumes(self, count):
        """The first answer of a command after a pause, in a cell with so many processes that wait."""
        cell = self.daemon.create(f"crowd-{count}")
        path = f"/api/v1/cells/{cell.id}"
        stream = self.daemon.stream("POST", f"{path}/exec", {
            "cmd": f"for i in $(seq {count - 1}); do sleep 100000 & done; echo up; exec sleep 100000"})
        next(iter(stream))
        command = lambda _: self.client.call("POST", f"{path}/exec", {"cmd": ["true"]})
        freezer = Freezer(count)
        awake, paused, pauses, thaws = [], [], [], []
        for _ in range(self.runs):
            awake += milliseconds(command, 1)
            pauses += milliseconds(lambda _: self.client.call("POST", f"{path}/pause"), 1)
            paused += milliseconds(command, 1)
            freezer.turn(True)
            thaws += milliseconds(lambda _: freezer.turn(False), 1)
        freezer.close()
        stream.close()
        name = f"{count} process{'es' if count > 1 else ''}"
        self.row(f"pause, {name}", pauses)
        self.row(f"first command after a pause, {name}", paused, awake, "the same in a cell that is awake")
        self.row(f"  of that the resume, {name}", [max(0, a - b) for a, b in zip(paused, awake)], thaws, "thaw of a cgroup")
        print(f"{'  p99 of the first command':<48} {percentile(paused, 0.99):9.3f} ms", flush=True)
        cell.call("DELETE")

    def memory(self):
        with self.swap() as device:
            cell = self.daemon.create("heap", agent=AGENT, tier="performance")
            before = cell.request("fill", {"megabytes": HEAP_MB}).json
            path = f"/api/v1/cells/{cell.id}"
            first, whole, shares = [], [], []
            pid = cell.agent_pid()
            nothing = lambda _: self.client.call("POST", f"{path}/request", {"method": "nothing"})
            touch = lambda _: self.client.call("POST", f"{path}/request", {"method": "touch"})
            for _ in range(max(20, self.runs // 4)):
                self.page_out(cell)
                gone = memory_of(pid, "VmSwap")
                shares.append(gone / (gone + memory_of(pid, "RssAnon")))
                first += milliseconds(nothing, 1)
            for _ in range(5):
                self.page_out(cell)
                whole += milliseconds(touch, 1)
            warm = milliseconds(nothing, self.runs)
            walk = milliseconds(touch, 5)
            print(f"a Node process of {before >> 20} MB, paused: {gone >> 20} MB went to {device}", flush=True)
            self.row("  of what no file has", [100 * share for share in shares], unit="%")
            self.row("  first request after that", first, warm, "a request to a warm agent")
            print(f"{'  p99 of it':<48} {percentile(first, 0.99):9.3f} ms", flush=True)
            self.row("  first request that needs all of its heap", whole, walk, "the same when it is in memory")
            cell.call("DELETE")

    def page_out(self, cell):
        self.client.call("POST", f"/api/v1/cells/{cell.id}/pause")
        harness.eventually("it is moved", lambda: "paged_out_bytes" in cell.get()["pause"])

    def first_time(self):
        """Nothing was moved before: of a process that was asked for something since it began, and of one that was not."""
        known, unknown = [], []
        with self.swap():
            for number in range(FIRST_TIMES):
                known.append(self.first_page_out(f"known-{number}", is_asked_before=True))
                unknown.append(self.first_page_out(f"unknown-{number}", is_asked_before=False))
        for what, ours, reference in zip(("ms", "pages"), zip(*known), zip(*unknown)):
            name = "request to a process, moved for the first time" if what == "ms" else "  pages from swap that it waits for"
            self.row(name, ours, reference, "one never asked before", what)

    def first_page_out(self, customer, is_asked_before):
        cell = self.daemon.create(customer, agent=AGENT, tier="performance")
        nothing = lambda _: self.client.call("POST", f"/api/v1/cells/{cell.id}/request", {"method": "nothing"})
        cell.request("fill", {"megabytes": HEAP_MB})
        if is_asked_before:
            touched = lambda: bytes_in(f"/proc/{cell.agent_pid()}/smaps_rollup", "Referenced")
            harness.eventually("what it touched as it began is forgotten", lambda: touched() < HEAP_MB << 18)
            nothing(0)
        self.page_out(cell)
        before = faults_of(cell.agent_pid())
        time_ms, = milliseconds(nothing, 1)
        waited = faults_of(cell.agent_pid()) - before
        cell.call("DELETE")
        return time_ms, waited

    def swap(self):
        if why_not():
            raise SystemExit(f"there is no swap to be had: {why_not()}")
        return swap(self.daemon.root, 4 * HEAP_MB)

    def hibernation(self):
        """With an agent host that is there before it is needed, and without."""
        restores = self.reference("runsc restore", pause_references.runsc(max(3, self.runs // 20)))
        for warm_agents, what in ((0, "agent started for it"), (1, "warm agent")):
            daemon = harness.Daemon(images="default", warm_agents=warm_agents)
            try:
                client = Client(daemon)
                ready = daemon.await_warm_agent if warm_agents else lambda: None
                times, starts, firsts = [], [], []
                for number in range(max(5, self.runs // 10)):
                    ready()
                    firsts += milliseconds(lambda _: self.first_answer(client, f"new-{number}"), 1)
                path = f"/api/v1/cells/{daemon.create('sleeper', agent=AGENT).id}"
                for _ in range(max(5, self.runs // 10)):
                    starts += milliseconds(lambda _: client.call("POST", f"{path}/exec", {"cmd": ["node", "-e", "0"]}), 1)
                    client.call("POST", f"{path}/hibernate")
                    ready()
                    times += milliseconds(lambda _: client.call("POST", f"{path}/request", {"method": "nothing"}), 1)
                self.row(f"first request after hibernation, {what}", times, starts, "node -e 0 in a cell that is awake")
                if restores:
                    self.row("  the same", times, restores, "runsc restore of 10 processes")
                self.row(f"new cell, its agent's first answer, {what}", firsts)
            finally:
                daemon.cleanup()

    def first_answer(self, client, customer):
        cell = client.call("POST", "/api/v1/cells", {"customer_id": customer, "agent": AGENT})["cell_id"]
        client.call("POST", f"/api/v1/cells/{cell}/request", {"method": "nothing"})

    def reference(self, name, times):
        """The times, or None, and why is said."""
        if isinstance(times, str):
            print(f"{name}: left out: {times}", flush=True)
            return None
        return times

    def sleepers(self):
        """The daemon with so many cells, made by copying one."""
        cell = self.daemon.create("one")
        self.daemon.stop()
        record = json.loads((cell.dir / "cell.json").read_text())
        for number in range(self.cells):
            target = cell.dir.parent / f"dev--n{number}"
            shutil.copytree(cell.dir, target)
            copied = record | {"cell_id": target.name, "customer_id": f"n{number}", "uid_index": 10_000 + number}
            (target / "cell.json").write_text(json.dumps(copied))
        self.daemon.start()  # It makes its registry of them.
        self.daemon.stop()
        ups = []
        for _ in range(3):
            ups += milliseconds(lambda _: self.daemon.start(), 1)
            pages = milliseconds(lambda _: self.daemon.get("/api/v1/cells?limit=100"), 5)
            self.settle()
            held = memory_of(self.daemon.process.pid, "VmRSS")
            self.daemon.stop()
        for folder in cell.dir.parent.glob("dev--n*"):
            shutil.rmtree(folder)
        self.daemon.start()
        few = memory_of(self.daemon.process.pid, "VmRSS")
        self.row(f"start of the daemon, {self.cells} cells that sleep", ups)
        self.row("  a page of 100 of them", pages)
        print(f"  memory of the daemon for each: {(held - few) / self.cells / 1024:.1f} KB", flush=True)

    def settle(self):
        """Until all cells are open: nothing is read for them any more."""
        reads = lambda: pathlib.Path(f"/proc/{self.daemon.process.pid}/stat").read_text().split()[13]
        while True:
            before = reads()
            time.sleep(2)
            if int(reads()) - int(before) <= 5:
                return

    def crun(self):
        if times := self.reference("crun resume", pause_references.crun(self.runs)):
            self.row("crun resume of 10 processes, for comparison", times)

    def run(self):
        try:
            self.client = Client(self.daemon)
            for part in self.parts or PARTS:
                getattr(self, part)()
        finally:
            self.daemon.cleanup()


PARTS = ("processes", "crun", "first_time", "memory", "hibernation", "sleepers")


def main():
    def more_options(parser):
        parser.add_argument("--cells", type=int, default=10_000)
        parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {' '.join(PARTS)}; none: all")

    carry_out(__doc__, lambda arguments: PauseBench(arguments.runs, arguments.cells, arguments.parts), more_options, "pause")


if __name__ == "__main__":
    main()
