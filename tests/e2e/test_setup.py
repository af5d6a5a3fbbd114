"""setup() is done once, whoever begins, pauses, resumes or restarts a run meanwhile."""
import concurrent.futures

import harness

AGENT = """
const fs = require("fs");
const log = (line) => fs.appendFileSync("/work/log", line + "\\n");
const gate = async (name) => { while (!fs.existsSync("/work/" + name)) await new Promise((r) => setTimeout(r, 5)); };
// Until then no run of it has begun with anything.
while (fs.existsSync("/work/locked")) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
module.exports = {
  async setup(ctx) {
    if (fs.existsSync("/work/asks")) await ctx.step("licence", () => { log("licence"); return gate("gate"); }, { onInterrupt: "ask" });
    if (!fs.existsSync("/work/installs")) return;
    await ctx.step("first", () => log("first"));
    if (fs.existsSync("/work/fails")) throw new Error("no network");
    await ctx.step("install", async () => { log("install"); await gate("gate"); });
  },
  async plain() { return "plain"; },
  async approves(ctx) { return (await ctx.approve("deploy")).by; },
};
"""


class SetupTest(harness.CellTest):
    options = ("--run-suspend-after-ms", "50")

    def begin(self, cell, method):
        answer = cell.call("POST", "/runs", {"method": method, "params": {}})
        self.assertEqual(202, answer.status, answer)
        return answer.json["id"]

    def paused_before_it_began(self, cell, method):
        """A run that has done nothing yet; another one begins with setup()."""
        cell.call("PUT", "/files/locked", b"")
        cell.call("PUT", "/files/installs", b"")
        run = self.begin(cell, method)
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/pause").status)
        self.assertEqual([], cell.run(run)["steps"])
        cell.call("DELETE", "/files/locked")
        other = self.begin(cell, "plain")
        self.reaches(cell, "install")
        return run, other

    def test_setup_that_is_paused_is_not_done_a_second_time(self):
        cell = self.cell(agent=AGENT)
        cell.call("PUT", "/files/asks", b"")
        run = cell.call("POST", "/runs", {"method": "plain", "params": {}}).json["id"]
        self.reaches(cell, "licence")
        cell.kill_agent()
        self.assertEqual("ambiguous_step", cell.settled(run)["reason"])
        for answer in (cell.request("plain"), cell.call("POST", "/runs", {"method": "plain", "params": {}}),
                       cell.call("POST", f"/runs/{run}/restart", {})):
            self.assertEqual((409, "setup_paused"), (answer.status, answer.json["code"]), answer)
        self.assertEqual(["licence"], self.log(cell))
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume", {"step": {"decision": "value", "value": 1}}).status)
        self.assertEqual("plain", cell.settled(run)["result"])
        self.assertEqual("plain", cell.request("plain").json)
        self.assertEqual(["licence"], self.log(cell))

    def test_a_run_that_was_paused_before_it_began_skips_what_another_has_done(self):
        cell = self.cell(agent=AGENT)
        run, other = self.paused_before_it_began(cell, "approves")
        cell.call("PUT", "/files/gate", b"")
        self.assertEqual("plain", cell.settled(other)["result"])
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)
        harness.eventually("it asks", lambda: cell.run(run)["status"] == "waiting")
        self.daemon.restart()  # And it does so on replay.
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/approve", {"approved": True, "by": "ada"}).status)
        self.assertEqual("ada", cell.settled(run).get("result"))
        self.assertEqual(["first", "install"], self.log(cell))

    def test_one_that_is_resumed_while_another_does_it_waits_for_that(self):
        cell = self.cell(agent=AGENT)
        run, other = self.paused_before_it_began(cell, "plain")
        with concurrent.futures.ThreadPoolExecutor(1) as clients:
            resumed = clients.submit(cell.call, "POST", f"/runs/{run}/resume")
            self.assertEqual(409, cell.call("POST", f"/runs/{other}/resume").status)  # That was taken after the other.
            self.assertEqual("paused", cell.run(run)["status"])
            cell.call("PUT", "/files/gate", b"")
            self.assertEqual(200, resumed.result().status)
        self.assertEqual(["plain", "plain"], [cell.settled(each)["result"] for each in (run, other)])
        self.assertEqual(["first", "install"], self.log(cell))

    def test_nor_does_a_restart_from_one_of_its_steps_do_it_again(self):
        cell = self.cell(agent=AGENT)
        for name in ("installs", "fails"):
            cell.call("PUT", f"/files/{name}", b"")
        failed = self.begin(cell, "plain")
        self.assertEqual("failed", cell.settled(failed)["status"])
        cell.call("DELETE", "/files/fails")
        other = self.begin(cell, "plain")
        self.reaches(cell, "install")
        with concurrent.futures.ThreadPoolExecutor(1) as clients:
            restarted = clients.submit(cell.call, "POST", f"/runs/{failed}/restart", {"from": "first"})
            cell.call("PUT", "/files/gate", b"")
            answer = restarted.result()
        self.assertEqual((409, "setup_done"), (answer.status, answer.json["code"]), answer)
        self.assertEqual("plain", cell.settled(other)["result"])
        self.assertEqual(["first", "first", "install"], self.log(cell))
        again = cell.call("POST", f"/runs/{failed}/restart", {})
        self.assertEqual("plain", cell.settled(again.json["id"])["result"])
        self.assertEqual(["first", "first", "install"], self.log(cell))
