"""What is refused leaves nothing half-done, and tells nothing that is not on disk."""
import datetime
import threading

import harness

AGENT = """
const fs = require("fs");
module.exports = {
  async asks(ctx) {
    return ctx.step("pay", () => { fs.appendFileSync("/work/log", "pay "); return new Promise(() => {}); }, { onInterrupt: "ask" });
  },
  async approves(ctx) { return ctx.approve("ok", { prompt: "?" }); },
  async waits(ctx) { return ctx.waitForEvent("go"); },
  async spawns(ctx) { try { await ctx.spawn("waits", { x: "y".repeat(135e6) }); } catch (e) { return e.code; } },
  async steps(ctx, { count }) { for (let i = 0; i < count; i += 1) await ctx.step("s", () => "v".repeat(60_000)); return "done"; },
  async large(ctx) { return "v".repeat(80_000); },
  async undone(ctx) {
    await ctx.step("a", () => 1, { rollback: async () => { while (!fs.existsSync("/work/gate")) await new Promise((r) => setTimeout(r, 5)); } });
    await ctx.waitForEvent("go");
  },
  async leads(ctx) { await ctx.spawn("undone"); await ctx.waitForEvent("go"); },
  async parent(ctx) {
    const child = await ctx.spawn("large");
    await ctx.waitForEvent("go");
    return (await child.result()).length;
  },
  async soon(ctx) {
    const [event] = await Promise.all([
      ctx.waitForEvent("go", { timeout: 1500 }),
      (async () => { await ctx.step("a", () => new Promise((done) => setTimeout(done, 300))); await ctx.step("b", () => 1); })()]);
    return event.length;
  },
};
"""
LARGE = "x" * 70_000


class RefusalsTest(harness.CellTest):
    daemon_class = harness.FaultyDaemon

    def begin(self, cell, method, status, **params):
        run = cell.call("POST", "/runs", {"method": method, "params": params}).json["id"]
        harness.eventually(f"it is {status}", lambda: cell.run(run)["status"] == status)
        return run

    def test_a_decision_that_cannot_be_kept_is_refused_and_can_be_made_again(self):
        cell = self.cell(agent=AGENT)
        run = self.begin(cell, "asks", "running")
        harness.eventually("it is executed", lambda: (cell.dir / "work/log").exists())
        cell.kill_agent()
        harness.eventually("it is paused", lambda: cell.run(run)["status"] == "paused")
        decision = {"step": {"decision": "value", "value": LARGE}}
        self.daemon.plan("blob.before_write 1 errno=28")
        refused = cell.call("POST", f"/runs/{run}/resume", decision)
        self.assertEqual((507, "journal_full"), (refused.status, refused.json["code"]))
        self.assertEqual("paused", cell.run(run)["status"])
        self.daemon.plan()
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume", decision).status)
        self.assertEqual(LARGE, cell.settled(run)["result"])
        self.assertEqual("pay ", (cell.dir / "work/log").read_text())

    def test_an_approval_that_cannot_be_kept_is_refused_and_can_be_given_again(self):
        cell = self.cell(agent=AGENT)
        run = self.begin(cell, "approves", "waiting")
        answer = {"approved": True, "comment": LARGE}
        self.daemon.plan("blob.before_write 1 errno=28")
        refused = cell.call("POST", f"/runs/{run}/approve", answer)
        self.assertEqual((507, "journal_full"), (refused.status, refused.json["code"]))
        self.assertEqual("waiting", cell.run(run)["status"])
        self.daemon.plan()
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/approve", answer).status)
        self.assertEqual(LARGE, cell.settled(run)["result"]["comment"])

    def test_a_conflict_is_told_once_what_it_tells_of_is_on_disk(self):
        cell = self.cell(agent=AGENT)
        run = self.begin(cell, "waits", "waiting")
        hits = self.daemon.root / "faults.hits"
        before = hits.read_text().count("journal.before_write") if hits.exists() else 0
        self.daemon.plan("journal.before_write 1 delay=1500")
        first = threading.Thread(target=lambda: cell.call("POST", f"/runs/{run}/pause"))
        first.start()
        harness.eventually("it is on its way", lambda: hits.read_text().count("journal.before_write") > before)
        second = cell.call("POST", f"/runs/{run}/pause")
        self.assertEqual((409, "run_paused"), (second.status, second.json.get("code")), second)
        self.daemon.kill()
        first.join()
        self.daemon.plan()
        self.daemon.start()
        self.assertEqual("paused", cell.run(run)["status"])

    def test_what_is_too_large_takes_no_room_and_the_cell_opens_again(self):
        cell = self.cell(agent=AGENT)
        answer = cell.request("spawns")
        self.assertEqual((200, "record_too_large"), (answer.status, answer.json))
        self.assertEqual("done", cell.request("steps", {"count": 90}).json)
        sizes = [path.stat().st_size for path in (cell.dir / "journal").iterdir() if path.is_file()]
        self.assertLess(max(sizes), 8 << 20)
        self.daemon.restart()
        self.assertEqual("done", cell.request("steps", {"count": 1}).json)

    def test_a_wait_whose_value_could_not_be_read_is_looked_at_again(self):
        cell = self.cell(agent=AGENT)
        run = self.begin(cell, "parent", "waiting")
        child = next(each["id"] for each in cell.call("GET", "/runs").json["runs"] if each["method"] == "large")
        cell.settled(child)
        blob, = [path for path in (cell.dir / "journal/blobs").rglob("*") if path.is_file()]
        blob.rename(cell.dir / "aside")
        cell.call("POST", f"/runs/{run}/events", {"type": "go"})
        harness.eventually("it was looked for", lambda: "is looked at again" in self.daemon.log())
        (cell.dir / "aside").rename(blob)
        self.assertEqual(80_000, cell.settled(run)["result"])

    def test_an_event_that_came_in_time_came_in_time_for_a_restart_too(self):
        cell = self.cell(agent=AGENT)
        run = cell.call("POST", "/runs", {"method": "soon"}).json["id"]
        cell.call("POST", f"/runs/{run}/events", {"type": "go", "payload": "p" * 900_000})
        self.assertEqual(900_000, cell.settled(run)["result"])
        wait = next(step for step in cell.run(run)["steps"] if step["kind"] == "wait")
        harness.eventually("its time is over", lambda: self.is_over(wait))
        again = cell.call("POST", f"/runs/{run}/restart", {"from": "b"}).json["id"]
        self.assertEqual(900_000, cell.settled(again)["result"])

    def test_a_cancel_with_rollback_that_meets_a_pause_in_one_write_is_told_as_what_it_is(self):
        cell = self.cell(agent=AGENT)
        run, other = self.begin(cell, "undone", "waiting"), self.begin(cell, "waits", "waiting")
        self.daemon.plan("journal.before_sync 1 delay=1500")
        hit = f"/runs/{run}"
        calls = [threading.Thread(target=cell.call, args=call) for call in (
            ("POST", f"/runs/{other}/events", {"type": "none"}), ("POST", f"{hit}/pause"),
            ("POST", f"{hit}/cancel", {"rollback": True}))]
        calls[0].start()
        harness.eventually("it is written", lambda: self.daemon.reached("journal.before_sync"))
        calls[1].start()
        harness.eventually("it is to be paused", lambda: cell.run(run)["status"] == "paused")
        calls[2].start()
        harness.eventually("it rolls back", lambda: cell.run(run).get("reason") == "rollback")
        self.assertEqual("running", cell.run(run)["status"])
        paused = cell.call("POST", f"{hit}/pause")
        self.assertEqual((200, "paused"), (paused.status, paused.json["status"]), paused)
        self.assertEqual(200, cell.call("POST", f"{hit}/resume").status)
        cell.call("PUT", "/files/gate", b"")
        self.assertEqual("cancelled", cell.settled(run)["status"])
        for call in calls:
            call.join()

    def test_a_child_that_was_paused_in_its_rollback_is_undone_with_its_parent(self):
        cell = self.cell(agent=AGENT)
        parent = self.begin(cell, "leads", "waiting")
        child = cell.runs()[0]["id"]
        self.assertEqual(parent, cell.run(child)["parent"])
        harness.eventually("it waits", lambda: cell.run(child)["status"] == "waiting")
        cancel = threading.Thread(target=cell.call, args=("POST", f"/runs/{child}/cancel", {"rollback": True}))
        cancel.start()
        harness.eventually("it rolls back", lambda: cell.run(child).get("reason") == "rollback")
        self.assertEqual("paused", cell.call("POST", f"/runs/{child}/pause").json["status"])
        cell.call("PUT", "/files/gate", b"")
        self.assertEqual(200, cell.call("POST", f"/runs/{parent}/cancel", {"rollback": True}).status)
        cancel.join()
        settled = cell.settled(child)
        self.assertEqual(("cancelled", ["a"]), (settled["status"], settled["error"]["rollback"]["done"]))

    @staticmethod
    def is_over(wait):
        began = datetime.datetime.fromisoformat(wait["started_at"].replace("Z", "+00:00"))
        return datetime.datetime.now(datetime.timezone.utc) > began + datetime.timedelta(seconds=1.6)
