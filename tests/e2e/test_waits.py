"""Runs that wait: for times, events and people. They need no process meanwhile, and nothing is lost or done twice."""
import os
import signal
import threading

import harness

AGENT = """
const fs = require("fs");
const log = (line) => fs.appendFileSync("/work/log", line + "\\n");
module.exports = {
  async event(ctx, options) {
    await ctx.step("before", () => log("before"));
    const got = await ctx.waitForEvent("merged", options);
    await ctx.step("after", () => log("after"));
    return got;
  },
  async aside(ctx) {
    const rest = (ms) => new Promise((done) => setTimeout(done, ms));
    const work = async () => { await ctx.step("a", () => rest(100)); await rest(100); return ctx.step("b", () => log("b")); };
    const [event] = await Promise.all([ctx.waitForEvent("go"), work(), ctx.waitForEvent("also")]);
    return event;
  },
  async two(ctx) {
    const [a, b] = await Promise.all([ctx.waitForEvent("a", { match: { n: 1 } }), ctx.waitForEvent("a", { match: { n: 2 } })]);
    return [a, b];
  },
  async late(ctx) {
    await ctx.step("first", async () => { log("first"); while (!fs.existsSync("/work/gate")) await new Promise((r) => setTimeout(r, 5)); });
    return [await ctx.waitForEvent("x"), await ctx.waitForEvent("x")];
  },
  async approve(ctx) {
    await ctx.step("before", () => log("before"));
    const answer = await ctx.approve("deploy", { prompt: "Deploy?", data: { version: 3 } });
    return [answer.approved, answer.by, answer.comment];
  },
  async sleeps(ctx, { ms }) {
    await ctx.step("before", () => log("before"));
    await ctx.sleep("rest", ms);
    return ctx.step("after", () => { log("after"); return "slept"; });
  },
  async timeouts(ctx) {
    const thrown = await ctx.waitForEvent("never", { timeout: 20 }).catch((e) => [e.code, e instanceof ctx.errors.WaitTimeoutError]);
    return [thrown, await ctx.approve("nobody", { timeout: "20ms", onTimeout: "refused" })];
  },
  async parent(ctx, { names }) {
    const children = [];
    for (const name of names) children.push(await ctx.spawn("child", { name }));
    const results = await Promise.all(children.map((c) => c.result().catch((e) => "no " + e.message)));
    return ctx.step("after", () => results);
  },
  async child(ctx, { name }) {
    await ctx.step("work", () => log(name));
    if (name === "bad") throw new Error("it was bad");
    return name + " " + await ctx.waitForEvent("go");
  },
  async twins(ctx, { seen = [] }) {
    for (const id of ["x", "x", "y"]) seen.push((await ctx.spawn("quick", { n: 1 }, { id })).id);
    if (seen.length < 6) return ctx.continueAs({ seen });
    const again = await ctx.spawn("quick", { n: 1 }, { id: "x" });
    const refused = await ctx.spawn("quick", { n: 2 }, { id: "x" }).catch((e) => e.code);
    const plain = [await ctx.spawn("quick", { n: 1 }), await ctx.spawn("quick", { n: 1 })];
    return [seen, refused, await again.result(), new Set([...seen, ...plain.map((child) => child.id)]).size];
  },
  async quick(ctx, { n }) { return ctx.step("work", () => { log("quick"); return n; }); },
  async many(ctx) {
    try { for (;;) await ctx.spawn("child", { name: "x" }); } catch (error) { return error.code; }
  },
  async own(ctx) {
    const own = new Promise((done) => setTimeout(() => done("own"), 400));
    const first = await Promise.race([own, ctx.sleep("1h").then(() => "time")]);
    log(first);
    await ctx.waitForEvent("end");
    return first;
  },
  async beside(ctx) {  // What it does beside its wait is known to nobody.
    const own = (async () => {
      do await new Promise((r) => setTimeout(r, 5)); while (!fs.existsSync("/work/gate"));
      return ctx.step("own", () => { log("own"); return "own"; });
    })();
    return Promise.race([own, ctx.sleep("1h").then(() => "time")]);
  },
  async several(ctx, { count }) {
    const all = Array.from({ length: count }, (_, n) => ctx.waitForEvent("a", { match: { n } }));
    return (await Promise.all(all)).map((event) => event.n);
  },
  async either(ctx) {
    const own = (async () => { for (;;) await new Promise((r) => setTimeout(r, 5)); })();
    return Promise.race([own, ctx.waitForEvent("end")]);
  },
  async races(ctx) {
    const first = await Promise.race([ctx.waitForEvent("go").then(() => "event"), ctx.sleep("1h").then(() => "time")]);
    ctx.stream({ first });
    await ctx.waitForEvent("end");
    return first;
  },
};
"""


class WaitsTest(harness.CellTest):
    options = ("--run-suspend-after-ms", "50")

    def waits(self, cell, run, reason="event"):
        """Until it waits without the agent: then nothing keeps the cell awake."""
        harness.eventually("the run waits", lambda: cell.run(run)["status"] == "waiting")
        harness.eventually("it leaves the agent",
                           lambda: not any(b["kind"] == "run" for b in cell.get()["idle"]["blockers"]))
        self.assertEqual(("waiting", reason), (cell.run(run)["status"], cell.run(run)["reason"]))

    def send(self, cell, run, **event):
        return cell.call("POST", f"/runs/{run}/events", event)

    def completes(self, cell, run, result):
        ended = harness.eventually(
            "the run ends", lambda: (now := cell.run(run))["status"] not in ("running", "waiting") and now)
        self.assertEqual(("completed", result), (ended["status"], ended.get("result")), ended)

    def test_children_with_one_id_are_one_run_through_all_generations_of_their_parent(self):
        cell, run = self.begin(AGENT, "twins")
        seen, refused, value, count = cell.settled(run)["result"]
        x, y = seen[0], seen[2]
        self.assertNotEqual(x, y)
        self.assertEqual(([x, x, y] * 2, "idempotency_key_reused", 1, 4), (seen, refused, value, count))
        self.assertEqual(5, len(cell.runs()))

    def test_a_run_waits_through_everything_and_repeats_nothing(self):
        def hibernate(cell):
            self.assertEqual(200, cell.call("POST", "/hibernate").status)

        for what, disturb in (("nothing", lambda cell: None), ("pause", lambda cell: cell.call("POST", "/pause")),
                              ("hibernation", hibernate), ("restart", lambda cell: self.daemon.restart()),
                              ("restart while paused", lambda cell: (cell.call("POST", "/pause"), self.daemon.restart())),
                              ("restart while hibernated", lambda cell: (hibernate(cell), self.daemon.restart())),
                              ("kill", lambda cell: os.kill(cell.agent_pid(), signal.SIGKILL))):
            with self.subTest(disturbed_by=what):
                cell, run = self.begin(AGENT, "event")
                self.waits(cell, run)
                disturb(cell)
                self.assertEqual("waiting", cell.run(run)["status"])
                self.assertEqual(200, self.send(cell, run, type="merged", payload={"pr": 7}).status)
                self.completes(cell, run, {"pr": 7})
                self.assertEqual(["before", "after"], self.log(cell))
                cell.call("DELETE")

    def test_a_sleep_ends_in_time_and_wakes_the_cell(self):
        cell, run = self.begin(AGENT, "sleeps", ms=4000)  # Seen asleep by then on a busy machine, too.
        self.waits(cell, run, "sleep")
        self.assertEqual(200, cell.call("POST", "/hibernate").status)
        self.assertEqual("hibernated", cell.get()["state"])
        self.completes(cell, run, "slept")
        self.assertEqual("active", cell.get()["state"])
        self.assertEqual(["before", "after"], self.log(cell))

    def test_a_sleep_that_ended_while_nobody_was_there_ends_at_once(self):
        cell, run = self.begin(AGENT, "sleeps", ms=2500)
        self.waits(cell, run, "sleep")
        until = cell.run(run)["steps"][1]["until"]
        self.daemon.kill()
        harness.eventually("the time is over", lambda: harness.now_iso() > until)
        self.daemon.start()
        self.completes(cell, run, "slept")

    def test_an_event_is_taken_once_and_kept_until_it_is_waited_for(self):
        cell, run = self.begin(AGENT, "late")
        harness.eventually("it runs", lambda: cell.call("GET", "/files/log").status == 200)
        first = self.send(cell, run, id="e1", type="x", payload=1)
        self.assertEqual((200, {"id": "e1", "duplicate": False}), (first.status, first.json))
        self.assertEqual({"id": "e1", "duplicate": True}, self.send(cell, run, id="e1", type="x", payload=9).json)
        self.daemon.restart()
        self.assertEqual({"id": "e1", "duplicate": True}, self.send(cell, run, id="e1", type="x", payload=9).json)
        self.assertFalse(self.send(cell, run, id="e2", type="x", payload=2).json["duplicate"])
        self.assertEqual([{"type": "x", "count": 2}], cell.run(run)["kept_events"])
        cell.call("PUT", "/files/gate", b"")
        self.completes(cell, run, [1, 2])
        self.assertNotIn("kept_events", cell.run(run))
        answer = self.send(cell, run, type="x")
        self.assertEqual((409, "run_ended"), (answer.status, answer.json["code"]))

    def test_events_go_to_the_wait_that_they_match(self):
        cell, run = self.begin(AGENT, "two")
        self.waits(cell, run)
        self.send(cell, run, type="a", payload={"n": 3})
        self.send(cell, run, type="b", payload={"n": 1})
        self.send(cell, run, type="a", payload={"n": 2, "which": "second"})
        self.assertIn("waiting", [s["status"] for s in cell.run(run)["steps"]])
        self.send(cell, run, type="a", payload={"n": 1})
        self.completes(cell, run, [{"n": 1}, {"n": 2, "which": "second"}])

    def test_what_has_ended_beside_a_wait_keeps_no_process(self):
        cell, run = self.begin(AGENT, "aside")
        harness.eventually("what is beside it is done", lambda: self.log(cell) == ["b"])
        self.waits(cell, run)
        self.daemon.restart()
        self.waits(cell, run)
        self.send(cell, run, type="also")
        self.waits(cell, run)
        self.send(cell, run, type="go", payload=5)
        self.completes(cell, run, 5)
        self.assertEqual(["b"], self.log(cell))

    def test_a_person_approves_and_is_shown_what(self):
        cell, run = self.begin(AGENT, "approve")
        self.waits(cell, run, "approval")
        step = next(s for s in cell.run(run)["steps"] if s["kind"] == "approval")
        self.assertEqual(("deploy", "waiting", "Deploy?", {"version": 3}),
                         (step["name"], step["status"], step["prompt"], step["data"]))
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/pause").status)
        paused = next(s for s in cell.run(run)["steps"] if s["kind"] == "approval")
        self.assertEqual(step, paused)  # It may be answered in a pause, too.
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)
        self.assertEqual(400, cell.call("POST", f"/runs/{run}/events", {"type": "a", "id": ""}).status)
        wrong = cell.call("POST", f"/runs/{run}/approve", {"approved": True, "step": "other"})
        self.assertEqual((404, "approval_not_found"), (wrong.status, wrong.json["code"]))
        self.assertIn('"deploy"', wrong.json["remediation"])
        self.assertEqual(400, cell.call("POST", f"/runs/{run}/approve", {"approved": "yes"}).status)
        self.daemon.restart()
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/approve",
                                        {"approved": False, "by": "ada", "comment": "not today"}).status)
        self.completes(cell, run, [False, "ada", "not today"])
        self.assertEqual(["before"], self.log(cell))

    def test_what_does_not_come_in_time_is_an_error_or_the_value_asked_for(self):
        cell, run = self.begin(AGENT, "timeouts")
        self.completes(cell, run, [["wait_timeout", True], "refused"])

    def test_a_race_of_waits_is_the_same_afterwards(self):
        cell, run = self.begin(AGENT, "races")
        self.waits(cell, run)
        self.send(cell, run, type="go")
        harness.eventually("it goes on", lambda: any(s["name"] == "end" for s in cell.run(run)["steps"]))
        self.waits(cell, run, "sleep")  # the one that lost
        self.send(cell, run, type="end")
        self.completes(cell, run, "event")
        self.assertEqual(["event"], [e.json["data"]["first"] for e in cell.events(run) if e.type == "stream"])

    def test_a_run_that_does_something_of_its_own_stays_in_the_agent(self):
        cell, run = self.begin(AGENT, "own")
        harness.eventually("its timer has ended", lambda: cell.call("GET", "/files/log").status == 200)
        self.assertEqual(1, cell.run(run)["attempt"])
        self.send(cell, run, type="end")
        self.completes(cell, run, "own")

    def test_a_run_that_did_something_of_its_own_begins_again_after_a_crash(self):
        cell, run = self.begin(AGENT, "beside")
        harness.eventually("it waits, too", lambda: cell.run(run)["status"] == "waiting")
        self.daemon.kill()
        (cell.dir / "work/gate").touch()
        self.daemon.start()
        self.completes(cell, run, "own")
        self.assertEqual(["own"], self.log(cell))

    def test_a_run_that_has_left_the_agent_stays_out_after_a_crash(self):
        cell, run = self.begin(AGENT, "event")
        self.waits(cell, run)
        cell.call("POST", "/runs", {"method": "event"})  # What is recorded later is on the disk behind it.
        self.daemon.restart()
        self.assertEqual(("waiting", 1), (cell.run(run)["status"], cell.run(run)["attempt"]))
        self.send(cell, run, type="merged", payload=1)
        self.completes(cell, run, 1)

    def test_a_run_that_was_frozen_in_the_agent_gets_its_event_after_a_restart(self):
        cell, run = self.begin(AGENT, "either")
        harness.eventually("it waits, too", lambda: cell.run(run)["status"] == "waiting")
        self.assertEqual(200, cell.call("POST", "/pause").status)
        self.daemon.restart()
        self.assertEqual("paused", cell.get()["state"])
        self.assertEqual(200, self.send(cell, run, type="end", payload=7).status)
        self.completes(cell, run, 7)

    def test_events_that_come_at_once_find_their_waits(self):
        cell, run = self.begin(AGENT, "several", count=8)
        self.waits(cell, run)
        large = "x" * 100_000
        events = [{"type": "a", "payload": {"n": number, "large": large}} for number in range(8)]
        threads = [threading.Thread(target=self.send, args=(cell, run), kwargs=event) for event in events]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.completes(cell, run, list(range(8)))

    def test_an_event_of_megabytes_is_compared_with_all_that_wait(self):
        cell, run = self.begin(AGENT, "two")
        self.waits(cell, run)
        large = "x" * 500_000
        self.send(cell, run, type="a", payload={"n": 3, "large": large})
        self.send(cell, run, type="a", payload={"n": 2, "large": large})
        self.send(cell, run, type="a", payload={"n": 1})
        self.completes(cell, run, [{"n": 1}, {"n": 2, "large": large}])

    def test_a_waiting_run_is_cancelled_at_once(self):
        cell, run = self.begin(AGENT, "event")
        self.waits(cell, run)
        self.assertEqual("cancelled", cell.call("POST", f"/runs/{run}/cancel").json["status"])
        self.assertEqual("interrupted", cell.run(run)["steps"][-1]["status"])

    def test_more_events_than_are_kept_are_refused(self):
        cell, run = self.begin(AGENT, "event", type="other")
        self.waits(cell, run)
        for number in range(1000):
            self.assertEqual(200, self.send(cell, run, type="merged", payload=number).status)
        answer = self.send(cell, run, type="merged")
        self.assertEqual((507, "too_many_events"), (answer.status, answer.json["code"]))

    def children(self, cell):
        return sorted((r for r in cell.runs() if r["method"] == "child"), key=lambda r: r["started_at"])

    def test_children_are_begun_once_and_their_results_waited_for(self):
        for disturb in (lambda cell: None, lambda cell: self.daemon.restart(),
                        lambda cell: os.kill(cell.agent_pid(), signal.SIGKILL)):
            cell, run = self.begin(AGENT, "parent", names=["a", "bad", "b"])
            self.waits(cell, run, "child")
            self.assertEqual(3, len(self.children(cell)))
            disturb(cell)
            for child in self.children(cell):
                self.send(cell, child["id"], type="go", payload="on")
            self.completes(cell, run, ["a on", "no it was bad", "b on"])
            self.assertEqual((3, ["a", "b", "bad"]), (len(self.children(cell)), sorted(self.log(cell))))
            cell.call("DELETE")

    def test_cancelling_a_run_cancels_its_children(self):
        cell, run = self.begin(AGENT, "parent", names=["a", "b"])
        self.waits(cell, run, "child")
        harness.eventually("the children wait", lambda: all(c["status"] == "waiting" for c in self.children(cell)))
        self.assertEqual("cancelled", cell.call("POST", f"/runs/{run}/cancel").json["status"])
        harness.eventually("they are cancelled", lambda: all(c["status"] == "cancelled" for c in self.children(cell)))

    def test_more_unfinished_runs_than_a_cell_may_have_are_refused(self):
        cell, run = self.begin(AGENT, "many")
        self.completes(cell, run, "too_many_runs")
        harness.eventually("all others wait", lambda: cell.call("POST", "/runs", {"method": "child", "params": {}}).status in (202, 507))
        answer = cell.call("POST", "/runs", {"method": "child", "params": {"name": "y"}})
        self.assertEqual((507, "too_many_runs"), (answer.status, answer.json["code"]))
        open_run = next(one["id"] for one in cell.runs() if one["status"] == "waiting" and one["method"] == "child")
        cell.call("POST", f"/runs/{open_run}/pause")
        harness.eventually("another has its place", lambda: cell.call("POST", "/runs", {"method": "child", "params": {}}).status == 202)
        answer = cell.call("POST", f"/runs/{open_run}/resume")
        self.assertEqual((507, "too_many_runs"), (answer.status, answer.json["code"]))
        self.assertEqual("paused", cell.run(open_run)["status"])
