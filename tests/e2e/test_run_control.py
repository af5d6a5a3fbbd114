"""Runs in the hands of their owner: begun once, awaited, paused, resumed, cancelled with time to clean up."""
import json
import random
import threading
import time

import harness

AGENT = """
const fs = require("fs");
const log = (line) => fs.appendFileSync("/work/log", line + "\\n");
const gate = async (name) => { while (!fs.existsSync("/work/" + name)) await new Promise((r) => setTimeout(r, 5)); };
module.exports = {
  async work(ctx, { n }) {
    await ctx.step("first", () => log("first"));
    await ctx.step("second", async () => { log("second"); await gate("gate"); });
    return n;
  },
  async notes(ctx) { ctx.log("runs"); log("runs"); await ctx.step("first", () => 1); return "noted"; },
  async branches(ctx) {
    await ctx.step("first", () => 1, { rollback: () => log("undone") });
    await ctx.waitForEvent("go");
    return Promise.all([0, 1, 2].map((i) => ctx.step("branch" + i, async () => { log("branch" + i); await gate("gate"); return i; })));
  },
  async quick() { return "quick"; },
  async listens(ctx) {
    const got = [];
    for (let i = 0; i < 3; i += 1) got.push(await ctx.waitForEvent("go"));
    return got;
  },
  async commands(ctx) { return ctx.shell("echo began >> log; while [ ! -e gate ]; do sleep 0.02; done; echo ended").exitCode; },
  async waits(ctx, { gate: name }) {
    await gate(name);
    return ctx.shellAsync("echo began >> log; while [ ! -e gate ]; do sleep 0.02; done");
  },
  async tidies(ctx) {
    try { await ctx.step("wait", () => { log("began"); return gate("never"); }); }
    catch (error) { await gate("cleaned"); log("cleaned"); throw error; }
  },
};
"""


class RunControlTest(harness.CellTest):
    def start(self, cell, method="work", key=None, **params):
        headers = {} if key is None else {"Idempotency-Key": key}
        return cell.call("POST", "/runs", {"method": method, "params": params}, headers)

    def open(self, cell, name="gate"):
        cell.call("PUT", f"/files/{name}", b"")

    def awaited(self, cell, run, timeout=harness.WAIT_S):
        return cell.call("GET", f"/runs/{run}/await?timeout={timeout}").json

    def test_a_run_is_begun_and_awaited(self):
        cell = self.cell(agent=AGENT)
        begun = self.start(cell, n=7)
        self.assertEqual(202, begun.status, begun)
        run = begun.json["id"]
        self.assertEqual("running", self.awaited(cell, run, timeout=0)["status"])
        self.reaches(cell, "second")
        self.open(cell)
        ended = self.awaited(cell, run)
        self.assertEqual(("completed", 7), (ended["status"], ended["result"]))
        self.assertEqual(400, cell.call("GET", f"/runs/{run}/await?timeout=soon").status)
        self.assertEqual(404, cell.call("GET", "/runs/none/await").status)
        self.assertEqual(400, cell.call("POST", "/runs", {"params": {}}).status)
        bare = self.daemon.create("without")
        self.assertEqual("agent_missing", bare.call("POST", "/runs", {"method": "x"}).json["code"])

    def test_the_same_call_is_one_run_however_often_it_is_sent(self):
        cell = self.cell(agent=AGENT)
        first = self.start(cell, key="order-1", n=1)
        again = self.start(cell, key="order-1", n=1)
        self.assertEqual((202, 200, first.json["id"]), (first.status, again.status, again.json["id"]))
        other = self.start(cell, key="order-1", n=2)
        self.assertEqual((409, "idempotency_key_reused"), (other.status, other.json["code"]))
        self.assertEqual(400, self.start(cell, key="k" * 257, n=1).status)
        turned = [self.start(cell, key="order-2", **params).json["id"] for params in ({"n": 1, "m": 2}, {"m": 2, "n": 1})]
        self.assertEqual(turned[0], turned[1])  # The names of an object have no order.
        self.daemon.restart()
        self.assertEqual(first.json["id"], self.start(cell, key="order-1", n=1).json["id"])
        self.open(cell)
        answer = cell.call("POST", "/request", {"method": "work", "params": {"n": 1}}, {"Idempotency-Key": "order-1"})
        self.assertEqual((200, 1), (answer.status, answer.json))  # of the same run
        self.assertEqual(2, len(cell.runs()))

    def test_calls_with_one_key_at_the_same_time_are_one_run(self):
        cell = self.cell(agent=AGENT)
        self.open(cell)
        ids = []

        def send():
            ids.append(self.start(cell, key="together", n=1).json["id"])

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((8, 1), (len(ids), len(set(ids))))
        self.assertEqual(1, len(cell.runs()))

    def test_a_run_is_paused_and_goes_on(self):
        cell = self.cell(agent=AGENT)
        run = self.start(cell, n=3).json["id"]
        self.reaches(cell, "second")
        paused = cell.call("POST", f"/runs/{run}/pause").json
        self.assertEqual(("paused", "user"), (paused["status"], paused["reason"]))
        self.assertEqual((409, "run_paused"), (lambda a: (a.status, a.json["code"]))(cell.call("POST", f"/runs/{run}/pause")))
        self.open(cell)  # What goes on in the agent counts no more.
        self.daemon.restart()
        self.assertEqual("paused", cell.run(run)["status"])
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)
        self.assertEqual(("completed", 3), (self.awaited(cell, run)["status"], cell.run(run)["result"]))
        self.assertEqual(["first", "second", "second"], self.log(cell))
        self.assertEqual("run_ended", cell.call("POST", f"/runs/{run}/pause").json["code"])

    def test_pausing_kills_the_commands_of_the_run(self):
        cell = self.cell(agent=AGENT)
        run = self.start(cell, "commands").json["id"]
        self.reaches(cell, "began")
        self.assertEqual("paused", cell.call("POST", f"/runs/{run}/pause").json["status"])
        harness.eventually("its command is gone",
                           lambda: not any(b"gate" in command for command in cell.processes("shell").values()))
        self.open(cell)
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)
        self.assertEqual(0, self.awaited(cell, run)["result"])
        self.assertEqual(["began", "began"], self.log(cell))

    def test_a_command_that_is_being_started_as_its_run_is_cancelled_or_paused_never_begins(self):
        """Neither one whose domain is still to be made, by cellar-spawn, nor one that its domain's cell-init is to start."""
        for asked, status in (("cancel", "cancelled"), ("pause", "paused")):
            cell = self.cell(asked, agent=AGENT)
            for starts in (self.daemon.spawner, lambda: min(cell.processes("shell"))):
                run = self.start(cell, "waits", gate=f"gate-{starts()}").json["id"]
                harness.eventually("the agent runs", cell.agent_pid)
                with harness.standing_still(starts()):
                    self.open(cell, f"gate-{starts()}")
                    harness.eventually("the command is asked for", lambda: cell.run(run)["steps"])
                    cell.call("POST", f"/runs/{run}/{asked}", {})
                    self.assertEqual(status, self.awaited(cell, run)["status"])
                cell.exec("true")  # That comes after it.
                self.assertFalse([words for words in cell.processes("shell").values() if b"echo began" in words])
                self.assertEqual([], self.log(cell))

    def test_cancelling_gives_the_time_to_clean_up_that_was_asked_for(self):
        cell = self.cell(agent=AGENT)
        run = self.start(cell, "tidies").json["id"]
        self.reaches(cell, "began")
        self.assertEqual(400, cell.call("POST", f"/runs/{run}/cancel", {"grace_ms": -1}).status)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(
            self.daemon.call("POST", f"{cell.path}/runs/{run}/cancel", {"grace_ms": 600000})))
        thread.start()
        self.open(cell, "cleaned")
        thread.join()
        self.assertEqual("cancelled", answers[0].json["status"])
        self.assertEqual(["began", "cleaned"], self.log(cell))

    def test_what_is_asked_while_the_agent_starts_is_done(self):
        """The code of a run that is paused or cancelled before the agent has it is not executed."""
        for asked, status in (("pause", "paused"), ("cancel", "cancelled")):
            with self.subTest(asked=asked):
                cell, run = self.asked_before_it_began(asked, status)
                if asked == "pause":
                    self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)
                    self.assertEqual("noted", self.awaited(cell, run)["result"])
                    self.assertEqual(["runs"], self.log(cell))

    def asked_before_it_began(self, asked, status):
        for attempt in range(20):  # The agent is seldom faster than we.
            cell = self.cell(f"{asked}-{attempt}", agent=AGENT)
            run = self.start(cell, "notes").json["id"]
            self.assertEqual(status, cell.call("POST", f"/runs/{run}/{asked}").json["status"])
            self.assertEqual("quick", cell.request("quick").json)  # Behind it in the agent.
            if self.log(cell) == []:
                return cell, run
            cell.call("DELETE")
        self.fail("its code was executed each time")

    def paused_before_it_hears_of_it(self, name):
        """A run whose agent begins three steps before it hears that the run is paused."""
        cell = self.cell(name, agent=AGENT)
        run = self.start(cell, "branches").json["id"]
        harness.eventually("it waits", lambda: cell.run(run)["status"] == "waiting")
        with harness.standing_still(cell.agent_pid()):
            cell.call("POST", f"/runs/{run}/events", {"type": "go"})
            harness.eventually("the event has ended its wait", lambda: cell.run(run)["status"] == "running")
            self.assertEqual("paused", cell.call("POST", f"/runs/{run}/pause").json["status"])
        harness.eventually("what it has begun is interrupted", lambda: self.interrupted(cell, run) == ["branch0", "branch1", "branch2"])
        return cell, run

    def interrupted(self, cell, run):
        return [step["name"] for step in cell.run(run)["steps"] if step["status"] == "interrupted"]

    def test_a_step_that_begins_before_the_agent_has_heard_of_a_pause_counts_as_interrupted(self):
        cell, run = self.paused_before_it_hears_of_it("resumed")
        self.daemon.restart()
        self.assertEqual(3, len(self.interrupted(cell, run)))
        self.open(cell)
        cell.call("POST", f"/runs/{run}/resume")
        self.assertEqual([0, 1, 2], self.awaited(cell, run)["result"])
        self.assertEqual([2, 2, 2], [step["executed"] for step in cell.run(run)["steps"] if step["name"].startswith("branch")])
        self.assertEqual(sorted([f"branch{i}" for i in range(3)] * 2), sorted(self.log(cell)))
        cell, run = self.paused_before_it_hears_of_it("cancelled")
        cell.call("POST", f"/runs/{run}/cancel", {"rollback": True})
        self.assertEqual("cancelled", cell.settled(run)["status"])
        self.assertEqual(3, len(self.interrupted(cell, run)))
        self.assertIn("undone", self.log(cell))

    def test_a_run_of_a_frozen_cell_is_the_same_after_a_restart(self):
        cell = self.cell(agent=AGENT)
        run = self.start(cell, n=1).json["id"]
        self.reaches(cell, "second")
        cell.call("POST", "/pause")
        self.daemon.kill()
        self.daemon.start()
        began = time.monotonic()
        self.assertEqual("running", self.awaited(cell, run, timeout=1)["status"])
        self.assertGreater(time.monotonic() - began, 0.9)
        self.assertEqual("paused", cell.call("POST", f"/runs/{run}/pause").json["status"])
        self.assertEqual("paused", self.awaited(cell, run)["status"])
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)
        self.open(cell)
        self.assertEqual(1, self.awaited(cell, run)["result"])

    def test_who_waits_in_a_cell_that_is_deleted_is_told(self):
        cell = self.cell(agent=AGENT)
        run = self.start(cell, "listens").json["id"]
        answers = []
        waiting = [threading.Thread(target=lambda rest=rest: answers.append(cell.call("GET", rest)))
                   for rest in (f"/runs/{run}/await?timeout=600", f"/runs/{run}/await?timeout=3600")]
        for one in waiting:
            one.start()
        harness.eventually("both wait", lambda: sum("await" in blocker["detail"] for blocker in cell.get()["idle"]["blockers"]) == 2)
        self.assertEqual(204, cell.call("DELETE").status)
        for one in waiting:
            one.join(harness.WAIT_S)
        self.assertEqual([(503, "ended_meanwhile")] * 2, [(answer.status, answer.json["code"]) for answer in answers])

    def test_a_client_that_leaves_in_the_middle_leaves_nothing_half_done(self):
        seed = random.randrange(1 << 30)
        rng = random.Random(seed)
        cell = self.cell(agent=AGENT)
        runs = [self.start(cell, "listens").json["id"] for _ in range(20)]
        for run in runs:
            for i in range(8):
                what, body = rng.choice([("pause", {}), ("resume", {}), ("events", {"id": str(i), "type": "go"})])
                connection = self.daemon.connect()
                headers = {"Authorization": f"Bearer {self.daemon.key}", "Content-Type": "application/json"}
                connection.request("POST", f"{cell.path}/runs/{run}/{what}", json.dumps(body), headers)
                connection.close()
        for run in runs:
            for i in range(8, 11):
                answer = cell.call("POST", f"/runs/{run}/events", {"id": str(i), "type": "go"})
                self.assertIn(answer.status, (200, 409), f"seed {seed}: {answer}")
            harness.eventually(f"run {run} ends, seed {seed}", lambda: self.pushed_to_its_end(cell, run))

    def pushed_to_its_end(self, cell, run):
        now = cell.run(run)
        if now["status"] == "paused":
            cell.call("POST", f"/runs/{run}/resume")
        return now.get("result") == [None] * 3


class OnItsWayTest(harness.CellTest):
    """What is asked while something else of the run is on its way to the disk."""

    daemon_class = harness.FaultyDaemon

    def hits(self, point):
        return (self.daemon.root / "faults.hits").read_text().split().count(point)

    def waiting(self, agent, method):
        cell = self.cell(agent=agent)
        run = cell.call("POST", "/runs", {"method": method}).json["id"]
        harness.eventually("it waits", lambda: cell.run(run)["status"] == "waiting")
        cell.runs()  # All of it is on disk.
        return cell, run

    def held_up(self, cell, path, body):
        """Asks for it, and waits until its write is on its way, where it takes a while."""
        before = self.hits("journal.before_sync")
        self.daemon.plan("journal.before_sync 1 delay=1500")
        answers = []
        asking = threading.Thread(target=lambda: answers.append(cell.call("POST", path, body)))
        asking.start()
        harness.eventually("it is written", lambda: self.hits("journal.before_sync") > before)
        return asking, answers

    def test_who_lets_a_run_go_on_that_somebody_else_lets_go_on_is_told(self):
        cell, run = self.waiting(AGENT, "listens")
        pausing, _ = self.held_up(cell, f"/runs/{run}/pause", {})
        answers = []
        resuming = [threading.Thread(target=lambda: answers.append(cell.call("POST", f"/runs/{run}/resume"))) for _ in range(3)]
        for one in resuming:
            one.start()
        for one in (pausing, *resuming):
            one.join(harness.WAIT_S)
        self.assertEqual([200, 409, 409], sorted(answer.status for answer in answers))
        self.assertEqual({None, "run_not_paused"}, {answer.json.get("code") for answer in answers})
        self.assertEqual("waiting", cell.run(run)["status"])

    def test_nobody_is_told_of_an_answer_that_is_not_on_disk(self):
        cell, run = self.waiting('exports.asks = async (ctx) => (await ctx.approve("pay")).approved;', "asks")
        after = self.hits("journal.after_sync")
        first, answers = self.held_up(cell, f"/runs/{run}/approve", {"approved": True})
        second = cell.call("POST", f"/runs/{run}/approve", {"approved": False})
        self.assertEqual((409, "approval_over"), (second.status, second.json["code"]))
        self.assertGreater(self.hits("journal.after_sync"), after)
        first.join()
        self.assertEqual(200, answers[0].status)
        self.assertIs(True, cell.settled(run)["result"])
        late = cell.call("POST", f"/runs/{run}/approve", {"approved": True})
        self.assertEqual((409, "approval_over"), (late.status, late.json["code"]))
