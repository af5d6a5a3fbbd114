"""Runs that begin again from others which go on, undo what they did or are moved meanwhile."""
import threading

import harness

AGENT = """
const fs = require("fs");
const log = (line) => fs.appendFileSync("/work/log", line + "\\n");
const there = async (name) => { while (!fs.existsSync("/work/" + name)) await new Promise((resolve) => setTimeout(resolve, 10)); };
module.exports = {
  async setup(ctx) { await ctx.step("s0", () => log("setup")); },
  async undoes(ctx) {
    await ctx.step("a", () => log("a"), { rollback: () => log("undo a") });
    await ctx.step("b", () => log("b"), { rollback: async () => { log("undoing b"); await there("gate"); } });
    await ctx.step("c", () => { if (!fs.existsSync("/work/repaired")) throw new Error("no"); });
    return "ok";
  },
  async named(ctx) {
    await ctx.step("a", () => log("a"), { rollback: () => log("undo a") });
    await ctx.step("rollback a", () => 1);
    await ctx.step("c", () => { throw new Error("no"); });
  },
  async late(ctx) {
    await there("begun");
    await ctx.step("a", () => log("a"));
    await ctx.step("b", () => log("b"));
    return "ok";
  },
  async counts(ctx, { n }) {
    await ctx.step("a", () => log("a" + n));
    await ctx.waitForEvent("go");
    return n === 1 ? ctx.continueAs({ n: 2 }) : "ok";
  },
};
"""
HELD = AGENT.replace("async counts(ctx, { n }) {", 'async counts(ctx, { n }) {\n    log("tried"); await there("gate");')


class AgainTest(harness.CellTest):
    def begun(self, cell, method, **params):
        return cell.call("POST", "/runs", {"method": method, "params": params}).json["id"]

    def again(self, cell, run, **how):
        return cell.call("POST", f"/runs/{run}/restart", how)

    def touch(self, cell, name):
        cell.call("PUT", f"/files/{name}", b"")

    def assert_undone(self, answer):
        self.assertEqual((409, "step_undone"), (answer.status, answer.json["code"]), answer)

    def test_a_run_that_undoes_what_it_did_is_gone_on_with_nowhere(self):
        cell = self.cell(agent=AGENT)
        run = self.begun(cell, "undoes")
        self.reaches(cell, "undoing")
        self.touch(cell, "repaired")
        for disturb in (lambda: None, self.daemon.restart):
            disturb()
            for how in ({"from": "c"}, {"from": "b"}, {"from_end": True}, {"from": "b", "upgrade": True}):
                self.assert_undone(self.again(cell, run, **how))
        self.touch(cell, "gate")
        cell.settled(run)
        self.assert_undone(self.again(cell, run, **{"from": "b"}))  # "a" lies before it.
        whole = self.again(cell, run).json["id"]
        self.assertEqual("ok", cell.settled(whole)["result"])

    def test_a_cancel_with_rollback_counts_from_when_it_is_on_disk(self):
        cell = self.cell(agent=AGENT)
        run = self.begun(cell, "counts", n=1)
        harness.eventually("it waits", lambda: cell.run(run)["status"] == "waiting")
        with harness.standing_still(cell.agent_pid()):
            cancel = threading.Thread(target=cell.call, args=("POST", f"/runs/{run}/cancel", {"rollback": True}))
            cancel.start()
            harness.eventually("it is refused", lambda: self.again(cell, run, from_end=True).status == 409)
        cancel.join()

    def test_a_step_counts_as_undone_whatever_that_is_called(self):
        cell = self.cell(agent=AGENT)
        run = self.begun(cell, "named")
        cell.settled(run)
        self.assertIn("rollback a#2", [step["name"] for step in cell.run(run)["steps"]])
        self.assert_undone(self.again(cell, run, **{"from": "c"}))

    def test_a_run_that_was_paused_before_setup_had_been_done_is_repaired_as_any_other(self):
        cell = self.cell(agent=AGENT)
        run = self.begun(cell, "late")
        cell.call("POST", f"/runs/{run}/pause")
        first = self.begun(cell, "counts", n=2)
        harness.eventually("setup is done", lambda: cell.run(first)["status"] == "waiting")
        self.touch(cell, "begun")
        cell.call("POST", f"/runs/{run}/resume")
        cell.settled(run)
        self.daemon.create(cell.fields["customer_id"], agent=AGENT + "// repaired\n")
        for how in ({"from": "b"}, {"from_end": True}):
            answer = self.again(cell, run, upgrade=True, **how)
            self.assertEqual(202, answer.status, answer)
            self.assertEqual("ok", cell.settled(answer.json["id"])["result"])
        self.assertEqual(1, self.log(cell).count("setup"))

    def test_a_run_begins_as_its_source_was_however_that_goes_on_meanwhile(self):
        cell = self.cell(agent=AGENT)
        source = self.begun(cell, "counts", n=1)  # It has done setup(), too.
        harness.eventually("it waits", lambda: cell.run(source)["status"] == "waiting")
        self.daemon.create(cell.fields["customer_id"], agent=HELD)
        answers = []
        restart = threading.Thread(target=lambda: answers.append(self.again(cell, source, from_end=True, upgrade=True)))
        restart.start()
        self.reaches(cell, "tried")
        cell.call("POST", f"/runs/{source}/events", {"type": "go"})
        harness.eventually("it has continued", lambda: cell.run(source).get("generation") == 2)
        self.touch(cell, "gate")
        restart.join()
        self.assertEqual(202, answers[0].status, answers[0])
        copy = answers[0].json["id"]
        harness.eventually("it waits as well", lambda: cell.run(copy)["status"] == "waiting")
        for _ in range(2):
            harness.eventually("it waits", lambda: cell.run(copy)["status"] in ("waiting", "completed"))
            generation = cell.run(copy).get("generation", 1)
            cell.call("POST", f"/runs/{copy}/events", {"type": "go"})
            harness.eventually("it goes on", lambda before=generation: (now := cell.run(copy))["status"] == "completed" or now.get("generation", 1) > before)
        self.assertEqual("ok", cell.settled(copy)["result"])

    def test_the_same_restart_is_one_run_however_often_it_is_sent(self):
        cell = self.cell(agent=AGENT)
        source = self.begun(cell, "named")
        cell.settled(source)

        def again(key, run=source, **how):
            return cell.call("POST", f"/runs/{run}/restart", how, {"Idempotency-Key": key})

        def code(answer):
            return answer.status, answer.json.get("code")
        ordinal = next(step["ordinal"] for step in cell.run(source)["steps"] if step["name"] == "a")
        begun = again("one", **{"from": "a"})
        answers = []
        clients = [threading.Thread(target=lambda: answers.append(again("two"))) for _ in range(8)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        self.assertEqual([200] * 7 + [202], sorted(answer.status for answer in answers))
        whole = {answer.json["id"] for answer in answers}
        self.assertEqual(1, len(whole))
        for run in (begun.json["id"], *whole):
            cell.settled(run)
        for disturb in (lambda: None, self.daemon.restart):
            disturb()
            for how in ({"from": "a"}, {"from": ordinal}, {"from": ordinal, "upgrade": True}):  # That step, by whatever name.
                answer = again("one", **how)
                self.assertEqual((200, begun.json["id"]), (answer.status, answer.json.get("id")), answer)
            self.assertEqual(whole, {again("two").json["id"]})
            for answer in (again("one"), again("one", **{"from": "rollback a"}), again("two", **{"from": "a"}), again("two", from_end=True),
                           again("one", run=begun.json["id"], **{"from": "a"}),
                           cell.call("POST", "/runs", {"method": "named"}, {"Idempotency-Key": "one"})):
                self.assertEqual((409, "idempotency_key_reused"), code(answer), answer)
        first = cell.call("POST", "/runs", {"method": "named"}, {"Idempotency-Key": "three"}).json["id"]
        cell.settled(first)
        self.assertEqual((409, "idempotency_key_reused"), code(again("three")))
        self.assertEqual((400, "invalid_header"), code(again("k" * 257)))
        self.assertEqual(4, len(cell.call("GET", "/runs").json["runs"]))  # Nothing that was refused has begun one.
