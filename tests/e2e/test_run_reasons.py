"""Why a run does not go on, and what counts for that: agents that keep dying, people who decide or answer while nobody works on it."""

import os

import harness

RESTARTS = int(os.environ.get("CELLAR_E2E_RESTARTS", "10"))
AGENT = """
const fs = require("fs");
const log = (line) => fs.appendFileSync("/work/log", line + "\\n");
const lines = () => fs.existsSync("/work/log") ? fs.readFileSync("/work/log", "utf8").split("\\n").length - 1 : 0;
const gate = async (name) => { while (!fs.existsSync("/work/" + name)) await new Promise((r) => setTimeout(r, 5)); };
module.exports = {
  async plain() { return "plain"; },
  async dies() { log("begins"); process.exit(1); },
  async waits_and_dies(ctx) { setTimeout(() => process.exit(1), 300); return ctx.waitForEvent("never"); },
  async recovers(ctx) {
    log("begins");
    if (lines() < 5) process.exit(1);
    return (await ctx.approve("ok")).approved;
  },
  async gives_up(ctx) {  // As one does that sends mail after mail, each at most once.
    for (let i = 0; i < 20; i += 1) await ctx.step("mail", () => { log("mail"); process.exit(1); }, { onInterrupt: "fail" }).catch(() => 0);
  },
  async pays(ctx) {
    const pay = (name) => ctx.step(name, () => { log(name); return gate("gate"); }, { onInterrupt: "ask" });
    return Promise.all([pay("a"), pay("b")]);
  },
  async dies_beside(ctx) {  // Each time after another step has ended: that is no progress of this one.
    let ended = 0;
    const dies = ctx.step("dies", async () => {
      const before = ended + lines();
      while (ended <= before) await new Promise((r) => setTimeout(r, 5));
      log("dies");
      console.log("last words");
      process.exit(1);
    });
    const others = async () => { for (;;) { await ctx.step("other", () => 0); ended += 1; await ctx.sleep(20); } };
    return Promise.all([dies, others()]);
  },
  async retries(ctx) {
    const later = () => { throw new ctx.errors.RetryAfterError("later", "6h"); };
    return Promise.all([ctx.step("later", later, { retries: 3 }), ctx.waitForEvent("never")]);
  },
  async begins_a_process(ctx) {
    return ctx.step("s", () => {
      log("begins");
      if (fs.existsSync("/work/child")) return fs.existsSync(`/proc/${fs.readFileSync("/work/child", "utf8").trim()}`);
      require("child_process").spawn("sh", ["-c", "echo $$ > /work/child; exec sleep 1000"], { detached: true, stdio: "ignore" }).unref();
      return gate("never");
    });
  },
  async swallows(ctx) {
    const child = await ctx.spawn("worker");
    try { await child.result(); } catch {}
    return "all fine";
  },
  async twice(ctx) {
    const first = ctx.shell("echo same");
    await ctx.step("between", () => log("between"));
    ctx.shell("echo same");
    return first.stdout;
  },
  async outlives(ctx) { return ctx.step("gated", () => { log("gated"); return gate("gate"); }); },
  async asks(ctx) { return (await ctx.approve("deploy")).approved; },
  async listens(ctx) { return ctx.waitForEvent("go", { timeout: 1500 }).catch((e) => e.code); },
  async approves(ctx) {
    const [answer] = await Promise.all([ctx.approve("deploy"), ctx.step("beside", () => gate("gate"))]);
    return answer.by;
  },
  async fans(ctx) {
    const inner = await ctx.spawn("fanout");
    await inner.result();
    await ctx.waitForEvent("never");
  },
  async fanout(ctx) { await ctx.spawn("worker"); return 1; },
  async worker(ctx) { await ctx.waitForEvent("never"); },
  async catches(ctx) {
    const children = [await ctx.spawn("worker"), await ctx.spawn("plain")];
    return Promise.all(children.map((c) => c.result().catch((e) => [e.name, e.code])));
  },
  async notes(ctx) {  // The last of them is beyond the 32 MiB that a run may note.
    const data = "x".repeat(61_000);
    const waits = Array.from({ length: 550 }, (_, i) => ctx.approve("a" + i, { data }));
    return Promise.race([...waits, new Promise((done) => setTimeout(() => done("whole"), 1000))]);
  },
};
"""


class BystanderTest(harness.CellTest):
    def test_a_run_that_only_waits_has_no_part_in_the_end_of_its_agent(self):
        cell, waits = self.begin(AGENT, "asks")
        harness.eventually("it waits", lambda: cell.run(waits)["status"] == "waiting")
        for _ in range(2):  # It is in the process each time.
            dies = cell.call("POST", "/runs", {"method": "dies"}).json["id"]
            self.assertEqual("crash_loop", cell.settled(dies)["reason"])
        self.assertEqual("waiting", cell.run(waits)["status"])
        self.assertEqual(200, cell.call("POST", f"/runs/{waits}/approve", {"approved": True}).status)
        self.assertEqual(True, cell.settled(waits)["result"])

    def test_a_run_that_waits_and_ends_its_agent_is_paused(self):
        cell, run = self.begin(AGENT, "waits_and_dies")
        ended = cell.settled(run)
        self.assertEqual(("paused", "crash_loop", 5), (ended["status"], ended["reason"], ended["attempt"]))


class RunReasonsTest(harness.CellTest):
    options = ("--run-suspend-after-ms", "50")

    def of(self, cell, method):
        return [run for run in cell.runs() if run["method"] == method]

    def paused(self, cell, run):
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/pause").status)
        self.assertEqual("paused", cell.run(run)["status"])

    def test_an_agent_that_ends_five_times_is_paused_and_says_why_it_stands_still(self):
        cell, run = self.begin(AGENT, "dies")
        harness.eventually("it stands still between two attempts", lambda: cell.run(run).get("reason") == "backoff")
        ended = cell.settled(run)
        self.assertEqual(("paused", "crash_loop", 5), (ended["status"], ended["reason"], ended["attempt"]))
        self.assertEqual(["begins"] * 5, self.log(cell))

    def test_what_the_agent_did_not_end_does_not_count(self):
        cell, run = self.begin(AGENT, "recovers")
        harness.eventually("the fifth waits", lambda: cell.run(run)["status"] == "waiting")
        harness.eventually("it leaves the agent",
                           lambda: not any(b["kind"] == "run" for b in cell.get()["idle"]["blockers"]))
        self.daemon.restart()
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/approve", {"approved": True}).status)
        self.assertEqual(("completed", True), ((ended := cell.settled(run))["status"], ended.get("result")), ended)

    def test_a_step_that_ends_the_agent_each_time_pauses_the_run_whatever_others_finish(self):
        cell, run = self.begin(AGENT, "dies_beside")
        ended = cell.settled(run)
        self.assertEqual(("paused", "crash_loop"), (ended["status"], ended["reason"]))
        step = next(step for step in ended["steps"] if step["name"] == "dies")
        self.assertEqual((step["ordinal"], 5), (ended["detail"]["ordinal"], step["executed"]))
        self.assertIn('while step "dies" was executed', ended["detail"]["message"])
        self.assertIn("last words", ended["detail"]["output"])
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)
        again = cell.settled(run)
        self.assertEqual(("crash_loop", 10), (again["reason"], len(self.log(cell))))

    def test_nothing_that_a_step_began_outlives_its_agent(self):
        cell, run = self.begin(AGENT, "begins_a_process")
        harness.eventually("it begins", lambda: cell.call("GET", "/files/child").body.strip().isdigit())
        cell.kill_agent()
        ended = cell.settled(run)
        self.assertEqual(("completed", False), (ended["status"], ended["result"]))
        self.assertEqual(["begins"] * 2, self.log(cell))

    def test_a_run_whose_steps_are_to_be_tried_again_says_when(self):
        cell, run = self.begin(AGENT, "retries")
        harness.eventually("it has failed once", lambda: cell.run(run).get("reason") == "retry")
        step = next(step for step in cell.run(run)["steps"] if step["name"] == "later")
        self.assertGreater(step["retry_at"], step["started_at"])

    def test_a_cancel_is_the_end_whatever_the_method_makes_of_it(self):
        cell, run = self.begin(AGENT, "swallows")
        harness.eventually("the child waits", lambda: [r for r in self.of(cell, "worker") if r["status"] == "waiting"])
        self.assertEqual("cancelled", cell.call("POST", f"/runs/{run}/cancel").json["status"])
        harness.eventually("so is the child", lambda: [r["status"] for r in self.of(cell, "worker")] == ["cancelled"])

    def test_a_daemon_that_is_restarted_again_and_again_ends_neither_what_works_nor_what_waits(self):
        cell, works = self.begin(AGENT, "outlives")
        waits = cell.call("POST", "/runs", {"method": "asks"}).json["id"]
        for count in range(1, RESTARTS + 1):
            harness.eventually("the step is executed", lambda: len(self.log(cell)) == count)
            self.daemon.restart()
        (cell.dir / "work/gate").touch()
        self.assertEqual("completed", cell.settled(works)["status"])
        self.assertLessEqual(len(self.log(cell)), RESTARTS + 1)
        self.assertEqual(200, cell.call("POST", f"/runs/{waits}/approve", {"approved": True}).status)
        self.assertEqual(("completed", True), ((ended := cell.settled(waits))["status"], ended.get("result")), ended)

    def test_steps_that_are_given_up_are_no_progress(self):
        cell, run = self.begin(AGENT, "gives_up")
        ended = cell.settled(run)
        self.assertEqual(("paused", "crash_loop"), (ended["status"], ended["reason"]))
        self.assertEqual(5, len(self.log(cell)))

    def test_a_decision_that_is_sent_twice_is_about_no_other_step(self):
        cell, run = self.begin(AGENT, "pays")
        self.reaches(cell, "a", "b")
        cell.kill_agent()
        detail = cell.settled(run)["detail"]
        self.assertEqual({"a": "interrupted", "b": "interrupted"}, {s["name"]: s["status"] for s in cell.run(run)["steps"]})
        without = cell.call("POST", f"/runs/{run}/resume", {"step": {"decision": "value"}})
        self.assertEqual((400, True), (without.status, "value" in without.json["error"]), without)
        step = {"decision": "value", "value": "tx-1", "ordinal": detail["ordinal"], "executed": detail["executed"]}
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume", {"step": step}).status)
        harness.eventually("it asks about the other", lambda: (now := cell.settled(run))["reason"] == "ambiguous_step"
                           and now["detail"]["ordinal"] != detail["ordinal"])
        again = cell.call("POST", f"/runs/{run}/resume", {"step": step})
        self.assertEqual((409, "decision_outdated"), (again.status, again.json["code"]))
        other = cell.run(run)["detail"]
        for wrong in ({"ordinal": other["ordinal"], "executed": 7}, {"ordinal": 0}, {"executed": "x"}):
            answer = cell.call("POST", f"/runs/{run}/resume", {"step": {"decision": "retry", **wrong}})
            self.assertIn(answer.status, (400, 409), answer)
        self.assertEqual("ambiguous_step", cell.run(run)["reason"])
        step = {"decision": "value", "value": None, "ordinal": other["ordinal"], "executed": other["executed"]}
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume", {"step": step}).status)
        self.assertEqual(["tx-1", None], cell.settled(run)["result"])
        again = cell.call("POST", f"/runs/{run}/resume", {"step": step})  # It has ended meanwhile.
        self.assertEqual((409, "decision_outdated"), (again.status, again.json["code"]))
        self.assertEqual(["a", "b"], sorted(self.log(cell)))

    def test_a_run_begins_again_before_the_second_of_two_commands_that_are_the_same(self):
        cell, run = self.begin(AGENT, "twice")
        steps = [s for s in cell.settled(run)["steps"] if s["kind"] == "shell"]
        by_name = cell.call("POST", f"/runs/{run}/restart", {"from": "echo same"})
        self.assertEqual((400, "step_ambiguous"), (by_name.status, by_name.json["code"]))
        again = cell.call("POST", f"/runs/{run}/restart", {"from": steps[1]["ordinal"]})
        self.assertEqual(202, again.status, again)
        self.assertEqual("same\n", cell.settled(again.json["id"])["result"])
        self.assertEqual(["between"], self.log(cell))
        for wrong, status in ((10_000, 404), (0, 400), (1.5, 400), (True, 400)):
            self.assertEqual(status, cell.call("POST", f"/runs/{run}/restart", {"from": wrong}).status, wrong)

    def test_an_event_counts_where_it_came_in_time_though_the_run_was_paused(self):
        for is_late, result in ((False, 7), (True, "wait_timeout")):
            with self.subTest(is_late=is_late):
                cell, run = self.begin(AGENT, "listens")
                until = harness.eventually("it waits", lambda: next((s["until"] for s in cell.run(run)["steps"] if s["status"] == "waiting"), None))
                self.paused(cell, run)

                def send():
                    self.assertEqual(200, cell.call("POST", f"/runs/{run}/events", {"type": "go", "payload": 7}).status)

                if not is_late:
                    send()
                harness.eventually("the time is over", lambda: harness.now_iso() > until)
                if is_late:
                    send()
                self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)
                self.assertEqual(result, cell.settled(run).get("result"))
                cell.call("DELETE")

    def test_an_approval_is_given_while_nobody_works_on_the_run(self):
        for disturb in (lambda cell, run: self.paused(cell, run),
                        lambda cell, run: (cell.call("POST", "/pause"), self.daemon.restart())):
            cell, run = self.begin(AGENT, "approves")
            harness.eventually("it waits", lambda: any(s["kind"] == "approval" for s in cell.run(run)["steps"]))
            disturb(cell, run)
            answer = cell.call("POST", f"/runs/{run}/approve", {"approved": True, "by": "ada"})
            self.assertEqual(200, answer.status, answer)
            again = cell.call("POST", f"/runs/{run}/approve", {"approved": True, "by": "bob"})
            self.assertEqual((409, "approval_over"), (again.status, again.json["code"]))
            self.daemon.restart()
            cell.call("PUT", "/files/gate", b"")
            if cell.run(run)["status"] == "paused":
                self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)
            self.assertEqual("ada", cell.settled(run).get("result"))
            cell.call("DELETE")

    def test_an_approval_is_given_to_a_run_that_was_paused_on_its_way_to_an_agent(self):
        cell, run = self.begin(AGENT, "approves")
        harness.eventually("it waits", lambda: len(cell.run(run)["steps"]) == 2)
        with harness.standing_still(self.daemon.spawner()):  # Which is to make a domain for the next one.
            cell.kill_processes("agent")
            harness.eventually("it needs another one", lambda: cell.run(run)["attempt"] == 2)
            self.paused(cell, run)
            answer = cell.call("POST", f"/runs/{run}/approve", {"approved": True, "by": "ada"})
            self.assertEqual(200, answer.status, answer)
        cell.call("PUT", "/files/gate", b"")
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)
        self.assertEqual("ada", cell.settled(run).get("result"))

    def test_a_cancel_reaches_what_ended_runs_have_begun(self):
        cell, run = self.begin(AGENT, "fans")
        harness.eventually("all wait", lambda: [w["status"] for w in self.of(cell, "worker")] == ["waiting"]
                           and cell.run(run).get("reason") == "event")
        self.assertEqual("completed", self.of(cell, "fanout")[0]["status"])
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/cancel").status)
        harness.eventually("the worker, too", lambda: self.of(cell, "worker")[0]["status"] == "cancelled")

    def test_a_child_that_is_cancelled_does_not_say_that_its_parent_is(self):
        cell, run = self.begin(AGENT, "catches")
        worker = harness.eventually("it waits", lambda: next((w for w in self.of(cell, "worker") if w["status"] == "waiting"), None))
        self.assertEqual(200, cell.call("POST", f"/runs/{worker['id']}/cancel").status)
        self.assertEqual([["Error", "child_cancelled"], "plain"], cell.settled(run).get("result"))

    def test_a_run_with_too_many_arguments_can_still_end(self):
        cell, run = self.begin(AGENT, "notes")
        ended = cell.settled(run)
        self.assertEqual(("completed", "whole", 550), (ended["status"], ended.get("result"), len(ended["steps"])))
