"""Runs that outlive the code they began with: another version, a new beginning, an empty history."""
import harness

AGENT = """
const fs = require("fs");
const log = (line) => fs.appendFileSync("/work/log", line + "\\n");
module.exports = {
  async work(ctx, { n }) {
    const a = await ctx.step("a", () => { log("a"); return n + 1; });
    await ctx.step("b", () => log("b"));
    const event = await ctx.waitForEvent("go");
    return [a, event, await ctx.step("c", () => { log("c"); return "old"; })];
  },
  async counts(ctx, { n, seen = [] }) {
    const next = await ctx.step("count", () => { log("count" + n); return n + 1; });
    const event = await ctx.waitForEvent("go");
    if (next < 4) return ctx.continueAs({ n: next, seen: [...seen, event] });
    return [ctx.run.id, next, ...seen, event];
  },
  async forever(ctx, { n }) { await ctx.step("s", () => 1); return ctx.continueAs({ n: n + 1 }); },
};
"""
DIFFERENT = AGENT.replace('ctx.step("b"', 'ctx.step("B"')
STEP_A = 'const a = await ctx.step("a", () => { log("a"); return n + 1; });'
STEP_B = 'await ctx.step("b", () => log("b"));'
CHANGES = {"rename": DIFFERENT, "insert": AGENT.replace(STEP_B, 'await ctx.step("new", () => log("new")); ' + STEP_B),
           "delete": AGENT.replace(STEP_B, ""), "reorder": AGENT.replace(f"{STEP_A}\n    {STEP_B}", f"{STEP_B}\n    {STEP_A}")}
NEWER = AGENT.replace('await ctx.step("b", () => log("b"));',
                      'ctx.removed("b"); if (ctx.getVersion("flow", 1) === 1) await ctx.step("new", () => log("new"));'
                      ).replace('"old"', '"newer"')

PYTHON = '''
def log(line):
    with open("/work/log", "a") as file:
        file.write(line + "\\n")

async def work(ctx, params):
    def a():
        log("a")
        return params["n"] + 1
    first = await ctx.step("a", a)
    await ctx.step("b", lambda: log("b"))
    event = await ctx.wait_for_event("go")
    return [first, event, await ctx.step("c", lambda: "old")]

def counts(ctx, params):
    n = ctx.step("count", lambda: params["n"] + 1)
    event = ctx.wait_for_event("go")
    if n < 3:
        return ctx.continue_as({"n": n})
    return [ctx.run.id, n, event]
'''
PYTHON_NEWER = PYTHON.replace('await ctx.step("b", lambda: log("b"))',
                              'ctx.removed("b"); ctx.get_version("flow", 1) and await ctx.step("new", lambda: log("new"))'
                              ).replace('"old"', '"newer"')


class VersionsTest(harness.CellTest):
    def waits(self, cell, run):
        harness.eventually("the run waits", lambda: cell.run(run)["status"] == "waiting")

    def begin_work(self):
        cell, run = self.begin(AGENT, "work", n=1)
        self.waits(cell, run)
        return cell, run

    def set_agent(self, cell, source, **fields):
        self.daemon.create(cell.fields["customer_id"], agent=source, **fields)

    def send(self, cell, run, payload="x"):
        return cell.call("POST", f"/runs/{run}/events", {"type": "go", "payload": payload})

    def test_versions_that_nothing_goes_on_with_are_removed(self):
        cell, run = self.begin_work()
        versions = cell.dir / "data/versions"
        used = {path.name for path in versions.iterdir()}
        for number in range(70):
            self.assertTrue(cell.call("POST", f"/runs/{run}/replay", {"agent": f"{AGENT}// {number}"}).json["ok"])
        self.assertLessEqual(used, {path.name for path in versions.iterdir()})
        self.assertLess(len(list(versions.iterdir())), 68)
        self.daemon.restart()
        self.send(cell, run)
        cell.settled(run)
        self.assertEqual(used, {path.name for path in versions.iterdir()})

    def test_another_version_is_tried_without_a_trace(self):
        cell, run = self.begin_work()
        before = cell.run(run)
        tried = cell.call("POST", f"/runs/{run}/replay", {"agent": AGENT}).json
        self.assertTrue(tried["ok"], tried)
        self.assertTrue(cell.call("POST", f"/runs/{run}/replay", {"agent": NEWER}).json["ok"])
        differs = cell.call("POST", f"/runs/{run}/replay", {"agent": DIFFERENT}).json
        self.assertEqual((False, "b", "B"), (differs["ok"], differs["detail"]["expected"]["n"], differs["detail"]["got"]["n"]))
        broken = cell.call("POST", f"/runs/{run}/replay", {"agent": "module.exports = {"}).json
        self.assertFalse(broken["ok"])
        self.assertIn("message", broken["detail"])
        self.assertEqual(404, cell.call("POST", "/runs/none/replay").status)
        self.assertEqual(413, cell.call("POST", f"/runs/{run}/replay", {"agent": " " * (5 << 20)}).status)
        self.assertEqual(before, cell.run(run))
        ends = cell.call("POST", f"/runs/{run}/replay", {"agent": "module.exports = { work() { process.exit(3); } }"})
        self.assertEqual((503, "agent_exit"), (ends.status, ends.json["code"]))  # Which is no verdict.
        self.assertEqual(["a", "b"], self.log(cell))
        self.send(cell, run)
        self.assertEqual([2, "x", "old"], cell.settled(run)["result"])
        self.assertTrue(cell.call("POST", f"/runs/{run}/replay").json["ok"])  # Of one that has ended, too.

    def test_in_a_trial_code_knows_the_run_as_it_did(self):
        sources = {
            "javascript": 'module.exports = { async work(ctx) { ctx.db.set(`job/${ctx.run.id}`, 1); return (await ctx.waitForEvent("go")).payload; } };',
            "python": 'async def work(ctx):\n    ctx.db.set(f"job/{ctx.run.id}", 1)\n    return (await ctx.wait_for_event("go")).payload\n'}
        for language, source in sources.items():
            cell = self.cell(f"known-{language}", agent=source, agent_language=language)
            run = cell.call("POST", "/runs", {"method": "work"}).json["id"]
            harness.eventually("it waits", lambda: cell.run(run)["status"] == "waiting")
            self.assertEqual(True, cell.call("POST", f"/runs/{run}/replay").json["ok"], language)

    def test_a_run_moves_to_a_version_whose_trial_passes(self):
        cell, run = self.begin_work()
        not_paused = cell.call("POST", f"/runs/{run}/resume", {"upgrade": True})
        self.assertEqual((409, "run_not_paused"), (not_paused.status, not_paused.json["code"]))
        self.assertIn("pause it first", not_paused.json["remediation"])
        python = cell.call("POST", f"/runs/{run}/replay", {"agent": "def work(ctx): ...", "agent_language": "python"})
        self.assertEqual((409, "replay_unsupported"), (python.status, python.json["code"]))
        cell.call("POST", f"/runs/{run}/pause")
        self.set_agent(cell, DIFFERENT)
        refused = cell.call("POST", f"/runs/{run}/resume", {"upgrade": True})
        self.assertEqual((409, "upgrade_differs"), (refused.status, refused.json["code"]))
        self.assertEqual("paused", cell.run(run)["status"])
        self.set_agent(cell, NEWER)
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume", {"upgrade": True}).status)
        self.daemon.restart()
        self.send(cell, run)
        ended = cell.settled(run)
        self.assertEqual([2, "x", "newer"], ended["result"])
        self.assertEqual(["a", "b", "c"], self.log(cell))  # And not "new": it came past there before.
        self.assertEqual(cell.get()["agent_digest"], ended["agent_digest"])

    def test_a_run_that_moves_past_what_was_open_waits_without_a_process(self):
        old = """module.exports = { async work(ctx) {
          await Promise.race([ctx.step("slow", () => new Promise(() => {})), ctx.waitForEvent("one")]);
          return ctx.waitForEvent("two");
        } };"""
        cell = self.cell(agent=old)
        run = cell.call("POST", "/runs", {"method": "work"}).json["id"]
        harness.eventually("it is under way", lambda: len(cell.run(run)["steps"]) == 2)
        cell.call("POST", f"/runs/{run}/pause")
        self.set_agent(cell, old.replace('Promise.race([ctx.step("slow", () => new Promise(() => {})), ctx.waitForEvent("one")])',
                                         '(ctx.removed("slow"), ctx.waitForEvent("one"))'))
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume", {"upgrade": True}).status)
        harness.eventually("it waits", lambda: cell.run(run)["status"] == "waiting")
        self.assertEqual(["failed", "waiting"], [step["status"] for step in cell.run(run)["steps"]])
        self.daemon.restart()
        for event in ("one", "two"):
            cell.call("POST", f"/runs/{run}/events", {"type": event, "payload": event})
        self.assertEqual("two", cell.settled(run)["result"])

    def test_a_run_keeps_its_version_whatever_another_one_changes_and_does_not_move_to_that(self):
        for count, (change, source) in enumerate(CHANGES.items(), 1):
            with self.subTest(change):
                cell, run = self.begin_work()
                self.set_agent(cell, source)
                self.assertFalse(cell.call("POST", f"/runs/{run}/replay").json["ok"])
                cell.call("POST", f"/runs/{run}/pause")
                refused = cell.call("POST", f"/runs/{run}/resume", {"upgrade": True})
                self.assertEqual((409, "upgrade_differs"), (refused.status, refused.json["code"]))
                self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)
                self.daemon.restart()
                self.send(cell, run)
                self.assertEqual([2, "x", "old"], cell.settled(run)["result"])
                self.assertEqual(["a", "b", "c"] * count, self.log(cell))

    def test_runs_in_python_are_tried_and_moved(self):
        cell = self.cell(agent=PYTHON, agent_language="python")
        run = cell.call("POST", "/runs", {"method": "work", "params": {"n": 1}}).json["id"]
        self.waits(cell, run)
        for source, ok in ((PYTHON, True), (PYTHON_NEWER, True), (PYTHON.replace('"b", ', '"B", '), False), ("def work(", False)):
            tried = cell.call("POST", f"/runs/{run}/replay", {"agent": source}).json
            self.assertEqual(ok, tried["ok"], tried)
        self.set_agent(cell, AGENT)
        refused = cell.call("POST", f"/runs/{run}/replay")
        self.assertEqual((409, "replay_unsupported"), (refused.status, refused.json["code"]))
        cell.call("POST", f"/runs/{run}/pause")
        refused = cell.call("POST", f"/runs/{run}/resume", {"upgrade": True})
        self.assertEqual((409, "replay_unsupported"), (refused.status, refused.json["code"]))
        self.set_agent(cell, PYTHON_NEWER, agent_language="python")
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume", {"upgrade": True}).status)
        self.daemon.restart()
        self.send(cell, run)
        self.assertEqual([2, "x", "newer"], cell.settled(run)["result"])
        self.assertEqual(["a", "b"], self.log(cell))
        again = cell.call("POST", "/runs", {"method": "counts", "params": {"n": 1}}).json["id"]
        for generation in (1, 2):
            harness.eventually("it waits", lambda: (now := cell.run(again))["status"] == "waiting"
                               and now.get("generation", 1) == generation)
            self.assertEqual(generation, cell.run(again)["params"]["n"])
            self.send(cell, again, generation)
        self.assertEqual([again, 3, 2], cell.settled(again)["result"])

    def test_a_run_begins_again_from_a_step(self):
        cell, run = self.begin_work()
        self.send(cell, run, "first")
        cell.settled(run)
        answer = cell.call("POST", f"/runs/{run}/restart", {"from": "c"})
        self.assertEqual((202, run), (answer.status, answer.json["restarted_from"]), answer)
        self.assertEqual([2, "first", "old"], cell.settled(answer.json["id"])["result"])
        self.assertEqual(["a", "b", "c", "c"], self.log(cell))
        # The event came before "go" was taken, but not before "b" began.
        earlier = cell.call("POST", f"/runs/{run}/restart", {"from": "b"}).json["id"]
        self.waits(cell, earlier)
        self.daemon.restart()
        self.send(cell, earlier, "second")
        self.assertEqual([2, "second", "old"], cell.settled(earlier)["result"])
        whole = cell.call("POST", f"/runs/{run}/restart").json["id"]
        self.waits(cell, whole)
        self.assertEqual(["a", "b", "c", "c", "b", "c", "a", "b"], self.log(cell))
        unknown = cell.call("POST", f"/runs/{run}/restart", {"from": "nothing"})
        self.assertEqual((404, "step_not_found"), (unknown.status, unknown.json["code"]))
        cell.call("POST", f"/runs/{whole}/cancel")

    def failed(self, source, **fields):
        cell = self.cell(agent=source, **fields)
        run = cell.call("POST", "/runs", {"method": "work", "params": {"n": 1}}).json["id"]
        self.waits(cell, run)
        self.send(cell, run)
        self.assertEqual("failed", cell.settled(run)["status"])
        return cell, run

    def restart_upgraded(self, cell, run, **fields):
        return cell.call("POST", f"/runs/{run}/restart", {"upgrade": True, **fields})

    def test_a_run_that_has_failed_goes_on_from_its_step_with_repaired_code(self):
        broken = AGENT.replace('return "old";', 'throw new Error("a fault");')
        cell, run = self.failed(broken)
        repaired = AGENT.replace('"old"', '"repaired"')
        self.set_agent(cell, repaired)
        # The step alone would fail again: it is the old version's.
        self.assertEqual("failed", cell.settled(cell.call("POST", f"/runs/{run}/restart", {"from": "c"}).json["id"])["status"])
        answer = self.restart_upgraded(cell, run, **{"from": "c"})
        self.assertEqual((202, run), (answer.status, answer.json["restarted_from"]), answer)
        self.assertNotEqual(cell.run(run)["agent_digest"], answer.json["agent_digest"])
        self.assertEqual([2, "x", "repaired"], cell.settled(answer.json["id"])["result"])
        self.daemon.restart()
        self.assertEqual(answer.json["agent_digest"], cell.run(answer.json["id"])["agent_digest"])
        self.assertEqual(["a", "b", "c", "c", "c"], self.log(cell))
        # From the beginning anything fits.
        self.set_agent(cell, DIFFERENT)
        whole = self.restart_upgraded(cell, run).json["id"]
        self.waits(cell, whole)
        self.assertEqual("B", cell.run(whole)["steps"][1]["name"])
        cell.call("POST", f"/runs/{whole}/cancel")

    def test_a_run_whose_code_failed_between_steps_goes_on_behind_all_that_is_recorded(self):
        cell, run = self.failed(AGENT.replace('return [a, event', 'await ctx.step("paid", () => log("paid")); null.fault; return [a, event'))
        self.set_agent(cell, AGENT.replace('return [a, event', 'await ctx.step("paid", () => log("paid")); return [a, event'))
        answer = self.restart_upgraded(cell, run, from_end=True)
        self.assertEqual([2, "x", "old"], cell.settled(answer.json["id"])["result"])
        self.assertEqual(["a", "b", "paid", "c"], self.log(cell))
        # Of one that is completed, nothing is executed.
        again = cell.call("POST", f"/runs/{answer.json['id']}/restart", {"from_end": True}).json["id"]
        self.assertEqual([2, "x", "old"], cell.settled(again)["result"])
        self.assertEqual(["a", "b", "paid", "c"], self.log(cell))
        both = cell.call("POST", f"/runs/{run}/restart", {"from_end": True, "from": "a"})
        self.assertEqual((400, True), (both.status, "from_end" in both.json["error"]))

    def test_what_a_run_has_undone_is_not_gone_on_behind(self):
        undoes = AGENT.replace('log("b"));', 'log("b"), { rollback: () => log("undone") });').replace('return "old";', 'throw new Error("a fault");')
        cell, run = self.failed(undoes)
        self.assertEqual(["a", "b", "c", "undone"], self.log(cell))
        refused = self.restart_upgraded(cell, run, from_end=True)
        self.assertEqual((409, "step_undone"), (refused.status, refused.json["code"]))

    def test_a_run_that_would_begin_again_with_code_that_does_not_fit_does_not_begin(self):
        cell, run = self.failed(AGENT.replace('return "old";', 'throw new Error("a fault");'))
        count = len(cell.call("GET", "/runs").json["runs"])
        told = ""
        for source in (DIFFERENT, CHANGES["delete"], "module.exports = { other() {} };", "module.exports = {"):
            self.set_agent(cell, source)
            differs = self.restart_upgraded(cell, run, **{"from": "c"})
            self.assertEqual((409, "upgrade_differs"), (differs.status, differs.json["code"]), source)
            told = told or differs.json["error"]
        self.assertIn('recorded: the journal holds step "b", and the agent asks for step "B"; the last that was the same: step "a"', told)
        self.set_agent(cell, PYTHON, agent_language="python")
        other = self.restart_upgraded(cell, run, **{"from": "c"})
        self.assertEqual((409, "replay_unsupported"), (other.status, other.json["code"]))
        self.assertEqual(400, self.restart_upgraded(cell, run, **{"from": "c", "upgrades": True}).status)
        self.assertEqual(count, len(cell.call("GET", "/runs").json["runs"]))
        self.assertEqual(["a", "b", "c"], self.log(cell))
        # From the beginning it may be in another language.
        python = self.restart_upgraded(cell, run).json["id"]
        self.waits(cell, python)
        self.daemon.restart()
        self.send(cell, python)
        self.assertEqual("old", cell.settled(python)["result"][2])

    def test_a_python_run_goes_on_with_repaired_code_too(self):
        cell, run = self.failed(PYTHON.replace('lambda: "old"', "lambda: 1 / 0"), agent_language="python")
        self.set_agent(cell, PYTHON_NEWER, agent_language="python")
        # "b" is gone, and "new" behind a version: both are said to be so.
        again = self.restart_upgraded(cell, run, **{"from": "c"}).json["id"]
        self.assertEqual("newer", cell.settled(again)["result"][2])
        self.assertEqual(["a", "b"], self.log(cell))

    def test_a_run_goes_on_with_a_state_and_an_empty_history(self):
        cell, run = self.begin(AGENT, "counts", n=1)
        for generation, disturb in ((1, lambda: None), (2, self.daemon.restart), (3, lambda: cell.call("POST", "/hibernate"))):
            harness.eventually(f"generation {generation} waits", lambda: (now := cell.run(run))["status"] == "waiting"
                               and now.get("generation", 1) == generation)
            self.assertEqual(["count", "go"], [step["name"] for step in cell.run(run)["steps"]])
            disturb()
            self.send(cell, run, generation)
        ended = cell.settled(run)
        self.assertEqual([run, 4, 1, 2, 3], ended["result"])
        self.assertEqual(["count1", "count2", "count3"], self.log(cell))
        # From a step of the last generation, with its state.
        again = cell.call("POST", f"/runs/{run}/restart", {"from": "count"}).json["id"]
        self.waits(cell, again)
        self.send(cell, again, 9)
        self.assertEqual([again, 4, 1, 2, 9], cell.settled(again)["result"])

    def test_a_run_that_goes_on_for_ever_is_cancelled(self):
        cell, run = self.begin(AGENT, "forever", n=1)
        harness.eventually("it goes on", lambda: cell.run(run).get("generation", 1) > 20)
        self.assertEqual("cancelled", cell.call("POST", f"/runs/{run}/cancel").json["status"])
