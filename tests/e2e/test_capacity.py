"""A machine that is short of memory: who is idle hibernates, who runs stays, who comes waits and is told so."""
import harness

MORE_THAN_THERE_IS = str(1 << 60)
AGENT = "module.exports = { add(ctx, { a, b }) { return a + b; }, async nap(ctx) { return await ctx.waitForEvent('n', { type: 'go' }); } };"


class CapacityTest(harness.CellTest):
    options = ("--run-suspend-after-ms", "50")

    def restart_with(self, *options):
        self.daemon.stop()
        self.daemon.options[:] = [*self.options, "--warm-agents", "0", *options]
        self.daemon.start()

    def setUp(self):
        super().setUp()
        self.addCleanup(self.restart_with)

    def refused(self, answer):
        self.assertEqual((503, "no_capacity", True), (answer.status, answer.json["code"], answer.json["retryable"]), answer)
        self.assertGreater(int(answer.headers["Retry-After"]), 0)

    def test_who_is_idle_makes_room_and_who_comes_is_told_to_wait(self):
        first, second, busy, permanent = (self.cell(name) for name in ("first", "second", "busy", "permanent"))
        for cell in (second, first, permanent):
            cell.exec("true")
            cell.call("POST", "/pause")
        permanent.call("POST", "/resume")
        permanent.call("POST", "/permanent", {"permanent": True})
        self.restart_with("--memory-reserve-bytes", MORE_THAN_THERE_IS)
        harness.eventually("both are hibernated", lambda: {first.get()["state"], second.get()["state"]} == {"hibernated"} or None)
        self.assertEqual("active", permanent.get()["state"])
        self.assertEqual("ok\n", permanent.exec("echo ok")["stdout"])
        log = self.daemon.log()
        # It was used earlier, as the daemon before has noted.
        self.assertLess(log.index(f"{second.id} is hibernated"), log.index(f"{first.id} is hibernated"))
        for cell in (first, busy):  # One that was hibernated, and one that never ran.
            self.refused(cell.call("POST", "/exec", {"cmd": "true"}))
        self.restart_with()
        self.assertEqual("ok\n", first.exec("echo ok")["stdout"])
        self.assertEqual("ok\n", busy.exec("echo ok")["stdout"])

    def test_a_run_whose_event_has_come_waits_for_room_and_no_attempt_is_counted(self):
        cell = self.cell("naps", agent=AGENT)
        naps = [cell.call("POST", "/runs", {"method": "nap"}).json["id"] for _ in range(2)]
        for nap in naps:
            harness.eventually("it waits", lambda: cell.run(nap)["status"] == "waiting")
        harness.eventually("it is hibernated", lambda: cell.call("POST", "/hibernate").status == 200)
        self.restart_with("--memory-reserve-bytes", MORE_THAN_THERE_IS)
        self.refused(cell.call("POST", "/runs", {"method": "add", "params": {"a": 1, "b": 2}}))
        for nap in naps:
            self.assertEqual(200, cell.call("POST", f"/runs/{nap}/events", {"type": "go", "payload": "slept"}).status)
            harness.eventually("it waits for room", lambda: cell.run(nap).get("reason") == "no_capacity")
        attempt = cell.run(naps[0])["attempt"]
        self.assertEqual(200, cell.call("POST", f"/runs/{naps[1]}/cancel").status)
        self.assertEqual("cancelled", cell.settled(naps[1])["status"])
        self.restart_with()
        settled = cell.settled(naps[0])
        self.assertEqual(("slept", "completed", attempt + 1), (settled["result"], settled["status"], settled["attempt"]))

    def test_a_disk_that_is_short_takes_no_new_cell_and_keeps_the_ones_it_has(self):
        cell = self.cell("old")
        self.restart_with("--disk-reserve-bytes", MORE_THAN_THERE_IS)
        self.refused(self.daemon.call("POST", "/api/v1/cells", {"customer_id": "new"}))
        self.assertEqual(200, self.daemon.call("POST", "/api/v1/cells", {"customer_id": "old"}).status)
        self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])
        self.assertNotIn("new", [c["customer_id"] for c in self.daemon.get("/api/v1/cells").json["cells"]])
