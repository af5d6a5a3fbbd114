"""Cells that are paused while their runs wait: what these wait for brings them back, through kills of the daemon as well."""
import harness

AGENT = """
module.exports = {
  event: (ctx) => ctx.waitForEvent("go"),
  approval: async (ctx) => (await ctx.approve("go")).approved,
  sleep: (ctx) => ctx.sleep(1000).then(() => true),
};
"""
GIVES = {"event": lambda cell, run: cell.call("POST", f"/runs/{run}/events", {"id": "e1", "type": "go", "payload": True}),
         "approval": lambda cell, run: cell.call("POST", f"/runs/{run}/approve", {"approved": True}), "sleep": lambda cell, run: None}


class Woken:
    def waits_paused(self, method):
        cell, run = self.begin(AGENT, method)
        harness.eventually("it waits", lambda: cell.run(run)["status"] in ("waiting", "completed"))
        self.leaves()
        self.assertEqual(200, cell.call("POST", "/pause").status)
        return cell, run

    def test_what_a_run_waits_for_wakes_its_cell(self):
        for method, give in GIVES.items():
            with self.subTest(method):
                cell, run = self.waits_paused(method)
                give(cell, run)
                self.assertIs(True, cell.settled(run)["result"])

    def test_so_it_does_where_the_daemon_dies_as_it_wakes_it(self):
        for method in ("event", "approval"):
            for point in ("cell.before_resume", "journal.after_sync", "attempt.before_agent"):
                with self.subTest(method=method, point=point):
                    cell, run = self.waits_paused(method)
                    self.daemon.plan(f"{point} 1 kill")
                    self.give_unanswered(GIVES[method], cell, run)
                    self.daemon.kill()  # Where it did not come to that.
                    self.daemon.plan()
                    self.daemon.start()
                    GIVES[method](cell, run)  # As it may not be on disk; nobody asks the cell for anything else.
                    self.assertIs(True, cell.settled(run)["result"])

    def give_unanswered(self, give, cell, run):
        try:
            give(cell, run)
            harness.eventually("it dies, or the run ends", lambda: self.daemon.process.poll() is not None or cell.run(run)["status"] == "completed")
        except OSError:
            pass


class InTheAgentTest(Woken, harness.CellTest):
    """The run is in the agent's process, which stands still."""

    daemon_class = harness.FaultyDaemon
    options = ("--run-suspend-after-ms", "600000")

    def leaves(self):
        pass


class OutOfTheAgentTest(Woken, harness.CellTest):
    """The run has left the agent's process."""

    daemon_class = harness.FaultyDaemon
    options = ("--run-suspend-after-ms", "100")

    def begin(self, agent, method, **params):
        self.left_before = self.count_left()
        return super().begin(agent, method, **params)

    def count_left(self):
        hits = self.daemon.root / "faults.hits"
        return hits.read_text().split().count("run.suspended") if hits.exists() else 0

    def leaves(self):
        harness.eventually("it leaves the agent", lambda: self.count_left() > self.left_before)
