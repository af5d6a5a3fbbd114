"""What keeps a cell awake, for how long, and that nothing else does."""
import datetime
import json
import os
import resource
import time

import harness

# Its method returns at once; what it left behind goes on in the agent host.
AGENT = """module.exports = {
  work(ctx) { this.timer = setInterval(() => { const end = Date.now() + 40; while (Date.now() < end); }, 50); return 1; },
  rest(ctx) { clearInterval(this.timer); return 1; },
  async hang(ctx) { await new Promise((resolve) => setTimeout(resolve, 1e9)); },
};"""


def kinds(cell):
    return [blocker["kind"] for blocker in cell.get()["idle"]["blockers"]]


class IdleTest(harness.CellTest):
    def test_an_idle_cell_pauses_by_itself_and_a_busy_one_does_not(self):
        cell, busy, permanent = (self.cell("idle", idle_timeout_s=1), self.cell("busy", idle_timeout_s=1),
                                 self.cell("always", idle_timeout_s=1, permanent=True))
        stream = self.daemon.stream("POST", busy.path + "/exec", {"cmd": "echo go; sleep 1000"})
        next(iter(stream))
        harness.eventually("the idle cell pauses", lambda: cell.get()["status"] == "paused")
        self.assertEqual("command", busy.get()["idle"]["blockers"][0]["kind"])
        self.assertEqual(["active", "active"], [busy.get()["status"], permanent.get()["status"]])
        stream.close()
        self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])

    def test_processes_at_work_keep_a_cell_awake_and_idle_ones_do_not(self):
        cell, idle = self.cell("work", agent=AGENT, idle_timeout_s=2), self.cell("server", agent=AGENT, idle_timeout_s=2)
        self.assertEqual(200, idle.request("rest").status)  # Its agent host runs from now on, and does nothing.
        self.assertEqual(200, cell.request("work").status)
        harness.eventually("the idle server's cell pauses", lambda: idle.get()["state"] == "paused")
        harness.eventually("it is seen at work", lambda: kinds(cell) == ["processes"])
        blocker, = cell.get()["idle"]["blockers"]
        self.assertRegex(blocker["detail"], r"^they use \d+ % of a processor$")
        self.assertLess(blocker["since"], harness.now_iso())
        self.assertEqual("active", cell.get()["state"])
        self.assertEqual(200, cell.request("rest").status)
        harness.eventually("it pauses once they rest", lambda: cell.get()["state"] == "paused")
        self.assertEqual([], kinds(cell))

    def test_processes_at_work_do_not_keep_a_cell_from_hibernating_when_it_is_told_to(self):
        cell = self.cell("told", agent=AGENT, idle_timeout_s=2)
        cell.request("work")
        harness.eventually("it is seen at work", lambda: kinds(cell) == ["processes"])
        self.assertEqual("hibernated", cell.call("POST", "/hibernate").json["state"])
        self.assertEqual([], kinds(cell))
        cell.request("work")
        harness.eventually("it is seen at work", lambda: kinds(cell) == ["processes"])
        cell.call("POST", "/permanent", {"permanent": True})
        harness.eventually("nobody measures a cell that never pauses", lambda: kinds(cell) == ["permanent"])

    def test_timers_outlive_a_moment_in_which_the_daemon_can_open_no_file(self):
        cell = self.cell("timers", idle_timeout_s=1)
        cell.exec("true")
        pid, limits = self.daemon.process.pid, resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        harness.eventually("it is told", lambda: "/proc/meminfo: Too many open files" in self.daemon.log())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        harness.eventually("it pauses", lambda: cell.get()["state"] == "paused")


class SlowTest(harness.CellTest):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise harness.unittest.SkipTest("needs root: cells are made of namespaces and mounts")
        cls.daemon = harness.FaultyDaemon()
        cls.addClassCleanup(cls.daemon.cleanup)

    def test_a_cell_that_is_slow_holds_up_no_other_one(self):
        cells = [self.cell(name, idle_timeout_s=1) for name in ("one", "other")]
        for cell in cells:
            cell.exec("true")
        began = time.monotonic()
        (self.daemon.root / "faults").write_text("cell.reading_cpu 1 delay=6000\n")
        states = lambda: sorted(cell.get()["state"] for cell in cells)
        harness.eventually("one of them pauses, the other is still being looked at", lambda: states() == ["active", "paused"])
        self.assertLess(time.monotonic() - began, 6)
        (self.daemon.root / "faults").write_text("")


class LastUseTest(harness.CellTest):
    options = ("--hibernate-after-s", "60")

    def test_a_paused_cell_hibernates_when_it_would_have_without_a_restart_of_the_daemon(self):
        old, new = self.cell("old"), self.cell("new")
        for cell in (old, new):
            cell.exec("true")
            cell.call("POST", "/pause")
        self.daemon.stop()
        note = old.dir / "run/last_use.json"
        noted = json.loads(note.read_text())
        self.assertLess(abs(noted["quiet_since_boot_ms"] - 1000 * time.monotonic()), 1000 * harness.WAIT_S)
        note.write_text(json.dumps(noted | {"quiet_since_boot_ms": max(0, noted["quiet_since_boot_ms"] - 60_000)}))
        self.daemon.start()
        harness.eventually("the one that was used a minute ago is hibernated", lambda: old.get()["state"] == "hibernated")
        self.assertEqual("paused", new.get()["state"])


class LeaseTest(harness.CellTest):
    def test_a_lease_keeps_a_cell_awake_over_restarts_until_it_ends(self):
        cell, other = self.cell("leased", idle_timeout_s=1), self.cell("other", idle_timeout_s=1)
        cell.exec("true")
        other.exec("true")
        answer = cell.call("POST", "/keep-alive", {"seconds": 3600})
        self.assertEqual((200, ["lease"]), (answer.status, [b["kind"] for b in answer.json["idle"]["blockers"]]))
        harness.eventually("the other one pauses", lambda: other.get()["state"] == "paused")
        self.daemon.restart()
        other.exec("true")
        harness.eventually("the other one pauses again", lambda: other.get()["state"] == "paused")
        self.assertEqual(("active", ["lease"]), (cell.get()["state"], kinds(cell)))
        self.assertNotIn("pauses_at", cell.get()["idle"])
        # A shorter one replaces it; then the idle timeout begins.
        cell.call("POST", "/keep-alive", {"seconds": 1})
        harness.eventually("the leased one pauses", lambda: cell.get()["state"] == "paused")
        self.assertEqual([], kinds(cell))

    def test_a_lease_wakes_a_cell_and_is_given_back_with_zero(self):
        cell = self.cell("woken", idle_timeout_s=1)
        cell.exec("true")
        cell.call("POST", "/pause")
        self.assertEqual("active", cell.call("POST", "/keep-alive", {"seconds": 86400}).json["state"])
        self.assertEqual([], cell.call("POST", "/keep-alive", {"seconds": 0}).json["idle"]["blockers"])
        harness.eventually("it pauses", lambda: cell.get()["state"] == "paused")

    def test_a_lease_that_is_none_is_refused_by_name(self):
        cell = self.cell("refused")
        for body in ({}, {"seconds": -1}, {"seconds": 86401}, {"seconds": "60"}, {"seconds": 1.5}):
            with self.subTest(body):
                answer = cell.call("POST", "/keep-alive", body)
                self.assertEqual(400, answer.status)
                self.assertIn("seconds", answer.json["error"])


class WakeAtTest(harness.CellTest):
    def wake(self, cell, seconds):
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        answer = cell.call("POST", "/wake-at", {"at": at.isoformat()})
        self.assertEqual(200, answer.status, answer)
        return answer.json

    def test_a_cell_wakes_at_its_time_once_whatever_its_state(self):
        paused, hibernated = (self.cell(name) for name in ("frozen", "gone"))
        stream = self.daemon.stream("POST", paused.path + "/exec", {"cmd": "echo up; exec sleep 1000"})
        self.addCleanup(stream.close)
        next(iter(stream))
        hibernated.exec("true")
        paused.call("POST", "/pause")
        hibernated.call("POST", "/hibernate")
        for cell in (paused, hibernated):
            shown = self.wake(cell, 0.2)
            self.assertIn("wake_at", shown)
            self.assertNotEqual("active", shown["state"])  # The call itself wakes nobody.
        for cell, origin in ((paused, "memory"), (hibernated, "disk")):
            awake = harness.eventually("it wakes", lambda: (c := cell.get())["state"] == "active" and "wake_at" not in c and c)
            self.assertEqual(origin, awake["resume"]["from"])
        paused.call("POST", "/pause")
        self.assertEqual("paused", paused.get()["state"])

    def test_a_time_outlives_the_daemon_and_one_that_passed_meanwhile_is_kept(self):
        later, passed = (self.cell(name) for name in ("later", "passed"))
        for cell in (later, passed):
            cell.call("POST", "/hibernate")
        shown = self.wake(later, 3600)["wake_at"]
        self.wake(passed, 0.5)
        self.daemon.kill()  # Within a second: its timers have not run, or have done it already.
        self.daemon.start()
        harness.eventually("it wakes", lambda: passed.get()["state"] == "active" and "wake_at" not in passed.get())
        self.assertEqual((shown, "hibernated"), (later.get()["wake_at"], later.get()["state"]))
        self.assertNotIn("wake_at", later.call("POST", "/wake-at", {"at": None}).json)

    def test_a_time_that_is_none_is_refused_by_name(self):
        cell = self.cell("untimely")
        for at in ({}, {"at": ""}, {"at": "tomorrow"}, {"at": 1700000000}, {"at": "2023-11-14T22:13:20"}, {"at": "2999-01-01T00:00:00Z"}):
            with self.subTest(at):
                answer = cell.call("POST", "/wake-at", at)
                self.assertEqual((400, True), (answer.status, '"at" must be' in answer.json["error"]), answer)
        self.assertNotIn("wake_at", cell.get())


class MaxAwakeTest(harness.CellTest):
    def test_a_run_that_hangs_does_not_keep_its_cell_awake_for_ever(self):
        cell = self.cell("wedged", agent=AGENT, idle_timeout_s=1, max_awake_s=2)
        stream = self.daemon.stream("POST", cell.path + "/exec", {"cmd": "echo go; sleep 1000"})
        events = iter(stream)
        next(events)
        run_id = cell.call("POST", "/runs", {"method": "hang"}).json["id"]
        self.assertIn("stops_at", cell.get()["idle"])
        harness.eventually("it is stopped", lambda: cell.get()["state"] == "hibernated")
        run = cell.run(run_id)
        self.assertEqual(("paused", "max_awake"), (run["status"], run["reason"]))
        self.assertIn("max_awake_s", json.dumps(run["detail"]))
        end = list(events)[-1]  # The command has a definite end.
        self.assertEqual(("exit", True, "max_awake"), (end.type, end.json["lost"], end.json["lost_by"]))
        self.assertFalse(cell.processes())
        self.assertIn("is stopped", self.daemon.log())
        # Nothing is lost: the run goes on when its owner says so.
        self.assertEqual(200, cell.call("POST", f"/runs/{run_id}/resume").status)
        self.assertEqual("running", cell.run(run_id)["status"])
        self.assertEqual(200, cell.call("POST", f"/runs/{run_id}/cancel").status)

    def test_whoever_asks_a_cell_for_something_moves_the_limit(self):
        cell = self.cell("asked", max_awake_s=3600)
        cell.exec("true")
        before = cell.get()["idle"]["stops_at"]
        cell.exec("true")
        self.assertLess(before, cell.get()["idle"]["stops_at"])
        self.assertNotIn("stops_at", self.cell("unlimited", max_awake_s=0).get()["idle"])


class PermanentTest(harness.CellTest):
    # It counts in a file how often its code was loaded.
    AGENTS = {"javascript": """require("fs").appendFileSync("/work/loads", "x"); setInterval(() => {}, 1000);
module.exports = { loads() { return require("fs").readFileSync("/work/loads", "utf8").length; } };""",
              "python": """open("/work/loads", "a").write("x")
def loads(ctx, params): return len(open("/work/loads").read())"""}

    def loads(self, cell):
        path = cell.dir / "work/loads"
        return len(path.read_text()) if path.exists() else 0

    def test_the_agent_of_a_permanent_cell_is_there_before_it_is_asked_and_comes_back(self):
        for language, agent in self.AGENTS.items():
            with self.subTest(language):
                cell = self.cell(f"permanent-{language}", agent=agent, agent_language=language, permanent=True)
                harness.eventually("it is loaded", lambda: self.loads(cell) == 1)
                cell.kill_processes("agent")
                harness.eventually("it is loaded again", lambda: self.loads(cell) == 2)
                self.daemon.restart()
                harness.eventually("the next daemon loads it", lambda: self.loads(cell) == 3)
                self.assertEqual(3, cell.request("loads").json)  # By the process that is there.
                cell.call("POST", "/permanent", {"permanent": False})
                cell.call("POST", "/hibernate")
                cell.call("POST", "/permanent", {"permanent": True})
                self.daemon.restart()  # As after a start of the machine: nothing of it runs.
                harness.eventually("it is woken for that", lambda: self.loads(cell) == 4)
                cell.call("DELETE")

    def test_an_agent_that_ends_at_once_is_started_less_and_less_often(self):
        cell = self.cell("loop", agent="require('fs').appendFileSync('/work/loads', 'x'); process.exit(1);", permanent=True)
        harness.eventually("it was started three times", lambda: self.loads(cell) >= 3)
        waits = [int(line.split(" in ")[-1].split()[0]) for line in self.daemon.log().splitlines() if f"{cell.id}: the agent of" in line]
        self.assertEqual([1, 2, 4], waits[:3])
        cell.call("DELETE")
