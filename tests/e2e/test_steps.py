"""What a step promises: attempts that survive crashes, at most once where asked for, a person asked where wanted."""

import harness

AGENT = """
const fs = require("fs");
const log = (line) => fs.appendFileSync("/work/log", line + "\\n");
const gate = async () => { while (!fs.existsSync("/work/gate")) await new Promise((r) => setTimeout(r, 5)); };
const slow = (name, options) => async (ctx) => {
  const told = await ctx.step(name, async () => { log(name); await gate(); return "done"; }, options)
    .catch((e) => [e.name, e.code, e instanceof ctx.errors.StepInterruptedError]);
  ctx.stream({ told });
  return [told, await ctx.step("after", () => log("after"))];
};
module.exports = {
  fail: slow("pay", { onInterrupt: "fail" }),
  ask: slow("mail", { onInterrupt: "ask" }),
  async retries(ctx) {
    return ctx.step("flaky", async (s) => {
      log("attempt" + s.attempt);
      if (s.attempt === 1) { await s.progress({ job: 7 }); throw new Error("first"); }
      if (s.attempt === 2 && !fs.existsSync("/work/gate")) { log("waits"); await gate(); }
      return [s.attempt, s.lastProgress];
    }, { retries: { maxAttempts: 3, delay: 1 } });
  },
  async race(ctx) {
    const first = await Promise.race([ctx.shellAsync("echo slow; while [ ! -e /work/slow ]; do sleep 0.02; done"),
                                      ctx.step("quick", () => "quick")]);
    ctx.stream({ first });
    const second = await ctx.step("second", async () => { log("second"); await gate(); return first; });
    return [first, second];
  },
  async forgets(ctx) { ctx.step("lost", gate); return 1; },
};
"""


class StepsTest(harness.CellTest):
    def open_gate(self, cell):
        cell.call("PUT", "/files/gate", b"")

    def types(self, cell, run):
        return [event.type for event in cell.events(run)]

    def test_a_step_that_must_not_be_repeated_is_not_whatever_was_killed(self):
        for kill in (harness.Cell.kill_agent, lambda cell: self.daemon.restart()):
            cell, run = self.begin(AGENT, "fail")
            self.reaches(cell, "pay")
            kill(cell)
            self.open_gate(cell)
            ended = cell.settled(run)
            self.assertEqual([["StepInterruptedError", "step_interrupted", True], None], ended["result"], ended)
            self.assertEqual(["pay", "after"], self.log(cell))
            self.assertIn("step.interrupted", self.types(cell, run))
            cell.call("DELETE")

    def paused(self, method="ask"):
        cell, run = self.begin(AGENT, method)
        self.reaches(cell, "mail")
        cell.kill_agent()
        ended = cell.settled(run)
        self.assertEqual(("paused", "ambiguous_step"), (ended["status"], ended["reason"]))
        self.assertEqual(("mail", 2), (ended["detail"]["name"], ended["detail"]["ordinal"]))
        return cell, run

    def decide(self, cell, run, **step):
        return cell.call("POST", f"/runs/{run}/resume", {"step": step})

    def test_a_person_decides_about_a_step_that_may_have_been_done(self):
        for step, told, log in (({"decision": "retry"}, "done", ["mail", "mail", "after"]),
                                ({"decision": "value", "value": {"sent": True}}, {"sent": True}, ["mail", "after"]),
                                ({"decision": "fail"}, ["StepInterruptedError", "step_interrupted", True],
                                 ["mail", "after"])):
            with self.subTest(step=step):
                cell, run = self.paused()
                self.open_gate(cell)
                self.assertEqual(200, self.decide(cell, run, **step).status)
                self.assertEqual([told, None], cell.settled(run)["result"])
                self.assertEqual(log, self.log(cell))
                cell.call("DELETE")

    def test_a_pause_for_a_decision_outlives_the_daemon_and_needs_a_decision(self):
        cell, run = self.paused()
        self.daemon.restart()
        self.assertEqual("ambiguous_step", cell.run(run)["reason"])
        for body, status, reason in (({}, 409, "decision_needed"), ({"step": {}}, 400, "invalid_field"),
                                     ({"step": {"decision": "maybe"}}, 400, "invalid_field"),
                                     ({"step": {"decision": "retry", "why": 1}}, 400, "invalid_field")):
            answer = cell.call("POST", f"/runs/{run}/resume", body)
            self.assertEqual((status, reason), (answer.status, answer.json["code"]), answer)
        # Interrupted once more after the decision: it is asked again.
        self.assertEqual(200, self.decide(cell, run, decision="retry").status)
        harness.eventually("it is executed again", lambda: self.log(cell).count("mail") == 2)
        cell.kill_agent()
        self.assertEqual("ambiguous_step", cell.settled(run)["reason"])
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/cancel").status)
        self.assertEqual("cancelled", cell.run(run)["status"])

    def test_a_large_value_that_somebody_decides_is_kept(self):
        cell, run = self.paused()
        value = "v" * 200_000
        self.assertEqual(200, self.decide(cell, run, decision="value", value=value).status)
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual([value, None], cell.settled(run)["result"])
        self.assertEqual(["mail", "after"], self.log(cell))

    def test_attempts_and_progress_survive_a_kill(self):
        for kill in (harness.Cell.kill_agent, lambda cell: self.daemon.restart()):
            cell, run = self.begin(AGENT, "retries")
            self.reaches(cell, "waits")
            kill(cell)
            self.open_gate(cell)
            ended = cell.settled(run)
            self.assertEqual([2, {"job": 7}], ended["result"], ended)
            self.assertEqual(["attempt1", "attempt2", "waits", "attempt2"], self.log(cell))
            self.assertEqual(1, self.types(cell, run).count("step.retry"))
            cell.call("DELETE")

    def test_a_race_has_the_same_winner_after_a_kill(self):
        cell, run = self.begin(AGENT, "race")
        self.reaches(cell, "second")
        cell.call("PUT", "/files/slow", b"")
        harness.eventually("the other one has ended too",
                           lambda: all(s["status"] != "running" for s in cell.run(run)["steps"] if s["kind"] == "shell"))
        cell.kill_agent()
        self.open_gate(cell)
        self.assertEqual(["quick", "quick"], cell.settled(run)["result"])
        self.assertEqual(["quick"], [e.json["data"]["first"] for e in cell.events(run) if e.type == "stream"])

    def test_a_step_that_nobody_waits_for_fails_the_run_by_name(self):
        cell, run = self.begin(AGENT, "forgets")
        ended = cell.settled(run)
        self.assertEqual(("failed", "forgotten_await"), (ended["status"], ended["error"]["code"]))
        self.assertIn('"lost"', ended["error"]["message"])


FLAKY = {"javascript": """
module.exports = {
  flaky: (ctx) => ctx.step("flaky", (s) => {
    require("fs").appendFileSync("/work/log", s.attempt + "\\n");
    throw new Error("no");
  }, { retries: { maxAttempts: 8, delay: 0 } }),
};
""", "python": """
async def flaky(ctx, params):
    def fails(s):
        with open("/work/log", "a") as file:
            file.write(f"{s.attempt}\\n")
        raise ValueError("no")
    await ctx.step("flaky", fails, retries={"max_attempts": 8, "delay": 0})
"""}


class AttemptsTest(harness.CellTest):
    daemon_class = harness.FaultyDaemon

    def test_a_kill_of_the_daemon_adds_one_attempt_at_most(self):
        for language, source in FLAKY.items():
            with self.subTest(language):
                cell = self.cell(language, agent=source, agent_language=language)
                self.daemon.plan("step.attempt_failed 3 kill")  # It is not on disk.
                run = cell.call("POST", "/runs", {"method": "flaky"}).json["id"]
                self.daemon.process.wait(timeout=30)
                self.daemon.plan()
                self.daemon.start()
                self.assertEqual("failed", cell.settled(run)["status"])
                self.assertEqual(["1", "2", "3", "3", "4", "5", "6", "7", "8"], self.log(cell))
