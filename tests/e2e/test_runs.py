"""Durable runs: nothing finished is done twice, nothing acknowledged is lost, streams go on."""
import contextlib
import json
import time

import harness

# Ten steps; each says in /work/log that it was executed, and lingers until its gate file is there.
TEN = """
const fs = require("fs");
module.exports = {
  async ten(ctx, { gate }) {
    const values = [];
    for (let i = 0; i < 10; i++) {
      values.push(await ctx.step("step-" + i, async () => {
        fs.appendFileSync("/work/log", i + "\\n");
        if (i === gate) while (!fs.existsSync("/work/gate")) await new Promise((r) => setTimeout(r, 5));
        return { i, square: i * i };
      }));
      ctx.stream({ did: i });
    }
    return values.map((v) => v.square);
  },
  async shells(ctx, { gate }) {
    for (let i = 0; i < 3; i++) {
      ctx.shell(`echo ${i} >> /work/log; ${i === gate ? "while [ ! -e /work/gate ]; do sleep 0.02; done" : ":"}`);
    }
    return ctx.store.read("log");
  },
  spin() { for (;;) {} },
  die() { process.exit(3); },
  async flood(ctx) { const line = "x".repeat(1 << 20); for (let i = 0; i < 1024; i++) console.log(line); return "said"; },
  async wait(ctx) { await ctx.sleep(3600000); },
  async longShell(ctx) { return ctx.shell("sleep 5432"); },
  async random(ctx) {
    const a = ctx.random(), b = ctx.now(), c = ctx.uuid();
    await ctx.step("s", async () => { while (!fs.existsSync("/work/gate")) await new Promise((r) => setTimeout(r, 5)); });
    return [a, b, c, ctx.db.get("k")];
  },
  async changed(ctx) {
    await ctx.step("always", () => 1);
    await ctx.step(fs.existsSync("/work/flip") ? "two" : "one", async () => {
      fs.writeFileSync("/work/at", "1");
      while (!fs.existsSync("/work/gate")) await new Promise((r) => setTimeout(r, 5));
    });
  },
};
"""
SQUARES = [i * i for i in range(10)]


class RunsTest(harness.CellTest):
    def begin(self, method, **params):
        """Starts a run and leaves: a run does not need its client."""
        cell = self.cell(agent=TEN)
        connection = self.daemon.connect()
        connection.request("POST", cell.path + "/request", json.dumps({"method": method, "params": params}),
                           {"Authorization": f"Bearer {self.daemon.key}", "Content-Type": "application/json"})
        run = harness.eventually("the run is there", lambda: cell.runs())[0]["id"]
        connection.close()
        return cell, run

    def open_gate(self, cell):
        cell.call("PUT", "/files/gate", b"")

    def executions(self, cell):
        log = cell.call("GET", "/files/log").body.decode().split()
        return {step: log.count(step) for step in log}

    def interrupted_at_each_step(self, interrupt):
        for gate in range(10):
            with self.subTest(step=gate):
                cell, run = self.begin("ten", gate=gate)
                try:
                    self.repeats_only(cell, run, gate, interrupt)
                finally:
                    cell.call("DELETE")

    def repeats_only(self, cell, run, gate, interrupt):
        self.reaches(cell, gate)
        with contextlib.closing(cell.events(run)) as events:  # Only what is on disk is an event.
            self.assertTrue(any(e.type == "step.started" and e.json["data"]["name"] == f"step-{gate}" for e in events))
        interrupt(cell)
        self.open_gate(cell)
        ended = cell.settled(run)
        self.assertEqual(("completed", SQUARES), (ended["status"], ended.get("result")), ended)
        self.assertEqual({str(i): 2 if i == gate else 1 for i in range(10)}, self.executions(cell))
        self.assertEqual(2, next(s for s in ended["steps"] if s["name"] == f"step-{gate}")["executed"])
        seen = [e.json["data"]["did"] for e in cell.events(run) if e.type == "stream"]
        self.assertEqual(list(range(10)), seen)

    def test_an_agent_killed_in_each_of_ten_steps_repeats_only_that_step(self):
        self.interrupted_at_each_step(harness.Cell.kill_agent)

    def test_a_daemon_killed_in_each_of_ten_steps_repeats_only_that_step(self):
        self.interrupted_at_each_step(lambda cell: self.daemon.restart())

    def test_a_cell_killed_in_each_of_ten_steps_repeats_only_that_step(self):
        def kill_all(cell):
            before = set(cell.processes())
            cell.kill_processes()
            harness.eventually("all of them are gone", lambda: before.isdisjoint(cell.processes()))

        self.interrupted_at_each_step(kill_all)

    def test_a_cell_killed_with_its_commands_in_a_shell_step_repeats_only_that_step(self):
        cell, run = self.begin("shells", gate=1)
        self.reaches(cell, 1)
        cell.kill_processes()
        self.open_gate(cell)
        self.assertEqual("0\n1\n1\n2\n", cell.settled(run)["result"])

    def test_an_agents_domain_killed_in_a_step_repeats_only_that_step(self):
        cell, run = self.begin("ten", gate=4)
        self.reaches(cell, 4)
        cell.kill_processes("agent")
        self.open_gate(cell)
        self.assertEqual(SQUARES, cell.settled(run)["result"])
        self.assertEqual({str(i): 2 if i == 4 else 1 for i in range(10)}, self.executions(cell))

    def test_a_shell_step_is_repeated_only_if_it_was_interrupted(self):
        cell, run = self.begin("shells", gate=1)
        self.reaches(cell, 1)
        self.daemon.restart()
        self.open_gate(cell)
        self.assertEqual("0\n1\n1\n2\n", cell.settled(run)["result"])

    def test_a_stream_goes_on_where_it_was_cut_with_no_gap_and_no_repetition(self):
        cell, run = self.begin("ten", gate=5)
        stream, seen = cell.events(run), []
        for event in stream:
            seen.append(event)
            if event.type == "step.started" and event.json["data"]["name"] == "step-5":
                break
        self.daemon.restart()
        stream.close()
        self.open_gate(cell)
        rest = list(self.daemon.stream("GET", f"{cell.path}/runs/{run}/events",
                                       headers={"Last-Event-ID": str(seen[-1].id)}))
        # As a browser comes back: with what it had asked for first.
        back = list(self.daemon.stream("GET", f"{cell.path}/runs/{run}/events?after={seen[1].id}",
                                       headers={"Last-Event-ID": str(seen[-1].id)}))
        self.assertEqual([e.id for e in rest], [e.id for e in back])
        ahead = cell.call("GET", f"/runs/{run}/events?after=999999")
        self.assertEqual((400, "invalid_query"), (ahead.status, ahead.json["code"]))
        everything = list(cell.events(run))
        self.assertEqual([e.id for e in everything], [e.id for e in seen + rest])
        self.assertEqual(sorted({e.id for e in everything}), [e.id for e in everything])
        self.assertEqual(("run.started", "run.completed"), (everything[0].type, everything[-1].type))
        self.assertEqual(SQUARES, everything[-1].json["data"]["result"])
        self.assertEqual([e.id for e in everything[3:]], [e.id for e in cell.events(run, after=everything[2].id)])

    def test_events_come_in_order_while_the_run_goes_on(self):
        cell, run = self.begin("ten", gate=2)
        got = []
        for event in cell.events(run):
            got.append(event)
            if event.type == "step.started" and event.json["data"]["name"] == "step-2":
                self.open_gate(cell)  # only now can it go on: what came before came live
        types = [e.type for e in got]
        self.assertEqual(10, types.count("step.completed"))
        for number in range(10):
            start = next(i for i, e in enumerate(got) if e.type == "step.started" and e.json["data"]["name"] == f"step-{number}")
            self.assertEqual(["step.started", "step.completed", "stream"], types[start:start + 3])

    def test_values_read_outside_steps_are_the_same_after_a_crash(self):
        cell = self.cell(agent=TEN)
        cell, run = self.begin("random")
        harness.eventually("the step runs", lambda: [s for s in cell.run(run)["steps"] if s["name"] == "s"])
        cell.kill_agent()
        self.open_gate(cell)
        ended = cell.settled(run)
        self.assertEqual("completed", ended["status"], ended)

    def test_a_replay_that_differs_pauses_the_run_and_shows_both_sides(self):
        cell, run = self.begin("changed")
        harness.eventually("the step runs", lambda: cell.call("GET", "/files/at").status == 200)
        cell.call("PUT", "/files/flip", b"")
        cell.kill_agent()
        paused = cell.settled(run)
        self.assertEqual(("paused", "replay_mismatch"), (paused["status"], paused["reason"]))
        detail = paused["detail"]
        self.assertEqual(("one", "two"), (detail["expected"]["n"], detail["got"]["n"]))
        step = next(step for step in paused["steps"] if step["name"] == "one")
        self.assertEqual(step["ordinal"], detail["ordinal"])
        self.assertIn("gone another way", detail["cause"])
        self.assertEqual(200, cell.call("DELETE", "/files/flip").status // 100 * 100)
        self.open_gate(cell)
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)
        self.assertEqual("completed", cell.settled(run)["status"])

    def test_an_agent_in_an_endless_loop_is_ended_and_at_last_paused(self):
        cell, run = self.begin("spin")
        other = harness.eventually("it is cancelled", lambda: cell.call("POST", f"/runs/{run}/cancel"))
        self.assertEqual(200, other.status)
        self.assertEqual("cancelled", cell.settled(run)["status"])
        answer = cell.request("ten", {"gate": -1})
        self.assertEqual(1, json.loads(answer.body.split(b"data: ")[-1])[1])

    def test_an_agent_that_keeps_dying_is_paused_with_its_reason(self):
        cell, run = self.begin("die")
        for resumed in range(1, 5):  # Five times until it is paused, twenty in all.
            paused = cell.settled(run)
            self.assertEqual(("paused", "crash_loop"), (paused["status"], paused["reason"]))
            self.assertLessEqual(paused["attempt"], 6 * resumed)
            self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)

    def test_a_gigabyte_of_output_is_drained_and_bounded(self):
        cell = self.cell(agent=TEN)
        answer = cell.request("flood")
        self.assertEqual("said", answer.json)
        self.assertLess(sum(len(l) for l in cell.request("logs").json["lines"]), 8 << 20)

    def test_cancel_ends_a_run_and_its_processes(self):
        for method in ("wait", "longShell"):
            with self.subTest(method):
                cell, run = self.begin(method)
                harness.eventually("it waits", lambda: cell.run(run)["steps"])
                start = time.monotonic()
                self.assertEqual(200, cell.call("POST", f"/runs/{run}/cancel").status)
                self.assertEqual("cancelled", cell.settled(run)["status"])
                self.assertLess(time.monotonic() - start, 10)
                self.assertEqual("0\n", cell.exec("ps -e -o args | grep -c '[s]leep 5432'")["stdout"])
                self.assertEqual("run.cancelled", list(cell.events(run))[-1].type)
                self.assertEqual(409, cell.call("POST", f"/runs/{run}/cancel").status)
                cell.call("DELETE")

    def test_a_client_that_leaves_at_once_changes_nothing(self):
        cell = self.cell(agent="module.exports = { quick: () => 1 };")
        body = json.dumps({"method": "quick"})
        for _ in range(60):
            connection = self.daemon.connect()
            connection.request("POST", cell.path + "/request", body, {"Authorization": f"Bearer {self.daemon.key}"})
            connection.close()
        runs = harness.eventually("the runs end", lambda: (
            all(run["status"] == "completed" for run in cell.runs()) and cell.runs()))
        self.assertGreater(len(runs), 0)
        self.assertEqual(1, cell.request("quick").json)

    def test_unknown_runs_are_404(self):
        cell = self.cell(agent=TEN)
        for rest in ("/runs/run_x", "/runs/run_x/events"):
            self.assertEqual(404, cell.call("GET", rest).status)
        self.assertEqual(404, cell.call("POST", "/runs/run_x/cancel").status)
