"""Agents in Python: the promises of runs, steps and waits hold for plain functions and for coroutine functions alike."""
import os
import subprocess
import time

import harness

# Each method in both forms: `ten` is a coroutine function, `ten_plainly` a plain one.
AGENT = '''
import asyncio, datetime, os, sys, time

def log(line):
    with open("/work/log", "a") as file:
        file.write(f"{line}\\n")

async def gate(name="gate"):
    while not os.path.exists("/work/" + name):
        await asyncio.sleep(0.005)

def gate_plainly(name="gate"):
    while not os.path.exists("/work/" + name):
        time.sleep(0.005)

async def ten(ctx, params):
    values = []
    for i in range(10):
        async def body():
            log(i)
            if i == params["gate"]:
                await gate()
            return {"i": i, "square": i * i}
        values.append(await ctx.step(f"step-{i}", body))
        ctx.stream({"did": i})
    return [value["square"] for value in values]

def ten_plainly(ctx, params):
    values = []
    for i in range(10):
        def body():
            log(i)
            if i == params["gate"]:
                gate_plainly()
            return {"i": i, "square": i * i}
        values.append(ctx.step(f"step-{i}", body))
        ctx.stream({"did": i})
    return [value["square"] for value in values]

async def shells(ctx, params):
    for i in range(3):
        wait = "while [ ! -e /work/gate ]; do sleep 0.02; done" if i == params["gate"] else ":"
        await ctx.shell(f"echo {i} >> /work/log; {wait}")
    return ctx.store.read("log")

def shells_plainly(ctx, params):
    for i in range(3):
        wait = "while [ ! -e /work/gate ]; do sleep 0.02; done" if i == params["gate"] else ":"
        ctx.shell(f"echo {i} >> /work/log; {wait}")
    return ctx.store.read("log")

async def retries(ctx):
    async def flaky(s):
        log(f"attempt{s.attempt}")
        if s.attempt == 1:
            await s.progress({"job": 7})
            raise ValueError("first")
        if s.attempt == 2 and not os.path.exists("/work/gate"):
            log("waits")
            await gate()
        return [s.attempt, s.last_progress]
    return await ctx.step("flaky", flaky, retries={"max_attempts": 3, "delay": 1})

def retries_plainly(ctx):
    def flaky(s):
        log(f"attempt{s.attempt}")
        if s.attempt == 1:
            s.progress({"job": 7})
            raise ValueError("first")
        if s.attempt == 2 and not os.path.exists("/work/gate"):
            log("waits")
            gate_plainly()
        return [s.attempt, s.last_progress]
    return ctx.step("flaky", flaky, retries={"max_attempts": 3, "delay": 1})

async def pay(ctx):
    async def body():
        log("pay")
        await gate()
    try:
        await ctx.step("pay", body, on_interrupt="fail")
    except ctx.errors.StepInterruptedError as error:
        return [error.code, await ctx.step("after", lambda: log("after"))]

def pay_plainly(ctx):
    def body():
        log("pay")
        gate_plainly()
    try:
        ctx.step("pay", body, on_interrupt="fail")
    except ctx.errors.StepInterruptedError as error:
        return [error.code, ctx.step("after", lambda: log("after"))]

async def event(ctx):
    await ctx.step("before", lambda: log("before"))
    got = await ctx.wait_for_event("merged", match={"pr": 7})
    answer = await ctx.approve("deploy", prompt="Deploy?")
    await ctx.step("after", lambda: log("after"))
    return [got["pr"], answer.approved, answer.by]

def event_plainly(ctx):
    ctx.step("before", lambda: log("before"))
    got = ctx.wait_for_event("merged", match={"pr": 7})
    answer = ctx.approve("deploy", prompt="Deploy?")
    ctx.step("after", lambda: log("after"))
    return [got["pr"], answer.approved, answer.by]

async def parent(ctx, params):
    children = [await ctx.spawn("child", {"name": name}) for name in params["names"]]
    results = await asyncio.gather(*[child.result() for child in children], return_exceptions=True)
    return await ctx.step("after", lambda: [str(result) for result in results])

def parent_plainly(ctx, params):
    children = [ctx.spawn("child", {"name": name}) for name in params["names"]]
    def result(child):
        try:
            return child.result()
        except ValueError as error:
            return str(error)
    results = [result(child) for child in children]
    return ctx.step("after", lambda: results)

async def twins(ctx, params):
    seen = params.get("seen", []) + [(await ctx.spawn("quick", id=id)).id for id in ("x", "x", "y")]
    return seen if len(seen) == 6 else await ctx.continue_as({"seen": seen})

def twins_plainly(ctx, params):
    seen = params.get("seen", []) + [ctx.spawn("quick", id=id).id for id in ("x", "x", "y")]
    return seen if len(seen) == 6 else ctx.continue_as({"seen": seen})

def quick(ctx):
    return ctx.step("work", lambda: 1)

async def either(ctx):
    asked = {ctx.approve("go"): "approved", ctx.wait_for_event("no"): "refused"}
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    log(" ".join(asked[each] for each in done))
    return await ctx.step("after", lambda: 1)

async def child(ctx, params):
    await ctx.step("work", lambda: log(params["name"]))
    if params["name"] == "bad":
        raise ValueError("it was bad")
    return params["name"] + " " + await ctx.wait_for_event("go")

async def race(ctx):
    shell = ctx.shell("echo slow; while [ ! -e /work/slow ]; do sleep 0.02; done")
    done, _ = await asyncio.wait([shell, ctx.step("quick", lambda: "quick")], return_when=asyncio.FIRST_COMPLETED)
    first = done.pop().result()
    ctx.stream({"first": first})
    async def body():
        log("second")
        await gate()
        return first
    return [first, await ctx.step("second", body)]

async def values(ctx):
    at = datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc)
    made = await ctx.step("made", lambda: {"bytes": b"\\x00\\xff", "big": 2 ** 70, "at": at, "set": {1, "a"}, (1, 2): float("inf")})
    async def fails():
        raise KeyError("k")
    try:
        await ctx.step("fails", fails)
    except KeyError as error:
        told = str(error)
    async def body():
        log("reached")
        await gate()
    await ctx.step("gate", body)
    return [made == {"bytes": b"\\x00\\xff", "big": 2 ** 70, "at": at, "set": {1, "a"}, (1, 2): float("inf")}, told]

async def changed(ctx):
    await ctx.step("always", lambda: 1)
    async def body():
        log("at")
        await gate()
    await ctx.step("two" if os.path.exists("/work/flip") else "one", body)

async def forgets(ctx):
    ctx.step("lost", gate)
    return 1

async def spin(ctx):
    while True:
        pass

def spin_plainly(ctx):
    while True:
        pass

async def die(ctx):
    sys.exit(3)

def die_plainly(ctx):
    os._exit(3)

def flood(ctx):
    line = "x" * (1 << 20)
    for _ in range(1024):
        print(line)
    return "said"

async def waits(ctx):
    await ctx.sleep("1h")

def waits_plainly(ctx):
    return ctx.shell("sleep 5432")

async def quick(ctx):
    return os.environ["PYTHONHASHSEED"]
'''
SQUARES = [i * i for i in range(10)]


class PythonTest(harness.CellTest):
    options = ("--run-suspend-after-ms", "50")

    def cell(self, **fields):
        return super().cell(**{"agent": AGENT, "agent_language": "python", **fields})

    def begin(self, method, **params):
        cell = self.cell()
        return cell, cell.call("POST", "/runs", {"method": method, "params": params}).json["id"]

    def open_gate(self, cell):
        cell.call("PUT", "/files/gate", b"")

    def kill_cell(self, cell):
        before = set(cell.processes())
        cell.kill_processes()
        harness.eventually("all of them are gone", lambda: before.isdisjoint(cell.processes()))

    def restart(self, cell):
        self.daemon.restart()

    def send(self, cell, run, **event):
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/events", event).status)

    def waits_for(self, cell, run, reason):
        harness.eventually(f"it waits for {reason} without the agent",
                           lambda: cell.run(run).get("reason") == reason and
                           not any(b["kind"] == "run" for b in cell.get()["idle"]["blockers"]))

    def completes(self, cell, run, result):
        ended = cell.settled(run)
        self.assertEqual(("completed", result), (ended["status"], ended.get("result")), ended)
        return ended

    # ---- what is finished is not done again ----

    def repeats_only_the_step_that_is_interrupted(self, method, interrupt, gates=range(10)):
        for gate in gates:
            with self.subTest(step=gate):
                cell, run = self.begin(method, gate=gate)
                self.reaches(cell, gate)
                interrupt(cell)
                self.open_gate(cell)
                self.completes(cell, run, SQUARES)
                self.assertEqual({str(i): 2 if i == gate else 1 for i in range(10)},
                                 {step: self.log(cell).count(step) for step in self.log(cell)})
                seen = [e.json["data"]["did"] for e in cell.events(run) if e.type == "stream"]
                self.assertEqual(list(range(10)), seen)
                cell.call("DELETE")

    def test_an_agent_killed_in_each_of_ten_steps_repeats_only_that_step(self):
        self.repeats_only_the_step_that_is_interrupted("ten", harness.Cell.kill_agent)

    def test_an_agent_killed_in_a_plain_step_repeats_only_that_step(self):
        self.repeats_only_the_step_that_is_interrupted("ten_plainly", harness.Cell.kill_agent, (0, 5, 9))

    def test_a_daemon_killed_in_each_of_ten_steps_repeats_only_that_step(self):
        self.repeats_only_the_step_that_is_interrupted("ten", self.restart)

    def test_a_daemon_killed_in_a_plain_step_repeats_only_that_step(self):
        self.repeats_only_the_step_that_is_interrupted("ten_plainly", self.restart, (0, 5, 9))

    def test_a_cell_killed_in_each_of_ten_steps_repeats_only_that_step(self):
        self.repeats_only_the_step_that_is_interrupted("ten", self.kill_cell)

    def test_a_cell_killed_in_a_plain_step_repeats_only_that_step(self):
        self.repeats_only_the_step_that_is_interrupted("ten_plainly", self.kill_cell, (0, 5, 9))

    def test_a_shell_step_is_repeated_only_if_it_was_interrupted(self):
        for method in ("shells", "shells_plainly"):
            for interrupt in (self.restart, self.kill_cell):
                cell, run = self.begin(method, gate=1)
                self.reaches(cell, 1)
                interrupt(cell)
                self.open_gate(cell)
                self.completes(cell, run, "0\n1\n1\n2\n")
                cell.call("DELETE")

    def test_attempts_and_progress_survive_a_kill(self):
        for method in ("retries", "retries_plainly"):
            for kill in (harness.Cell.kill_agent, self.restart):
                cell, run = self.begin(method)
                self.reaches(cell, "waits")
                kill(cell)
                self.open_gate(cell)
                self.completes(cell, run, [2, {"job": 7}])
                self.assertEqual(["attempt1", "attempt2", "waits", "attempt2"], self.log(cell))
                cell.call("DELETE")

    def test_a_step_that_must_not_be_repeated_is_not(self):
        for method in ("pay", "pay_plainly"):
            for kill in (harness.Cell.kill_agent, self.restart):
                cell, run = self.begin(method)
                self.reaches(cell, "pay")
                kill(cell)
                self.open_gate(cell)
                self.completes(cell, run, ["step_interrupted", None])
                self.assertEqual(["pay", "after"], self.log(cell))
                cell.call("DELETE")

    def test_a_race_has_the_same_winner_after_a_kill(self):
        cell, run = self.begin("race")
        self.reaches(cell, "second")
        cell.call("PUT", "/files/slow", b"")
        harness.eventually("the other one has ended too",
                           lambda: all(s["status"] != "running" for s in cell.run(run)["steps"] if s["kind"] == "shell"))
        cell.kill_agent()
        self.open_gate(cell)
        self.completes(cell, run, ["quick", "quick"])
        self.assertEqual(["quick"], [e.json["data"]["first"] for e in cell.events(run) if e.type == "stream"])

    def test_values_and_errors_of_python_are_the_same_after_a_kill(self):
        cell, run = self.begin("values")
        self.reaches(cell, "reached")
        cell.kill_agent()
        self.open_gate(cell)
        self.completes(cell, run, [True, "'k'"])

    def test_a_replay_that_differs_pauses_the_run_and_shows_both_sides(self):
        cell, run = self.begin("changed")
        self.reaches(cell, "at")
        cell.call("PUT", "/files/flip", b"")
        cell.kill_agent()
        paused = cell.settled(run)
        self.assertEqual(("paused", "replay_mismatch"), (paused["status"], paused["reason"]))
        self.assertEqual(("one", "two"), (paused["detail"]["expected"]["n"], paused["detail"]["got"]["n"]))

    # ---- waiting ----

    def test_a_run_waits_through_everything_and_repeats_nothing(self):
        def hibernate(cell):
            self.assertEqual(200, cell.call("POST", "/hibernate").status)

        for method in ("event", "event_plainly"):
            for disturb in (lambda cell: None, hibernate, self.restart, harness.Cell.kill_agent):
                cell, run = self.begin(method)
                self.waits_for(cell, run, "event")
                disturb(cell)
                self.send(cell, run, type="merged", payload={"pr": 7})
                self.waits_for(cell, run, "approval")
                disturb(cell)
                self.assertEqual(200, cell.call("POST", f"/runs/{run}/approve", {"approved": True, "by": "ada"}).status)
                self.completes(cell, run, [7, True, "ada"])
                self.assertEqual(["before", "after"], self.log(cell))
                cell.call("DELETE")

    def test_children_are_begun_once_and_their_results_waited_for(self):
        for method in ("parent", "parent_plainly"):
            for disturb in (lambda cell: None, self.restart, harness.Cell.kill_agent):
                cell, run = self.begin(method, names=["a", "bad", "b"])
                self.waits_for(cell, run, "child")
                disturb(cell)
                for child in (r for r in cell.runs() if r["method"] == "child" and r["status"] == "waiting"):
                    self.send(cell, child["id"], type="go", payload="on")
                self.completes(cell, run, ["a on", "it was bad", "b on"])
                self.assertEqual(["a", "b", "bad"], sorted(self.log(cell)))
                cell.call("DELETE")

    def test_children_with_one_id_are_one_run_through_all_generations_of_their_parent(self):
        for method in ("twins", "twins_plainly"):
            cell, run = self.begin(method)
            seen = cell.settled(run)["result"]
            self.assertEqual([seen[0], seen[0], seen[2]] * 2, seen)
            self.assertEqual(3, len(cell.runs()))
            cell.call("DELETE")

    def test_a_run_that_leaves_the_agent_goes_down_no_branch_before_what_it_waits_for_has_come(self):
        for disturb in (lambda cell, run: None,
                        lambda cell, run: [cell.call("POST", f"/runs/{run}/{what}") for what in ("pause", "resume")]):
            cell, run = self.begin("either")
            disturb(cell, run)
            self.waits_for(cell, run, "approval")
            self.send(cell, run, type="no")
            self.completes(cell, run, 1)
            self.assertEqual(["refused"], self.log(cell))
            cell.call("DELETE")

    # ---- agents that misbehave ----

    def test_a_step_that_nobody_waits_for_fails_the_run_by_name(self):
        cell, run = self.begin("forgets")
        ended = cell.settled(run)
        self.assertEqual(("failed", "forgotten_await"), (ended["status"], ended["error"]["code"]))
        self.assertIn('"lost"', ended["error"]["message"])

    def test_an_agent_in_an_endless_loop_is_ended_when_its_run_is_cancelled(self):
        for method in ("spin", "spin_plainly"):
            cell, run = self.begin(method)
            harness.eventually("the agent runs", cell.agent_pid)
            self.assertEqual(200, cell.call("POST", f"/runs/{run}/cancel").status)
            self.assertEqual("cancelled", cell.settled(run)["status"])
            self.assertTrue(cell.request("quick").json.isdigit())
            cell.call("DELETE")

    def test_an_agent_that_keeps_dying_is_paused_with_its_reason(self):
        for method in ("die", "die_plainly"):
            cell, run = self.begin(method)
            paused = cell.settled(run)
            self.assertEqual(("paused", "crash_loop"), (paused["status"], paused["reason"]))
            cell.call("DELETE")

    def test_a_gigabyte_of_output_is_drained_and_bounded(self):
        cell = self.cell()
        self.assertEqual("said", cell.request("flood").json)
        self.assertLess(sum(len(line) for line in cell.request("logs").json["lines"]), 8 << 20)

    def test_cancel_ends_a_run_and_its_processes(self):
        for method in ("waits", "waits_plainly"):
            cell, run = self.begin(method)
            harness.eventually("it waits", lambda: cell.run(run)["steps"])
            start = time.monotonic()
            self.assertEqual(200, cell.call("POST", f"/runs/{run}/cancel").status)
            self.assertEqual("cancelled", cell.settled(run)["status"])
            self.assertLess(time.monotonic() - start, 10)
            self.assertEqual("0\n", cell.exec("ps -e -o args | grep -c '[s]leep 5432'")["stdout"])
            cell.call("DELETE")

    # ---- which language ----

    def test_the_host_starts_from_what_the_build_compiled_and_imports_no_more_than_it_needs(self):
        agent = """
import sys
from cellar_agent import run


async def looks(ctx, params):
    with open(run.__cached__, "rb") as file:
        told = [sys.implementation.cache_tag, file.read(8)[4], "urllib.request" in sys.modules]
    return told
"""
        cell = self.cell(agent=agent)
        made_by = subprocess.run(["python3", "-c", "import sys; print(sys.implementation.cache_tag)"], stdout=subprocess.PIPE,
                                 text=True, check=True).stdout.strip()
        answer = cell.request("looks")
        if answer.status != 200:  # The cell's Python is of another version: it has compiled the files.
            self.assertNotIn(made_by, answer.json["error"])
        else:
            self.assertEqual([made_by, 1, False], answer.json)  # 1: to be used unchecked

    def test_a_cell_says_what_its_agent_is_written_in(self):
        cell = self.cell()
        self.assertEqual("python", cell.get()["agent_language"])
        self.assertEqual("javascript", self.daemon.create("js", agent="exports.a = () => 1").get()["agent_language"])
        self.assertNotIn("agent_language", self.daemon.create("none").get())
        for fields in ({"agent": "x", "agent_language": "perl"}, {"agent_language": "python"}):
            answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "wrong", **fields})
            self.assertEqual((400, "invalid_agent_language"), (answer.status, answer.json["code"]))
        self.daemon.restart()
        self.assertEqual("python", cell.get()["agent_language"])
        seed = cell.request("quick").json
        cell.kill_agent()
        self.assertEqual(seed, cell.request("quick").json)

    def test_runs_stay_with_the_language_that_they_began_with(self):
        cell, old = self.begin("event")
        self.waits_for(cell, old, "event")
        javascript = "exports.event = async (ctx) => ctx.step('s', () => 'of javascript');"
        self.assertEqual(200, self.daemon.call("POST", "/api/v1/cells", {
            "customer_id": cell.fields["customer_id"], "agent": javascript}).status)
        self.assertEqual("of javascript", cell.request("event").json)
        self.send(cell, old, type="merged", payload={"pr": 7})
        self.waits_for(cell, old, "approval")
        self.assertEqual("of javascript", cell.request("event").json)
        self.assertEqual(200, cell.call("POST", f"/runs/{old}/approve", {"approved": False}).status)
        self.completes(cell, old, [7, False, None])

    def test_runs_of_another_language_wait_for_those_that_are_in_the_agent(self):
        cell, old = self.begin("ten", gate=3)
        self.reaches(cell, 3)
        javascript = "exports.next = async (ctx) => ctx.step('s', () => 'of javascript');"
        self.daemon.call("POST", "/api/v1/cells", {"customer_id": cell.fields["customer_id"], "agent": javascript})
        new = cell.call("POST", "/runs", {"method": "next", "params": {}}).json["id"]
        cancelled = cell.call("POST", "/runs", {"method": "next", "params": {}}).json["id"]
        self.assertEqual("cancelled", cell.call("POST", f"/runs/{cancelled}/cancel").json["status"])
        self.assertEqual("running", cell.run(new)["status"])
        self.open_gate(cell)
        self.completes(cell, new, "of javascript")
        self.completes(cell, old, SQUARES)
        self.assertEqual(1, cell.run(old)["attempt"])

    def test_an_agent_that_does_not_load_says_why(self):
        answer = self.cell(agent="def main(:\n").request("main")
        self.assertEqual((500, "agent_load_failed"), (answer.status, answer.json["code"]))
        self.assertIn("SyntaxError", answer.json["error"])
        self.assertEqual(404, self.cell(agent="import json").request("main").status)
