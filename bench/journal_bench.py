#!/usr/bin/env python3
"""Measures durable steps, the journal and coming back, beside fdatasync and node: journal_bench.py [--bin DIR] [--cells N] [--save]

Prints figures, ratios and goals; --save writes bench/results/DATE-journal.json. Root is needed. bench/README.md says what
each row is.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import harness  # noqa: E402
from bench import sync_loop  # noqa: E402
from saving import save  # noqa: E402

AGENT = """
const fs = require("fs");
module.exports = {
  async steps(ctx, { count, width, bytes }) {
    const times = [], value = "v".repeat(bytes);
    await Promise.all(Array.from({ length: width }, async () => {
      for (let i = 0; i < count / width; i++) {
        const start = process.hrtime.bigint();
        await ctx.step("s", () => value);
        times.push(Number(process.hrtime.bigint() - start) / 1e6);
      }
    }));
    return times;
  },
  async holds(ctx, { count }) {
    const value = "v".repeat(1024);
    for (let i = 0; i < count; i++) await ctx.step("s", () => value);
    for (let i = 0; ; i++) {
      await ctx.step("hold", async () => {
        fs.appendFileSync("/work/hold", Date.now() + "\\n");
        // Looked for seldom: a hundred of these take time from those that are still to start.
        while (!fs.existsSync(`/work/gate-${i}`)) await new Promise((done) => setTimeout(done, 1000));
      });
    }
  },
};"""

PYTHON_AGENT = """
import asyncio
import os
import time


async def steps(ctx, params):
    times, value = [], "v" * params["bytes"]

    async def go():
        for _ in range(params["count"] // params["width"]):
            start = time.perf_counter()
            await ctx.step("s", lambda: value)
            times.append((time.perf_counter() - start) * 1000)

    await asyncio.gather(*(go() for _ in range(params["width"])))
    return times

async def holds(ctx, params):
    value = "v" * 1024
    for _ in range(params["count"]):
        await ctx.step("s", lambda: value)
    number = 0
    while True:
        async def hold(s):
            with open("/work/hold", "a") as file:
                file.write(f"{int(time.time() * 1000)}\\n")
            while not os.path.exists(f"/work/gate-{number}"):
                await asyncio.sleep(1)
        await ctx.step("hold", hold)
        number += 1
"""


TURNS = 50  # of 10,000 steps


def p99(times):
    return sorted(times)[int(len(times) * 0.99)]


class Bench:
    def __init__(self, arguments):
        self.arguments, self.rows = arguments, []

    def row(self, id, name, value, unit, goal="", is_met=True, reference=None, against=""):
        entry = {"id": id, "name": name, "value": round(value, 3), "unit": unit}
        if goal:
            entry |= {"goal": goal, "met": bool(is_met)}
        if reference is not None:
            entry |= {"reference": against, "reference_value": round(reference, 3), "ratio": round(value / reference, 2)}
        self.rows.append(entry)
        beside = f"{reference:10.3f} {against:<24} ratio {entry['ratio']:6.2f}" if reference is not None else " " * 48
        told = f" goal {goal}{'' if is_met else '  MISSED'}" if goal else ""
        print(f"{id} {name:<46} {value:10.3f} {unit:<8} {beside}{told}", flush=True)

    # ---- a daemon ----

    def steps(self, cell, **params):
        answer = cell.request("steps", {"bytes": 1, "width": 1, **params})
        assert answer.status == 200, answer
        return answer.json

    def sequential(self, daemon):
        cell = daemon.create("steps", agent=AGENT)
        self.steps(cell, count=300)  # All of its code has been called by then; V8 compiles it in the next 6,000 or so.
        self.one_by_one(daemon, cell, "durable step that does nothing", {
            "the first 2,000": slice(TURNS // 5), "10,000": slice(None), "the last 2,000": slice(-TURNS // 5, None)})
        ends, beginnings = [], []
        for _ in range(3):  # Beside the steps that are next in time: the machine is not the same for seconds.
            ends += self.steps(cell, count=10_000)[-1000:]
            beginnings += self.steps(cell, count=1200)[-1000:]
        last, first = statistics.median(ends), statistics.median(beginnings)
        self.row("B2", "step 10,000 beside step 200", last, "ms", "≤ 1.05 times", last <= first * 1.05, first, "step 200")
        cell.call("DELETE")
        cell = daemon.create("steps-python", agent=PYTHON_AGENT, agent_language="python")
        self.steps(cell, count=300)
        self.one_by_one(daemon, cell, "the same, in Python", {"10,000": slice(None)})
        cell.call("DELETE")

    def one_by_one(self, daemon, cell, name, parts):
        """10,000 steps, in turns with as many writes: the machine is shared, and not the same all the time. Medians are
        compared turn by turn, for that reason."""
        ours, tight, paced = [], [], []
        for _ in range(TURNS):
            ours.append(self.steps(cell, count=10_000 // TURNS))
            tight.append(sync_loop(daemon.root, 10_000 // TURNS))
            paced.append(sync_loop(daemon.root, 10_000 // TURNS, statistics.median(ours[-1])))
        for shown, of in (("median", statistics.median), ("99 of 100", p99)):
            self.row("B1", f"write + fdatasync, as often as by those, {shown}", of(sum(paced, [])), "ms",
                     reference=of(sum(tight, [])), against="without a pause")
        for which, part in parts.items():
            own, raw = sum(ours[part], []), sum(paced[part], [])
            above = statistics.median(statistics.median(mine) - statistics.median(loop) for mine, loop in zip(ours[part], paced[part]))
            self.row("B1", f"{name}, {which}, median", statistics.median(own), "ms", f"≤ fdatasync + 0.15, it is + {above:.3f}",
                     above <= 0.15, statistics.median(raw), "fdatasync as often")
            self.row("B1", f"{name}, {which}, 99 of 100", p99(own), "ms", "≤ fdatasync + 0.5", p99(own) <= p99(raw) + 0.5,
                     p99(raw), "fdatasync as often")

    def syncs(self, daemon):
        """Writes to the disk for each step: segments and blobs aside, each is one fdatasync."""
        cell = daemon.create("syncs", agent=AGENT)
        self.steps(cell, count=3200, width=64)  # The agent's code is compiled by then, the journal of some size.

        def count_syncs():
            found = re.search(rb"^cellar_journal_sync_duration_seconds_count (\d+)", daemon.call("GET", "/metrics").body, re.M)
            return int(found.group(1))

        for width, goal in ((1, 1.0), (16, 0.1), (64, 0.05)):
            count, before = 3200, count_syncs()
            self.steps(cell, count=count, width=width)
            syncs = (count_syncs() - before) / count
            self.row("B3", f"fdatasyncs for a step, {width} side by side", syncs, "", f"≤ {goal}", syncs <= goal + 0.02)
        cell.call("DELETE")

    def held(self, daemon, name, count, **agent):
        """A cell with a run that has done `count` steps and is in one that does not end."""
        cell = daemon.create(name, **(agent or {"agent": AGENT}))
        cell.call("POST", "/runs", {"method": "holds", "params": {"count": count}})
        self.wait_for_executions(cell, 1)
        return cell

    def wait_for_executions(self, cell, count):
        path = cell.dir / "work/hold"
        harness.eventually("the step runs", lambda: path.exists() and len(path.read_text().splitlines()) >= count, 120)
        return int(path.read_text().splitlines()[count - 1])

    def boot(self, count, *program):
        """Milliseconds until so many programs that do nothing, begun at once, have ended; with the environment of a cell's."""
        start = time.perf_counter()
        command = program or ("node", "-e", "0")
        processes = [subprocess.Popen(command, env={"PATH": os.environ["PATH"]}) for _ in range(count)]
        assert [process.wait() for process in processes] == [0] * count
        return (time.perf_counter() - start) * 1000

    def resumes(self, daemon):
        """Of a run of 10 steps and one of 10,000, in turns: what the second takes longer is its replay."""
        for language, agent, program, goal in (("Node", {"agent": AGENT}, ("node", "-e", "0"), 150),
                                               ("Python", {"agent": PYTHON_AGENT, "agent_language": "python"}, ("python3", "-c", "0"), 400)):
            shown = " ".join(program)
            cells = {count: self.held(daemon, f"held-{language.lower()}-{count}", count, **agent) for count in (10, 10_000)}
            times, boots = {count: [] for count in cells}, []
            for number in range(7):
                boots.append(self.boot(1, *program))
                for count, cell in cells.items():
                    times[count].append(self.back_after_kill(cell, number))
            boot = statistics.median(boots)
            few, many = (statistics.median(times[count]) for count in cells)
            for count, extra, own in ((10, 50, few), (10_000, 500, many)):
                self.row("B6", f"{language} agent killed, back in step {count + 1}", own, "ms", f"≤ {program[0]} + {extra}",
                         own <= boot + extra, boot, shown)
            self.row("B5", f"of that, 10,000 steps of 1 KiB given again, {language}", many - few, "ms", f"≤ {goal}",
                     many - few <= goal, boot, shown)
            for cell in cells.values():
                cell.call("DELETE")
            if language == "Node":
                self.resumes_long(daemon, few, many - few)

    def resumes_long(self, daemon, few, given_again):
        cell = self.held(daemon, "held-long", 99_000)  # A run has 100,000 commands at most.
        own = statistics.median(self.back_after_kill(cell, number) for number in range(3)) - few
        self.row("B5", "the same of 99,000", own, "ms", "≤ 10 times", own <= 10 * given_again, given_again, "of 10,000")
        cell.call("DELETE")

    def back_after_kill(self, cell, number):
        """Milliseconds from the kill of the agent's process until its step is executed again."""
        killed = time.time() * 1000
        os.kill(cell.agent_pid(), signal.SIGKILL)
        back = self.wait_for_executions(cell, 2 * number + 2) - killed
        # With no step done between, the next attempt would be held up: it looks like a crash loop.
        (cell.dir / f"work/gate-{number}").touch()
        self.wait_for_executions(cell, 2 * number + 3)
        return back

    def restarts(self, daemon):
        count = self.arguments.cells
        cells = [self.held(daemon, f"many-{number}", 10) for number in range(count)]
        killed = time.time() * 1000
        daemon.restart()
        own = max(self.wait_for_executions(cell, 2) for cell in cells) - killed
        for cell in cells:
            cell.call("DELETE")
        boots = self.boot(count)  # A machine that takes longer for these alone is held to a ratio.
        self.row("B6", f"daemon killed, all of {count} cells back in their step", own, "ms", "≤ 2000 for 100 cells, or 1.5 times",
                 own <= max(2000, 1.5 * boots) and count >= 100, boots, f"{count} node -e 0 at once")

    # ---- the journal alone ----

    def journal(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="cellar-bench-"))
        try:
            command = [self.arguments.bin / "journal_bench", folder, "4"]
            out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        finally:
            shutil.rmtree(folder)
        figures = {}
        for line in out.splitlines():
            figures |= json.loads(line)
        own, raw = figures["journal_64"], figures["raw_64"]
        self.row("B4", "steps a second, journals of 64 cells, no agents", own, "/s", "≥ 0.7 times, ≥ 20,000",
                 own >= 0.7 * raw and own >= 20_000, raw, "64 loops of fdatasync")
        for name, goal in (("scan_10k_warm", 25), ("scan_10k_cold", 60), ("scan_100k_warm", 250)):
            self.row("B5", name.replace("_", " of ", 1).replace("_", " steps of 1 KiB, "), figures[name], "ms", f"≤ {goal}",
                     figures[name] <= goal)

    def agents_side_by_side(self, daemon):
        cells = [daemon.create(f"side-{number}", agent=AGENT) for number in range(self.arguments.agents)]
        for cell in cells:
            self.steps(cell, count=320, width=16)
        name = f"steps a second, {len(cells)} agents, 16 side by side in each"
        first = self.rate(cells)  # V8 compiles meanwhile what they have begun to do.
        self.rate(cells)
        own = self.rate(cells)
        self.row("B4", f"{name}, the first 3,200 of each", first, "/s", "≥ 20,000", first >= 20_000)
        self.row("B4", f"{name}, compiled", own, "/s", "≥ 20,000", own >= 20_000)
        for cell in cells:
            cell.call("DELETE")

    def rate(self, cells):
        """Steps a second of all these cells at once, 3,200 in each."""
        count, start = 3200, time.perf_counter()
        threads = [threading.Thread(target=self.steps, args=(cell,), kwargs={"count": count, "width": 16}) for cell in cells]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(cells) * count / (time.perf_counter() - start)

    def run(self):
        self.journal()
        daemon = harness.Daemon(warm_agents=1)  # As it is where nobody says otherwise.
        daemon.await_warm_agent()
        try:
            self.syncs(daemon)
            self.sequential(daemon)
            self.agents_side_by_side(daemon)
            self.resumes(daemon)
            self.restarts(daemon)
        finally:
            daemon.cleanup()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin")
    parser.add_argument("--cells", type=int, default=100, help="that are live when the daemon is killed")
    parser.add_argument("--agents", type=int, default=8, help="that take steps at once")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    arguments.bin = harness.BIN = arguments.bin.resolve()
    bench = Bench(arguments)
    bench.run()
    if arguments.save:
        save(bench.rows, "journal")


if __name__ == "__main__":
    main()
