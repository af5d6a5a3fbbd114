"""docs/guide/durable-agents.md: its examples are executed, and do what the page says of them."""
import http.server
import json
import pathlib
import re
import signal
import threading
import urllib.parse

import harness

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/guide/durable-agents.md"
BLOCKS = re.findall(r"^```js\n(.*?)^```$", PAGE.read_text(), re.S | re.M)


def agent_with(method):
    """The one example of the page that has this method."""
    found = [block for block in BLOCKS if re.search(rf"^  async {method}\(", block, re.M)]
    assert len(found) == 1, (method, len(found))
    return found[0]


class Provider(http.server.ThreadingHTTPServer):
    """Takes money, mails and jobs. While it is held, it does what it is asked for and does not answer."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.made, self.answers = [], {}, []  # paths; key or number → what was made; statuses to fail with
        self.go_on, self.finished = threading.Event(), False
        self.go_on.set()

    def count(self, path):
        return sum(1 for asked, _ in self.asked if asked.startswith(path))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/transfers":
            return self.answer(200, list(self.server.made.values()))
        self.server.asked.append((self.path, None))
        self.server.go_on.wait(harness.WAIT_S)
        self.answer(200, {"status": "done" if self.server.finished else "running", "result": "a picture"})

    def do_POST(self):
        server = self.server
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key = self.headers.get("idempotency-key")
        server.asked.append((self.path, key))
        if server.answers:
            return self.answer(server.answers.pop(0), {})
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlparse(self.path).query))
        made = server.made.setdefault(key or len(server.made), {"id": f"made-{len(server.made)}"})
        if "amount" in query:
            made["amount"] = int(query["amount"])
        server.go_on.wait(harness.WAIT_S)
        self.answer(200, made)

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        try:
            self.wfile.write(text)
        except OSError:  # It was killed meanwhile.
            pass

    def log_message(self, *_):
        pass


class GuideTest(harness.CellTest):
    options = ("--run-suspend-after-ms", "50")

    def setUp(self):
        super().setUp()
        self.provider = Provider()
        self.addCleanup(self.provider.server_close)
        self.addCleanup(self.provider.shutdown)
        self.addCleanup(self.provider.go_on.set)
        threading.Thread(target=self.provider.serve_forever, daemon=True).start()

    def cell_with(self, method, customer=None):
        place = f"127.0.0.1:{self.provider.server_port}"
        return self.cell(customer, agent=agent_with(method), allow=[place], secrets={"PROVIDER": f"http://{place}"})

    def start(self, cell, method, **params):
        return cell.call("POST", "/runs", {"method": method, "params": params}).json["id"]

    def run_of(self, method, **params):
        cell = self.cell_with(method)
        return cell, self.start(cell, method, **params)

    def interrupted(self, method, path, **params):
        """A run whose agent was killed while the provider did what it asked for, and did not answer."""
        cell = self.cell_with(method)
        self.provider.go_on.clear()
        run = self.start(cell, method, **params)
        harness.eventually("the provider is asked", lambda: self.provider.count(path) > 0)
        cell.kill_agent()
        self.provider.go_on.set()
        return cell, run

    def put(self, cell, *names, body=b""):
        for name in names:
            cell.call("PUT", f"/files/{name}", body)

    def waits(self, cell, run):
        harness.eventually("the run waits", lambda: cell.run(run)["status"] == "waiting")

    def approve(self, cell, run, approved):
        """It may have to ask once more first: what is seen of a run is not always on disk yet."""
        harness.eventually("it takes the answer", lambda: cell.call("POST", f"/runs/{run}/approve", {"approved": approved}).status == 200)

    def executes(self, cell, run, name):
        harness.eventually(f"{name} is executed", lambda: any(step["name"] == name for step in cell.run(run)["steps"]))

    def completes(self, cell, run, result):
        ended = harness.eventually("the run ends", lambda: (now := cell.run(run))["status"] not in ("running", "waiting") and now)
        self.assertEqual(("completed", result), (ended["status"], ended.get("result")), ended)
        return ended

    def test_all_examples_of_the_page_are_known_here(self):
        methods = re.findall(r"^  async (\w+)\(", "".join(BLOCKS), re.M)
        self.assertEqual("release charge transferOrAsk transferOrLook render notify addRoute patch trip login review clock chance listing memory "
                         "environment branches forgotten collect ship deploy repeats".split(), methods)

    def test_a_run_goes_on_with_an_empty_history(self):
        cell, run = self.run_of("repeats")
        ended = self.completes(cell, run, "plan 2")
        self.assertEqual((3, ["plan", "check"]), (ended["generation"], [step["name"] for step in ended["steps"]]))

    def test_the_model_survives_the_host(self):
        cell = self.cell_with("release")
        self.put(cell, "test.sh", body=b"echo ran >> /work/log")
        run = self.start(cell, "release", version="1.0")
        self.waits(cell, run)
        before = cell.run(run)
        self.assertEqual("Release 1.0?", before["steps"][-1]["prompt"])
        self.daemon.kill()
        cell.kill_processes()  # as after a reboot
        self.daemon.start()
        self.approve(cell, run, True)
        ended = harness.eventually("it ends", lambda: (now := cell.run(run))["status"] == "completed" and now)
        self.assertEqual((True, ["test.sh"]), (ended["result"]["released"], ended["result"]["files"]))
        self.assertEqual(b"ran\n", cell.call("GET", "/files/log").body)
        self.assertEqual([1, 1, 1], [step["executed"] for step in ended["steps"]])

    def test_a_charge_is_one_however_often_it_is_asked_for(self):
        cell, run = self.interrupted("charge", "/charges", amount=5)
        self.completes(cell, run, "made-0")
        self.assertEqual((2, 1), (self.provider.count("/charges"), len({key for _, key in self.provider.asked})))

    def test_a_charge_is_tried_again_but_not_where_it_was_refused(self):
        self.provider.answers = [500, 503]
        cell, run = self.run_of("charge", amount=5)
        self.completes(cell, run, "made-0")
        self.assertEqual((3, 1), (self.provider.count("/charges"), len({key for _, key in self.provider.asked})))
        self.provider.answers = [402]
        run = self.start(cell, "charge", amount=5)
        ended = cell.settled(run)
        self.assertEqual(("failed", "the card was refused"), (ended["status"], ended["error"]["message"]))
        self.assertEqual((4, 2), (self.provider.count("/charges"), len({key for _, key in self.provider.asked})))

    def test_a_transfer_without_a_key_is_made_once_and_somebody_asked(self):
        cell, run = self.interrupted("transferOrAsk", "/transfers", amount=5)
        self.assertEqual("ambiguous_step", cell.settled(run)["reason"])
        cell.call("POST", f"/runs/{run}/resume", {"step": {"decision": "value", "value": "made-0"}})
        self.completes(cell, run, "made-0")
        self.assertEqual(1, self.provider.count("/transfers"))

    def test_a_transfer_without_a_key_is_made_once_and_looked_for(self):
        cell, run = self.interrupted("transferOrLook", "/transfers", amount=5)
        self.completes(cell, run, "made-0")
        self.assertEqual(1, self.provider.count("/transfers"))

    def test_a_pause_and_a_restart_interrupt_a_step_as_a_crash_does(self):
        def pause(cell, run):
            cell.call("POST", f"/runs/{run}/pause")
            cell.call("POST", f"/runs/{run}/resume")

        for disturb in (pause, lambda cell, run: self.daemon.restart()):
            self.provider.asked.clear()
            self.provider.made.clear()
            self.provider.go_on.clear()
            cell = self.cell_with("transferOrLook")
            run = self.start(cell, "transferOrLook", amount=5)
            harness.eventually("the provider is asked", lambda: self.provider.count("/transfers") > 0)
            disturb(cell, run)
            self.provider.go_on.set()
            self.completes(cell, run, "made-0")
            self.assertEqual(1, self.provider.count("/transfers"))
            cell.call("DELETE")

    def test_a_job_is_come_back_to_and_not_begun_again(self):
        cell, run = self.run_of("render", scene="sea")
        harness.eventually("it is looked after", lambda: self.provider.count("/jobs/") > 0)
        cell.kill_agent()
        seen = self.provider.count("/jobs/")
        harness.eventually("it is looked after again", lambda: self.provider.count("/jobs/") > seen + 1)
        self.daemon.restart()
        self.provider.finished = True
        self.completes(cell, run, "a picture")
        self.assertEqual(1, self.provider.count("/jobs?"))

    def test_a_job_whose_number_was_not_noted_is_the_same_by_its_key(self):
        self.provider.finished = True
        cell, run = self.interrupted("render", "/jobs?", scene="sea")
        self.completes(cell, run, "a picture")
        self.assertEqual((2, 1), (self.provider.count("/jobs?"), len(self.provider.made)))

    def test_a_mail_is_not_sent_twice_and_the_others_are_sent(self):
        cell, run = self.interrupted("notify", "/mails?to=ada", people=["ada", "bob"])
        self.completes(cell, run, {"unsure": ["ada"]})
        self.assertEqual((1, 1), (self.provider.count("/mails?to=ada"), self.provider.count("/mails?to=bob")))

    def test_files_are_edited_once(self):
        cell = self.cell_with("addRoute")
        self.put(cell, "routes.txt", body=b"/a\n")
        self.completes(cell, self.start(cell, "addRoute", route="/b"), "/a\n/b\n")
        git = "git -c user.name=a -c user.email=a@b -c init.defaultBranch=main"
        self.put(cell, "edit.sh", body=b"echo edited >> routes.txt; echo x >> /tmp/log; until [ -e /tmp/gate ]; do sleep 0.02; done")
        done = cell.exec(f"{git} init -q . && {git} add . && {git} commit -qm first")
        self.assertEqual(0, done["exit_code"], done)
        run = self.start(cell, "patch")
        harness.eventually("it edits", lambda: "x" in cell.exec("cat /tmp/log")["stdout"])
        cell.kill_agent()
        harness.eventually("it edits again", lambda: cell.exec("cat /tmp/log")["stdout"] == "x\nx\n")
        cell.exec("touch /tmp/gate")
        self.completes(cell, run, "1 file changed, 1 insertion(+)")

    def test_what_was_booked_is_cancelled(self):
        cell = self.cell_with("trip")
        refused, cancelled, flown = (self.start(cell, "trip", people=n) for n in (1, 2, 3))
        for run in (refused, cancelled, flown):
            self.waits(cell, run)
        self.approve(cell, refused, False)
        ended = cell.settled(refused)
        self.assertEqual(("failed", {"done": ["hotel"]}), (ended["status"], ended["error"]["rollback"]))
        ended = cell.call("POST", f"/runs/{cancelled}/cancel", {"rollback": True}).json
        self.assertEqual(("cancelled", {"done": ["hotel"]}), (ended["status"], ended["error"]["rollback"]))
        self.approve(cell, flown, True)
        self.completes(cell, flown, "booked")
        booked = {made["amount"]: made["id"] for made in self.provider.made.values() if "amount" in made}
        self.assertEqual([f"/cancelled/{booked[1]}", f"/cancelled/{booked[2]}"],
                         [path for path, _ in self.provider.asked if path.startswith("/cancelled")])

    def test_what_nobody_may_see_is_nowhere(self):
        cell, run = self.run_of("login")
        self.completes(cell, run, "string")
        made = [made["id"].encode() for made in self.provider.made.values()]
        self.assertEqual([b"made-0"], made)
        for segment in (cell.dir / "journal").glob("*.seg"):
            self.assertNotIn(made[0], segment.read_bytes())

    def test_what_goes_on_at_once_is_gathered(self):
        cell, run = self.run_of("review", parts=["a", "b"])
        self.completes(cell, run, ["a is fine", "b is fine"])

    def mistaken(self, method, name, change=lambda cell: None, cell=None):
        """A run of one of the mistakes, killed in its step `name`: it is paused with both sides."""
        cell = cell or self.cell_with("clock", method)
        run = self.start(cell, method)
        harness.eventually("its step is executed", lambda: any(s["name"].startswith(name) for s in cell.run(run)["steps"]))
        change(cell)
        if cell.agent_pid():
            cell.kill_agent()
        paused = cell.settled(run)
        self.assertEqual(("paused", "replay_mismatch"), (paused["status"], paused.get("reason")), method)
        self.assertTrue(paused["detail"]["expected"]["n"].startswith(name), paused)

    def test_what_is_not_the_same_each_time_pauses_the_run(self):
        self.mistaken("clock", "at ")
        self.mistaken("chance", "try ")
        cell = self.cell_with("clock", "files")
        self.put(cell, "first")
        self.mistaken("listing", "look at first", lambda cell: self.put(cell, "zzz"), cell)

    def test_what_another_run_left_in_memory_pauses_the_run(self):
        cell = self.cell_with("clock", "memory")
        self.put(cell, "gate")
        self.assertEqual("completed", cell.settled(self.start(cell, "memory"))["status"])
        cell.call("DELETE", "/files/gate")
        self.mistaken("memory", "work", cell=cell)

    def test_a_changed_environment_pauses_the_run(self):
        def change(cell):
            self.daemon.call("POST", "/api/v1/cells", {"customer_id": "environment", "secrets": {"MODE": "fast"}})

        self.mistaken("environment", "slow", change)

    def test_branches_that_wait_for_something_else_pause_the_run(self):
        cell = self.cell_with("clock", "branches")
        run = self.start(cell, "branches")
        self.put(cell, "a")
        self.executes(cell, run, "do a")
        self.put(cell, "b")
        self.executes(cell, run, "do b")
        cell.kill_agent()
        self.assertEqual("replay_mismatch", cell.settled(run)["reason"])

    def test_a_forgotten_await_fails_the_run(self):
        cell = self.cell_with("forgotten")
        self.assertEqual("forgotten_await", cell.settled(self.start(cell, "forgotten"))["error"]["code"])

    def test_a_step_that_ends_elsewhere_is_found_done(self):
        cell, run = self.run_of("collect", count=2)
        self.executes(cell, run, "word")
        self.assertEqual("running", cell.run(run)["status"])  # its step is open
        for word in ("one", "two"):
            cell.call("POST", f"/runs/{run}/events", {"type": "word", "payload": word})
        self.executes(cell, run, "end")
        self.waits(cell, run)
        self.daemon.restart()
        cell.call("POST", f"/runs/{run}/events", {"type": "end"})
        ended = self.completes(cell, run, "one two")
        self.assertEqual(1, next(step for step in ended["steps"] if step["name"] == "turn")["executed"])

    def test_events_approvals_and_children_survive(self):
        cell, run = self.run_of("ship", pr=7)
        self.waits(cell, run)
        cell.call("POST", f"/runs/{run}/events", {"id": "e", "type": "merged", "payload": {"pr": 7}})
        children = harness.eventually("both ask", lambda: (
            (found := [r for r in cell.runs() if r["method"] == "deploy" and r["status"] == "waiting"]) and len(found) == 2 and found))
        self.daemon.restart()
        for child in children:
            region = cell.run(child["id"])["params"]["region"]
            self.approve(cell, child["id"], region == "eu")
        self.completes(cell, run, ["deployed to eu", "not deployed to us"])
        self.assertEqual(3, len(cell.runs()))


CLAIMS = """
const fs = require("fs");
const gate = async (name) => { while (!fs.existsSync("/work/" + name)) await new Promise((r) => setTimeout(r, 5)); };
const log = (line) => fs.appendFileSync("/work/log", line + "\\n");
module.exports = {
  async work(ctx) { await ctx.step("work", () => { log("work"); return gate("gate"); }); return "done"; },
  async counts(ctx) {
    return ctx.step("tries", async (s) => {
      log("try " + s.attempt);
      await gate("gate");
      throw new Error("attempt " + s.attempt);
    }, { retries: { maxAttempts: 2, delay: 1 } }).catch((e) => e.message);
  },
  die() { process.exit(3); },
  async error(ctx) {
    const thrown = await ctx.step("bad", () => {
      throw Object.assign(new ctx.errors.NonRetryableError("m"), { code: "c", more: 1 });
    }).catch((e) => e);
    return [thrown.name, thrown.message, thrown.code, "more" in thrown, thrown instanceof ctx.errors.NonRetryableError];
  },
  async late(ctx) {
    return ctx.step("late", async (s) => {
      log("begins");
      if (s.attempt === 1) setTimeout(() => log("goes on, " + s.signal.aborted), 200);
      if (s.attempt === 1) await new Promise(() => {});
      return s.attempt;
    }, { timeout: "100ms", retries: 1 });
  },
  async inside(ctx) {
    return ctx.step("inside", async () => { ctx.db.set("n", (ctx.db.get("n") ?? 0) + 1); log("inside"); await gate("gate"); return ctx.db.get("n"); });
  },
  async race(ctx) {
    return Promise.race([ctx.shellAsync("echo $$ > /tmp/pid; exec sleep 5433"), ctx.step("won", () => gate("gate")).then(() => "won")]);
  },
  async plain(ctx) { await ctx.step("one", () => 1); throw new Error("thrown"); },
};
"""


class ClaimsTest(harness.CellTest):
    """Sentences of the page that no example shows."""

    def start(self, cell, method):
        return cell.call("POST", "/runs", {"method": method, "params": {}}).json["id"]

    def log(self, cell):
        answer = cell.call("GET", "/files/log")
        return answer.body.decode().splitlines() if answer.status == 200 else []

    def test_an_interruption_is_no_failed_attempt(self):
        cell, run = self.begin(CLAIMS, "counts")
        self.reaches(cell, "try 1")
        cell.kill_agent()
        cell.call("PUT", "/files/gate", b"")
        self.assertEqual("attempt 2", cell.settled(run)["result"])
        self.assertEqual(["try 1", "try 1", "try 2"], self.log(cell))

    def test_one_process_serves_all_runs_and_its_end_interrupts_them_all(self):
        cell, run = self.begin(CLAIMS, "work")
        self.reaches(cell, "work")
        dying = cell.settled(self.start(cell, "die"))
        self.assertEqual("crash_loop", dying["reason"])
        self.assertEqual("crash_loop", cell.settled(run)["reason"])
        self.assertGreater(self.log(cell).count("work"), 1)
        cell.call("PUT", "/files/gate", b"")
        cell.call("POST", f"/runs/{run}/resume")
        self.assertEqual("done", cell.settled(run)["result"])

    def test_of_an_error_name_message_code_and_class_are_kept(self):
        cell, run = self.begin(CLAIMS, "error")
        self.assertEqual(["NonRetryableError", "m", "c", False, True], cell.settled(run)["result"])

    def test_what_is_over_its_time_goes_on_and_knows_it(self):
        cell, run = self.begin(CLAIMS, "late")
        self.assertEqual(2, cell.settled(run)["result"])
        self.reaches(cell, "goes on, true")
        self.assertEqual(2, self.log(cell).count("begins"))

    def test_what_a_step_does_inside_happens_again(self):
        cell, run = self.begin(CLAIMS, "inside")
        self.reaches(cell, "inside")
        cell.kill_agent()
        cell.call("PUT", "/files/gate", b"")
        self.assertEqual(2, cell.settled(run)["result"])

    def test_a_command_that_lost_a_race_ends_with_its_run(self):
        cell, run = self.begin(CLAIMS, "race")
        harness.eventually("the command runs", lambda: cell.exec("cat /tmp/pid")["exit_code"] == 0)
        cell.call("PUT", "/files/gate", b"")
        self.assertEqual("won", cell.settled(run)["result"])
        harness.eventually("the command is gone", lambda: cell.exec("kill -0 $(cat /tmp/pid)")["exit_code"] != 0)

    def test_a_method_that_throws_is_not_tried_again(self):
        cell, run = self.begin(CLAIMS, "plain")
        ended = cell.settled(run)
        self.assertEqual(("failed", 1, "thrown"), (ended["status"], ended["attempt"], ended["error"]["message"]))

    def test_a_paused_cell_freezes_a_step_and_a_busy_one_is_not_hibernated(self):
        cell, run = self.begin(CLAIMS, "work")
        self.reaches(cell, "work")
        self.assertEqual("cell_busy", cell.call("POST", "/hibernate").json["code"])
        self.assertEqual("paused", cell.call("POST", "/pause").json["status"])
        cell.call("POST", "/resume")
        cell.call("PUT", "/files/gate", b"")
        ended = cell.settled(run)
        self.assertEqual(("done", 1, 1), (ended["result"], ended["attempt"], ended["steps"][0]["executed"]))
