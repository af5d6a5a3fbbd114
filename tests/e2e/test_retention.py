"""Runs that ended long ago are removed, with the files of their values, and nothing else is."""
import datetime

import harness

AGENT = """
module.exports = {
  async blob(ctx) { return (await ctx.step("value", () => "b".repeat(70000))).length; },
  async large(ctx) { return ctx.step("value", () => "l".repeat(60000)); },
  async waits(ctx) { return ctx.waitForEvent("go"); },
};
"""
MONTH_S = 30 * 86400


def started(cell, method, key=None):
    headers = {"Idempotency-Key": key} if key else None
    return cell.call("POST", "/runs", {"method": method}, headers).json["id"]


class RetentionTest(harness.CellTest):
    options = ("--run-suspend-after-ms", "100")

    def fill(self, cell):
        """Runs that end, one with a blob first, over three segments, and one that waits: the first and the last id."""
        first = started(cell, "blob", "key")
        self.assertEqual(70000, cell.settled(first)["result"])
        for _ in range(5):
            cell.settled(started(cell, "large"))
        last = started(cell, "waits")
        harness.eventually("it waits", lambda: cell.run(last)["status"] == "waiting")
        return first, last

    def hibernate(self, cell):
        harness.eventually("it hibernates", lambda: cell.call("POST", "/hibernate").status == 200)

    def blobs(self, cell):
        return list((cell.dir / "journal/blobs").glob("*/*"))

    def test_runs_that_ended_before_are_removed_while_nobody_uses_the_cell(self):
        cell = self.cell(agent=AGENT, run_retention_s=1)
        first, last = self.fill(cell)
        self.assertEqual(1, len(self.blobs(cell)))

        ended = datetime.datetime.fromisoformat(max(run.get("ended_at", "") for run in cell.runs()))
        harness.eventually("all are of age", lambda: (datetime.datetime.now(datetime.UTC) - ended).total_seconds() > 1)
        self.hibernate(cell)
        answer = cell.call("GET", f"/runs/{first}")
        self.assertEqual((404, "run_removed"), (answer.status, answer.json["code"]))
        self.assertIn("run_retention_s", answer.json["error"])
        self.assertEqual("run_not_found", cell.call("GET", "/runs/run_0011223344556677").json["code"])
        for path in ("/await", "/events"):
            self.assertEqual(404, cell.call("GET", f"/runs/{first}{path}").status)
        self.assertEqual(404, cell.call("POST", f"/runs/{first}/cancel", {}).status)
        self.assertEqual([], self.blobs(cell))
        told = cell.call("GET", "/events?after=1").json
        self.assertEqual([True, "run.started"], [told["stale"], told["events"][0]["type"]])
        stale = next(iter(self.daemon.stream("GET", cell.path + "/events?after=1")))
        self.assertEqual(("stale", {"after": 1}), (stale.type, stale.json["data"]))
        self.assertLess(stale.id, told["events"][0]["seq"])
        self.assertNotIn("00000000000000000001.seg", [path.name for path in (cell.dir / "journal").iterdir()])

        self.daemon.create(cell.fields["customer_id"], run_retention_s=0)  # Others come of age meanwhile.
        listed = cell.runs()
        self.assertEqual(last, listed[0]["id"])
        self.assertNotIn(first, [run["id"] for run in listed])
        self.daemon.restart()
        self.assertEqual(listed, cell.runs())
        cell.call("POST", f"/runs/{last}/events", {"type": "go", "payload": 7})
        self.assertEqual(7, cell.settled(last)["result"])
        again = started(cell, "blob", "key")  # The key was that of the run that is gone.
        self.assertEqual(70000, cell.settled(again)["result"])
        self.assertGreater(int(again.split("_")[1]), int(last.split("_")[1]))

    def test_runs_are_kept_where_nobody_lets_them_go(self):
        cell = self.cell(agent=AGENT)
        self.assertEqual(MONTH_S, cell.get()["run_retention_s"])
        first, _ = self.fill(cell)
        self.hibernate(cell)
        self.daemon.restart()
        self.assertEqual(200, cell.call("GET", f"/runs/{first}").status)
        self.daemon.create(cell.fields["customer_id"], run_retention_s=0)
        self.assertEqual(0, cell.get()["run_retention_s"])
        refused = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "x", "run_retention_s": -1})
        self.assertEqual(400, refused.status)
