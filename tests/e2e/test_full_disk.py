"""On a full disk nothing new begins, what is under way is recorded, and all goes on once there is room."""
import contextlib
import os
import pathlib
import subprocess
import tempfile
import threading
import unittest

import harness

AGENT = r"""
const fs = require("fs");
const codeOf = (e, ctx) => (e instanceof ctx.errors.JournalFullError ? e.code : `not ours: ${e.stack}`);
module.exports = {
  async steps(ctx, { kind, count }) {
    let ran = 0;
    const one = {
      step: () => ctx.step("step", () => { ran += 1; return "x".repeat(500); }),
      asks: () => ctx.step("step", () => { ran += 1; return "x".repeat(500); }, { onInterrupt: "fail" }),
      shell: () => { ctx.shell("true"); ran += 1; },
      child: () => ctx.spawn("none").then(() => { ran += 1; }),
      sleep: () => ctx.sleep("sleep", 1).then(() => { ran += 1; }),
      db: () => { ctx.db.get("key"); ran += 1; },
    }[kind];
    try {
      for (let i = 0; i < count; i += 1) await one();
    } catch (e) {
      return [codeOf(e, ctx), ran];
    }
    return ["none", ran];
  },
  async gated(ctx, { bytes }) {
    const work = async () => {
      while (!fs.existsSync("/work/gate")) await new Promise((done) => setTimeout(done, 5));
      return "v".repeat(bytes);
    };
    return ctx.step("gated", work).then((v) => v.length, (e) => codeOf(e, ctx));
  },
  // All at once; what was done is told by the file of the cell's /tmp, which is another disk.
  async burst(ctx, { count }) {
    const one = (i) => ctx.step(`step ${i}`, () => { fs.appendFileSync("/tmp/done", `${i}\n`); return "x".repeat(400); })
      .then(() => "done", (e) => codeOf(e, ctx));
    const ends = await Promise.all(Array.from({ length: count }, (_, i) => one(i)));
    return [ends.filter((end) => end === "done").length, ends.filter((end) => end === "journal_full").length];
  },
  async values(ctx) {
    const work = async () => {
      while (!fs.existsSync("/work/gate")) await new Promise((done) => setTimeout(done, 5));
      fs.appendFileSync("/tmp/done", "gated\n");
    };
    const step = ctx.step("gated", work);
    while (!fs.existsSync("/work/full")) await new Promise((done) => setTimeout(done, 5));
    for (let i = 0; i < 900; i += 1) ctx.now();
    await step;
    return "all";
  },
  async streams(ctx) { for (;;) { ctx.stream("s".repeat(500)); await new Promise(setImmediate); } },
  async none() { return null; },
  async read() { return fs.existsSync("/tmp/done") ? fs.readFileSync("/tmp/done", "utf8") : ""; },
  async waits(ctx) { return ctx.waitForEvent("go"); },
};
"""


class FullDiskTest(harness.CellTest):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root: cells are made of namespaces and mounts")
        cls.place = pathlib.Path(tempfile.mkdtemp(prefix=harness.PREFIX))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "cellar-e2e", cls.place], check=True)
        cls.addClassCleanup(cls.place.rmdir)
        cls.addClassCleanup(subprocess.run, ["umount", cls.place], check=True)
        cls.daemon = harness.Daemon(place=cls.place)
        cls.addClassCleanup(cls.daemon.cleanup)

    def fill(self):
        """Takes all that is left of the disk, until free() is called."""
        self.filler = self.place / "filler"
        self.addCleanup(self.free)
        self.take_all()

    def take_all(self):
        with open(self.filler, "ab", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))

    @contextlib.contextmanager
    def kept_full(self):
        """Takes whatever somebody gives back of the disk meanwhile."""
        over = threading.Event()

        def take():
            while not over.is_set():
                self.take_all()
        taker = threading.Thread(target=take)
        taker.start()
        try:
            yield
        finally:
            over.set()
            taker.join()

    def free(self):
        self.filler.unlink(missing_ok=True)

    def start(self, cell, method, **params):
        return cell.call("POST", "/runs", {"method": method, "params": params})

    def full_cell(self):
        """A cell whose journal has noticed that the disk is full, and the run that has."""
        cell = self.cell(agent=AGENT)
        self.assertIsNone(cell.request("none").json)
        self.fill()
        return cell, cell.settled(self.start(cell, "steps", kind="step", count=10000).json["id"])

    def done(self, cell):
        """The steps that were executed, each as often as it was."""
        return cell.request("read").json.splitlines()

    def goes_on(self, cell):
        self.free()
        started = harness.eventually("new runs begin again", lambda: (a := self.start(cell, "none")).status == 202 and a)
        self.assertEqual("completed", cell.settled(started.json["id"])["status"])

    def test_no_step_is_done_that_is_not_recorded_and_new_runs_are_refused(self):
        cell, run = self.full_cell()
        code, ran = run["result"]
        self.assertEqual(("completed", "journal_full"), (run["status"], code))
        self.assertGreater(ran, 5)
        statuses = [step["status"] for step in run["steps"]]
        self.assertEqual(["completed"] * ran + ["failed"], statuses)
        refused = self.start(cell, "none")
        self.assertEqual((507, "journal_full"), (refused.status, refused.json["code"]))
        self.assertIn("free disk space", refused.json["remediation"])
        self.assertEqual(507, cell.request("none").status)
        self.assertEqual(507, cell.call("POST", f"/runs/{run['id']}/restart", {}).status)
        self.daemon.restart()
        again = cell.run(run["id"])
        self.assertEqual((run["result"], statuses), (again["result"], [step["status"] for step in again["steps"]]))
        self.goes_on(cell)

    def test_whatever_a_run_asks_for_is_refused_before_it_is_done(self):
        for kind in ("asks", "shell", "child", "sleep", "db"):
            with self.subTest(kind):
                cell = self.cell(f"kind-{kind}", agent=AGENT)
                self.assertEqual(["none", 1], cell.request("steps", {"kind": kind, "count": 1}).json)
                self.fill()
                run = cell.settled(self.start(cell, "steps", kind=kind, count=3000).json["id"])
                self.assertEqual(("completed", "journal_full"), (run["status"], run["result"][0]))
                self.goes_on(cell)

    def test_what_is_under_way_ends_and_a_value_that_has_no_room_is_an_error(self):
        cell = self.cell(agent=AGENT)
        self.assertIsNone(cell.request("none").json)
        small, large = (self.start(cell, "gated", bytes=size).json["id"] for size in (1000, 200000))
        waits = self.start(cell, "waits").json["id"]
        harness.eventually("they have begun", lambda: all(cell.run(run)["steps"] for run in (small, large, waits)))
        self.fill()
        filled = cell.settled(self.start(cell, "steps", kind="step", count=10000).json["id"])
        self.assertEqual("journal_full", filled["result"][0])
        event = cell.call("POST", f"/runs/{waits}/events", {"id": "e", "type": "go", "payload": 1})
        self.assertEqual((507, "journal_full"), (event.status, event.json["code"]))
        (cell.dir / "work/gate").touch()
        self.assertEqual(1000, cell.settled(small)["result"])
        self.assertEqual("journal_full", cell.settled(large)["result"])
        self.goes_on(cell)
        self.assertEqual(200, cell.call("POST", f"/runs/{waits}/events", {"id": "e", "type": "go", "payload": 1}).status)
        self.assertEqual(1, cell.settled(waits)["result"])

    def test_the_end_of_a_step_waits_behind_nothing_that_has_no_room(self):
        cell = self.cell(agent=AGENT)
        self.assertIsNone(cell.request("none").json)
        run = self.start(cell, "values").json["id"]
        harness.eventually("it has begun", lambda: cell.run(run)["steps"])
        self.fill()
        (cell.dir / "work/full").touch()
        harness.eventually("the disk is full", lambda: self.start(cell, "none").status == 507)
        (cell.dir / "work/gate").touch()
        harness.eventually("its step is recorded", lambda: cell.run(run)["steps"][0]["status"] == "completed")
        self.assertEqual("running", cell.run(run)["status"])
        self.daemon.kill()
        self.daemon.start()
        self.goes_on(cell)
        self.assertEqual("all", cell.settled(run)["result"])
        self.assertEqual(["gated"], self.done(cell))

    def test_a_run_that_streams_is_paused_and_goes_on_when_it_is_resumed(self):
        cell = self.cell(agent=AGENT)
        self.assertIsNone(cell.request("none").json)
        self.fill()
        run = cell.settled(self.start(cell, "streams").json["id"])
        self.assertEqual(("paused", "journal_full"), (run["status"], run["reason"]))
        self.goes_on(cell)
        self.assertEqual(200, cell.call("POST", f"/runs/{run['id']}/resume", {}).status)
        self.assertEqual(200, cell.call("POST", f"/runs/{run['id']}/cancel", {"grace_ms": 0}).status)

    def test_of_many_steps_at_once_all_that_were_done_are_recorded(self):
        cell = self.cell(agent=AGENT)
        self.assertIsNone(cell.request("none").json)
        self.fill()
        run = self.start(cell, "burst", count=400).json["id"]
        harness.eventually("the disk is full", lambda: self.start(cell, "none").status == 507)
        settled = harness.eventually("what was done is recorded", lambda: self.quiet(cell, run))
        recorded = [step["name"] for step in settled["steps"] if step["status"] == "completed"]
        self.assertGreater(len(recorded), 10)
        self.daemon.kill()
        self.daemon.start()
        again = [step["name"] for step in cell.run(run)["steps"] if step["status"] == "completed"]
        self.assertEqual(recorded, again)
        self.goes_on(cell)
        done, refused = cell.settled(run)["result"]
        self.assertEqual(400, done + refused)
        steps = self.done(cell)
        self.assertEqual(len(steps), len(set(steps)), "a step was done twice")
        self.assertEqual(done, len(steps))

    def quiet(self, cell, run):
        """The run, once nothing of it changes any more; what it tells is on disk."""
        before = cell.call("GET", f"/runs/{run}")
        self.assertEqual(200, before.status)
        after = cell.call("GET", f"/runs/{run}")
        opens = [step for step in after.json["steps"] if step["status"] == "running"]
        return after.json if not opens and before.json["steps"] == after.json["steps"] else None

    def test_commands_run_on_a_full_disk_and_can_make_room(self):
        cell = self.cell(agent=AGENT)
        cell.exec("head -c 4M /dev/zero > /work/large")
        self.assertIsNone(cell.request("none").json)
        self.fill()
        cell.settled(self.start(cell, "steps", kind="step", count=10000).json["id"])
        self.assertEqual(507, self.start(cell, "none").status)
        heard = cell.exec("echo heard; head -c 1M /dev/zero > /work/more")
        self.assertEqual("heard\n", heard["stdout"])
        self.assertIn("No space left on device", heard["stderr"])
        cell.exec("rm /work/large")
        started = harness.eventually("new runs begin again", lambda: (a := self.start(cell, "none")).status == 202 and a)
        self.assertEqual("completed", cell.settled(started.json["id"])["status"])

    def test_a_cell_that_sleeps_says_what_it_needs_for_commands_and_does_the_rest(self):
        cell = self.cell(agent=AGENT)
        cell.exec("head -c 4M /dev/zero > /work/large")
        run = self.start(cell, "waits").json["id"]
        harness.eventually("it waits", lambda: cell.run(run)["status"] == "waiting")
        harness.eventually("it hibernates", lambda: cell.call("POST", "/hibernate", {}).status == 200)
        self.fill()
        refused = cell.call("POST", "/exec", {"cmd": "touch /work/run"})
        self.assertEqual((507, "disk_full"), (refused.status, refused.json["code"]))
        self.assertIn("free disk space", refused.json["remediation"])
        # The agent's domain does without a note, and files need no processes: it can be emptied as it sleeps.
        with self.kept_full():
            self.assertEqual(200, cell.call("POST", f"/runs/{run}/events", {"id": "e", "type": "go", "payload": 1}).status)
            self.assertEqual(1, cell.settled(run)["result"])
        self.assertFalse((cell.dir / "run/agent.json").exists())
        self.assertEqual(204, cell.call("DELETE", "/files/large").status)
        self.assertEqual("", cell.exec("ls /work")["stdout"])
        self.assertTrue((cell.dir / "run/slot.json").exists())  # By which the next daemon finds what runs.
