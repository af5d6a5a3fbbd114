"""What a run did is undone when it fails, or is cancelled with rollback: the last step first, each once."""
import contextlib
import http.client
import threading

import harness

AGENT = """
const fs = require("fs");
const log = (line) => fs.appendFileSync("/work/log", line + "\\n");
const gate = async (name) => { while (!fs.existsSync("/work/" + name)) await new Promise((r) => setTimeout(r, 5)); };
const book = (ctx, name, options) => ctx.step(name, () => { log(name); return name + "-1"; },
  { rollback: (s, value) => log("-" + value), ...options });
module.exports = {
  async fails(ctx, { held }) {
    await book(ctx, "hotel");
    await book(ctx, "car", { rollback: async (s, value) => { log("-" + value); if (held) await gate("gate"); } });
    await book(ctx, "flight");
    throw new RangeError("no seat");
  },
  async waits(ctx, { left = "wait" }) {
    await book(ctx, "hotel");
    await book(ctx, "car");
    if (left === "step") await ctx.step("open", () => { log("open"); return gate("never"); }, { onInterrupt: "ask" });
    if (left === "shell") await ctx.step("sh", () => ctx.shellAsync("echo open >> log; sleep 1000"));
    if (left === "sync") ctx.shell("echo open >> log; sleep 1000");
    await ctx.waitForEvent("go");
  },
  async breaks(ctx) {
    await book(ctx, "hotel");
    await ctx.step("car", () => 1, { rollback: () => { log("-car"); throw new Error("no refund"); } });
    await book(ctx, "flight", { rollback: async (s) => { log("-flight" + (await ctx.shellAsync("echo x")).stdout.trim()); } });
    await ctx.waitForEvent("go");
  },
  async holds(ctx) {
    await book(ctx, "hotel");
    await book(ctx, "car", { rollback: async (s, value) => { log("-" + value); await gate("gate"); } });
    await ctx.waitForEvent("go");
  },
  async busy(ctx) { await ctx.step("busy", () => { log("busy"); return gate("gate"); }); },
  async slow(ctx) {
    if (fs.existsSync("/work/slow")) await new Promise((r) => setTimeout(r, 2500));
    await book(ctx, "hotel");
    await ctx.waitForEvent("go");
  },
  async continues(ctx) {
    await book(ctx, "hotel");
    await ctx.step("before", () => { log("before"); return gate("gate"); });
    return ctx.continueAs({ text: "x".repeat(100_000) });
  },
  async returns(ctx) {
    await book(ctx, "hotel");
    await ctx.step("before", () => { log("before"); return gate("gate"); });
    return "x".repeat(100_000);
  },
  async twice(ctx) {
    const head = JSON.stringify({ t: "rollback", run: ctx.run.id, a: ctx.run.attempt, o: 99, n: "failed" });
    const frame = Buffer.from(`........${head}{}`);
    frame.writeUInt32LE(head.length, 0);
    frame.writeUInt32LE(2, 4);
    await ctx.step("hotel", () => 1, { rollback: () => { fs.writeSync(3, frame); return gate("never"); } });
    throw new Error("no seat");
  },
  async parent(ctx) { await book(ctx, "trip"); await (await ctx.spawn("waits")).result(); },
};
"""

PYTHON = '''
import asyncio, os, time

def log(line):
    with open("/work/log", "a") as file:
        file.write(line + "\\n")

def book(ctx, name, rollback=lambda s, value: log("-" + value), **options):
    def do():
        log(name)
        return name + "-1"
    return ctx.step(name, do, rollback=rollback, **options)

async def fails(ctx, params):
    async def held(s, value):
        log("-" + value)
        while params.get("held") and not os.path.exists("/work/gate"):
            await asyncio.sleep(0.005)
    await book(ctx, "hotel")
    await book(ctx, "car", held)
    await book(ctx, "flight")
    raise ValueError("no seat")

def waits(ctx, params):
    def left():
        log("open")
        time.sleep(1000)
    book(ctx, "hotel")
    book(ctx, "car")
    if params.get("left") == "step":
        ctx.step("open", left)
    ctx.wait_for_event("go")
'''


class RollbackTest(harness.CellTest):
    def waits(self, cell, run):
        harness.eventually("the run waits", lambda: cell.run(run)["status"] == "waiting")

    def leaves(self, cell, run):
        self.waits(cell, run)
        harness.eventually("it leaves the agent", lambda: not any(b["kind"] == "run" for b in cell.get()["idle"]["blockers"]))

    def cancel(self, cell, run, **body):
        answer = cell.call("POST", f"/runs/{run}/cancel", {"rollback": True, **body})
        self.assertEqual(200, answer.status, answer)
        return answer.json

    def test_agents_in_python_undo_what_they_did(self):
        cell = self.cell(agent=PYTHON, agent_language="python")
        begin = lambda method, **params: cell.call("POST", "/runs", {"method": method, "params": params}).json["id"]  # noqa: E731
        run = begin("fails", held=True)
        self.reaches(cell, "-car-1")
        cell.kill_processes("agent")
        cell.call("PUT", "/files/gate", b"")
        self.assertEqual({"done": ["flight", "car", "hotel"]}, cell.settled(run)["error"]["rollback"])
        self.assertEqual(["hotel", "car", "flight", "-flight-1", "-car-1", "-car-1", "-hotel-1"], self.log(cell))
        waits, works = begin("waits"), begin("waits", left="step")
        self.waits(cell, waits)
        self.reaches(cell, "open")
        for run in (waits, works):
            ended = self.cancel(cell, run)
            self.assertEqual(("cancelled", {"done": ["car", "hotel"]}), (ended["status"], ended["error"]["rollback"]))
        self.assertEqual(1, self.log(cell).count("open"))

    def test_a_run_that_fails_undoes_what_it_did(self):
        cell, run = self.begin(AGENT, "fails")
        ended = cell.settled(run)
        self.assertEqual(("failed", "no seat"), (ended["status"], ended["error"]["message"]))
        self.assertEqual({"done": ["flight", "car", "hotel"]}, ended["error"]["rollback"])
        self.assertEqual(["hotel", "car", "flight", "-flight-1", "-car-1", "-hotel-1"], self.log(cell))
        self.assertEqual(["rollback flight", "rollback car", "rollback hotel"], [s["name"] for s in ended["steps"][3:]])
        told = [e.json["data"] for e in cell.events(run) if e.type == "run.rollback"]
        self.assertEqual([("failed", "no seat")], [(t["reason"], t["error"]["message"]) for t in told])
        missing = cell.call("POST", f"/runs/{run}/restart", {"from": "rollback car"})
        self.assertEqual((404, "step_not_found"), (missing.status, missing.json["code"]))
        again = cell.call("POST", f"/runs/{run}/restart", {"from": "hotel"}).json["id"]
        self.assertEqual({"done": ["flight", "car", "hotel"]}, cell.settled(again)["error"]["rollback"])

    def test_a_run_does_not_begin_again_behind_what_it_has_undone(self):
        cell = self.cell("again", agent="""module.exports = { async trip(ctx) {
          const seen = await ctx.step("weather", () => "dry");
          await ctx.step("hotel", () => "H1", { rollback: () => {} });
          await ctx.step("car", () => { throw new Error("no car"); });
          return seen;
        } };""")
        run = cell.call("POST", "/runs", {"method": "trip"}).json["id"]
        self.assertEqual("failed", cell.settled(run)["status"])
        refused = cell.call("POST", f"/runs/{run}/restart", {"from": "car"})
        self.assertEqual((409, "step_undone"), (refused.status, refused.json["code"]), refused)
        self.assertIn('"hotel"', refused.json["remediation"])
        again = cell.call("POST", f"/runs/{run}/restart", {"from": "hotel"})
        self.assertEqual(["weather", "hotel", "car", "rollback hotel"], [step["name"] for step in cell.settled(again.json["id"])["steps"]])

    def test_what_is_killed_while_it_rolls_back_goes_on_rolling_back(self):
        kills = {"agent": lambda cell: cell.kill_processes("agent"), "daemon": lambda cell: self.daemon.restart(),
                 "pause": lambda cell: (cell.call("POST", f"/runs/{self.run_id}/pause"),
                                        cell.call("POST", f"/runs/{self.run_id}/resume"))}
        for name, kill in kills.items():
            with self.subTest(killed=name):
                cell = self.cell(f"killed-{name}", agent=AGENT)
                self.run_id = cell.call("POST", "/runs", {"method": "fails", "params": {"held": True}}).json["id"]
                self.reaches(cell, "-car-1")
                self.assertEqual(("running", "rollback"), (cell.run(self.run_id)["status"], cell.run(self.run_id)["reason"]))
                kill(cell)
                cell.call("PUT", "/files/gate", b"")
                self.assertEqual({"done": ["flight", "car", "hotel"]}, cell.settled(self.run_id)["error"]["rollback"])
                log = self.log(cell)
                self.assertEqual((["hotel", "car", "flight", "-flight-1"], "-hotel-1"), (log[:4], log[-1]))
                self.assertEqual(2, log.count("-car-1"))  # It was under way.
                self.assertEqual(1, log.count("-hotel-1"))

    def test_a_cancel_with_rollback_undoes_what_was_done(self):
        for left in ("wait", "step", "shell", "sync"):
            with self.subTest(left=left):
                cell = self.cell(f"left-{left}", agent=AGENT)
                run = cell.call("POST", "/runs", {"method": "waits", "params": {"left": left}}).json["id"]
                if left == "wait":
                    self.leaves(cell, run)
                    self.daemon.restart()  # Nobody has the run now.
                else:
                    self.reaches(cell, "open")
                ended = self.cancel(cell, run)
                self.assertEqual(("cancelled", {"done": ["car", "hotel"]}), (ended["status"], ended["error"]["rollback"]))
                self.assertEqual([], [line for line in self.log(cell)[2:-2] if line != "open"])
                self.assertEqual(["-car-1", "-hotel-1"], self.log(cell)[-2:])
                self.assertEqual(1, [step["status"] for step in ended["steps"]].count("interrupted"))
                self.assertEqual("run_ended", cell.call("POST", f"/runs/{run}/cancel", {"rollback": True}).json["code"])

    def test_a_paused_run_is_cancelled_with_rollback(self):
        cell, run = self.begin(AGENT, "waits", left="step")
        self.reaches(cell, "open")
        cell.kill_processes("agent")
        harness.eventually("it is paused", lambda: cell.run(run)["status"] == "paused")
        self.assertEqual("ambiguous_step", cell.run(run)["reason"])
        ended = self.cancel(cell, run)
        self.assertEqual(("cancelled", {"done": ["car", "hotel"]}), (ended["status"], ended["error"]["rollback"]))
        self.assertEqual(1, self.log(cell).count("open"))

    def plan_fault(self, plan):
        (self.daemon.root / "plan").write_text(plan)
        (self.daemon.root / "plan").replace(self.daemon.root / "faults")

    def with_faults(self):
        environment = self.daemon.environment()
        self.addCleanup(self.daemon.restart)
        self.addCleanup(delattr, self.daemon, "environment")
        self.daemon.environment = lambda: {**environment, "CELLAR_FAULTS": str(self.daemon.root / "faults")}
        self.plan_fault("- 0 -")
        self.daemon.restart()

    def ask(self, cell, run, what, **body):
        """In a thread: the daemon may end meanwhile."""
        def call():
            with contextlib.suppress(OSError, http.client.HTTPException):
                cell.call("POST", f"/runs/{run}/{what}", body)
        thread = threading.Thread(target=call)
        self.addCleanup(thread.join)
        thread.start()

    def ends_in(self, cell, run, point, what, **body):
        """The daemon is asked for this, ends at this point, and is started again."""
        self.plan_fault(f"{point} 1 kill")
        self.ask(cell, run, what, **body)
        self.daemon.process.wait(harness.WAIT_S)
        self.plan_fault("- 0 -")
        self.daemon.start()

    def test_a_cancel_that_meets_a_pause_goes_on_after_a_crash(self):
        self.with_faults()

        def is_held():
            _, pauses, after = (self.daemon.root / "faults.hits").read_text().partition("pause.before_written")
            return pauses and "journal.before_sync" in after

        for number, rollback in enumerate((True, False)):
            cell = self.cell(f"meets-{number}", agent=AGENT)
            run = cell.call("POST", "/runs", {"method": "waits"}).json["id"]
            self.waits(cell, run)
            (self.daemon.root / "faults.hits").write_text("")
            self.plan_fault("journal.before_sync 1 delay=500")
            self.ask(cell, run, "pause")
            harness.eventually("the pause is on its way to the disk", is_held)
            self.ends_in(cell, run, "cancel.durable", "cancel", rollback=rollback)
            harness.eventually("it goes on", lambda: cell.run(run)["status"] == "cancelled")
            self.assertEqual({"done": ["car", "hotel"]} if rollback else None, cell.run(run)["error"].get("rollback"))

    def test_a_cancel_of_what_is_paused_ends_it_after_a_crash_too(self):
        self.with_faults()
        for number, rollback in enumerate((True, False)):
            cell = self.cell(f"paused-{number}", agent=AGENT)
            parent = cell.call("POST", "/runs", {"method": "parent"}).json["id"]
            self.waits(cell, parent)
            child = next(r["id"] for r in cell.runs() if r["method"] == "waits")
            self.waits(cell, child)
            self.assertEqual("paused", cell.call("POST", f"/runs/{child}/pause").json["status"])
            self.ends_in(cell, parent, "cancel.durable", "cancel", rollback=rollback)
            for run in (parent, child):
                harness.eventually("it ends", lambda: cell.run(run)["status"] == "cancelled")

    def test_a_cancel_that_meets_the_end_of_a_generation_undoes_it(self):
        self.with_faults()
        for number, method in enumerate(("continues", "returns")):
            cell = self.cell(f"generation-{number}", agent=AGENT)
            run = cell.call("POST", "/runs", {"method": method}).json["id"]
            self.reaches(cell, "before")
            self.plan_fault("blob.before_write 1 delay=1000")
            (self.daemon.root / "faults.hits").write_text("")
            cell.call("PUT", "/files/gate", b"")
            harness.eventually("the state is on its way", lambda: "blob.before_write" in (self.daemon.root / "faults.hits").read_text())
            ended = self.cancel(cell, run)
            self.assertEqual(("cancelled", {"done": ["hotel"]}), (ended["status"], ended["error"]["rollback"]))
            self.assertEqual(["hotel", "before", "-hotel-1"], self.log(cell))
            self.plan_fault("- 0 -")

    def test_the_process_of_others_is_not_ended_for_a_run_that_has_yet_to_get_there(self):
        cell, slow = self.begin(AGENT, "slow")
        self.leaves(cell, slow)
        busy = cell.call("POST", "/runs", {"method": "busy"}).json["id"]
        self.reaches(cell, "busy")
        cell.call("PUT", "/files/slow", b"")
        self.daemon.restart()  # The one that waits is in no process now.
        harness.eventually("the other goes on", lambda: self.log(cell).count("busy") == 2)
        self.assertEqual({"done": ["hotel"]}, self.cancel(cell, slow, grace_ms=0)["error"]["rollback"])
        cell.call("PUT", "/files/gate", b"")
        cell.settled(busy)
        self.assertEqual(["hotel", "busy", "busy", "-hotel-1"], self.log(cell))

    def test_what_it_has_begun_is_undone_too(self):
        cell, run = self.begin(AGENT, "parent")
        self.waits(cell, run)
        child = next(r["id"] for r in cell.runs() if r["method"] == "waits")
        self.waits(cell, child)
        self.assertEqual({"done": ["trip"]}, self.cancel(cell, run)["error"]["rollback"])
        ended = cell.settled(child)
        self.assertEqual(("cancelled", {"done": ["car", "hotel"]}), (ended["status"], ended["error"]["rollback"]))

    def test_a_rollback_that_fails_ends_the_run_as_failed(self):
        cell, run = self.begin(AGENT, "breaks")
        self.waits(cell, run)
        ended = self.cancel(cell, run)
        told = ended["error"]["rollback"]
        self.assertEqual(("failed", ["flight"], "car", "no refund", ["hotel"]), (
            ended["status"], told["done"], told["failed"]["name"], told["failed"]["error"]["message"], told["not_run"]))
        self.assertEqual(["hotel", "flight", "-flightx", "-car"], self.log(cell))

    def test_what_begins_to_roll_back_twice_is_paused(self):
        cell, run = self.begin(AGENT, "twice")
        paused = cell.settled(run)
        self.assertEqual(("paused", "replay_mismatch", "the one at 3", "the one at 99"), (
            paused["status"], paused["reason"], paused["detail"]["expected"]["n"], paused["detail"]["got"]["n"]))
        self.assertEqual("cancelled", cell.call("POST", f"/runs/{run}/cancel").json["status"])

    def test_a_cancel_without_rollback_ends_the_rollbacks(self):
        cell, run = self.begin(AGENT, "holds")
        self.waits(cell, run)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.cancel(cell, run)))  # It waits for them.
        thread.start()
        self.reaches(cell, "-car-1")
        ended = cell.call("POST", f"/runs/{run}/cancel").json
        thread.join()
        self.assertEqual(("cancelled", "cancelled"), (ended["status"], answers[0]["status"]))
        self.assertNotIn("-hotel-1", self.log(cell))
        self.assertEqual(400, cell.call("POST", f"/runs/{run}/cancel", {"rollback": 1}).status)
