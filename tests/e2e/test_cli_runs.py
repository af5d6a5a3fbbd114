"""The runs of an agent in the hands of somebody at a terminal: `cellar runs`."""

import harness
import test_cli

AGENT = """
const fs = require("fs");
const gate = async () => { while (!fs.existsSync("/work/gate")) await new Promise((r) => setTimeout(r, 5)); };
module.exports = {
  async work(ctx, params) {
    await ctx.step("first", () => "done");
    await ctx.step("second", gate);
    return params;
  },
  async streams(ctx) { ctx.stream(1); await ctx.step("held", gate); ctx.stream(2); return "end"; },
  text() { return "two\\nlines"; },
  async fails(ctx) { await ctx.step("try", () => { throw new Error("it broke"); }, { retries: { maxAttempts: 2, delay: 1 } }); },
  async asks(ctx) { return ctx.step("mail", async () => { fs.writeFileSync("/work/began", ""); await gate(); return "sent"; }, { onInterrupt: "ask" }).catch((e) => e.code); },
  async event(ctx) { return ctx.waitForEvent("merged", { match: { pr: 7 }, timeout: "7d" }); },
  async approvals(ctx) {
    const [a, b] = await Promise.all([ctx.approve("a", { prompt: "Deploy?" }), ctx.approve("b")]);
    return [a.approved, a.by, a.comment, b.approved];
  },
  async tidies(ctx) { try { await ctx.step("wait", () => { fs.writeFileSync("/work/began", ""); return gate(); }); } finally { fs.writeFileSync("/work/tidied", ""); } },
  async flips(ctx) { await ctx.step(fs.existsSync("/work/flip") ? "other" : "one", () => { fs.writeFileSync("/work/began", ""); return gate(); }); },
};
"""


class RunsTest(test_cli.CliTest):
    options = ("--run-suspend-after-ms", "50")

    def start(self, method, *words):
        cell = self.cell(agent=AGENT)
        return cell, self.started(cell, method, *words)

    def started(self, cell, method, *words):
        code, out, err = self.cellar("runs", "start", cell.id, method, *words)
        self.assertEqual((0, ""), (code, err))
        return out.strip()

    def open_gate(self, cell):
        cell.call("PUT", "/files/gate", b"")

    def begins(self, cell):
        harness.eventually("it begins", lambda: cell.call("GET", "/files/began").status == 200)

    def waits(self, cell, run):
        harness.eventually("it waits", lambda: cell.run(run)["status"] == "waiting")

    def shown(self, cell, run):
        """What `runs get` says: its members, and the rows of its steps. Ordinal 1 of the first run is setup()."""
        code, out, err = self.cellar("runs", "get", cell.id, run)
        self.assertEqual((0, ""), (code, err))
        head, _, steps = out.partition("\n\n")
        return self.record(head), [line.split("\t") for line in steps.splitlines()]

    def test_a_run_is_tried_with_another_version_moved_to_it_and_begun_again(self):
        cell, run = self.start("event")
        self.waits(cell, run)
        files = {}
        for name, source in (("same", AGENT), ("other", AGENT.replace('"merged"', '"closed"')), ("broken", "module.exports = {")):
            files[name] = self.daemon.root / f"{name}.js"
            files[name].write_text(source)
        self.assertEqual((0, "it fits, up to ordinal 2\n", ""), self.cellar("runs", "replay", cell.id, run))
        self.assertEqual(0, self.cellar("runs", "replay", cell.id, run, "--against", files["same"])[0])
        code, out, err = self.cellar("runs", "replay", cell.id, run, "--against", files["other"])
        self.assertEqual((1, ""), (code, out))
        self.assertIn('the journal holds wait "merged", and the agent asks for wait "closed"', err)
        self.assertIn("ctx.getVersion", err)
        self.assertEqual(1, self.cellar("runs", "replay", cell.id, run, "--against", files["broken"])[0])
        self.assertEqual(2, self.cellar("runs", "replay", cell.id, run, "--against", "/none")[0])
        self.assertEqual("run_not_paused", self.json_error(1, "runs", "resume", cell.id, run, "--upgrade")["code"])
        self.cellar("runs", "pause", cell.id, run)
        self.assertEqual(2, self.cellar("runs", "resume", cell.id, run, "--upgrade", "--retry")[0])
        code, out, err = self.cellar("runs", "resume", cell.id, run, "--upgrade")
        self.assertEqual((0, ""), (code, err))
        code, again, err = self.cellar("runs", "restart", cell.id, run, "--from", "merged")
        self.assertEqual((0, ""), (code, err))
        for each in (run, again.strip()):
            self.cellar("runs", "event", cell.id, each, "merged", '{"pr": 7}')
            self.assertEqual((0, '{"pr":7}\n', ""), self.cellar("runs", "await", cell.id, each))
        self.assertEqual("step_not_found", self.json_error(3, "runs", "restart", cell.id, run, "--from", "none")["code"])

    def test_a_run_is_begun_once_by_its_key_awaited_and_shown_with_its_steps(self):
        cell, run = self.start("work", '{"n": 1}', "--key", "order 1")
        self.assertEqual(run, self.started(cell, "work", '{"n": 1}', "--key", "order 1"))
        other = self.json_error(1, "runs", "start", cell.id, "work", "[]", "--key", "order 1")
        self.assertEqual(("idempotency_key_reused", "give another --key"), (other["code"], other["remediation"]))
        harness.eventually("the second step runs", lambda: len(cell.run(run)["steps"]) == 2)
        head, steps = self.shown(cell, run)
        self.assertEqual((run, "work", "running", '{"n":1}'), (head["id"], head["method"], head["status"], head["params"]))
        self.assertEqual([["2", "first", "step", "completed", "1", "1"], ["3", "second", "step", "running", "1", "1"]],
                         [row[:6] for row in steps])
        self.assertRegex(steps[0][6], r"^\d+ms$|^\d+\.\ds$")
        self.assertRegex(steps[1][6], " so far$")
        code, out, err = self.cellar("runs", "await", cell.id, run, "--timeout", "0")
        self.assertEqual((1, "", f"cellar: run {run} is running still\n        wait longer: --timeout S\n"), (code, out, err))
        waiting = self.begin("runs", "await", cell.id, run)
        self.open_gate(cell)
        self.assertEqual(('{"n":1}\n', ""), waiting.communicate(timeout=harness.WAIT_S))
        self.assertEqual(0, waiting.returncode)
        self.assertEqual([run, "work", "completed", "2"], self.cellar("runs", "ls", cell.id)[1].split("\t")[:4])
        self.assertEqual("completed", self.json("runs", "get", cell.id, run)["status"])

    def test_await_prints_a_text_as_it_is_and_params_come_from_standard_input(self):
        cell, run = self.start("text")
        self.check(0, "two\nlines\n", "", "runs", "await", cell.id, run)
        self.assertEqual("two\nlines", self.json("runs", "await", cell.id, run)["result"])
        self.open_gate(cell)
        begun = self.json("runs", "start", cell.id, "work", "-", stdin='["in"]')
        self.assertEqual(["in"], self.json("runs", "await", cell.id, begun["id"])["result"])

    def test_await_survives_a_restart_of_the_daemon(self):
        cell, run = self.start("work")
        with test_cli.Relay(self.daemon.port) as relay:
            waiting = self.begin("--url", f"http://127.0.0.1:{relay.port}", "runs", "await", cell.id, run, "--timeout", "600")
            harness.eventually("it waits", lambda: any(b["detail"] == f"await {run}" for b in cell.get()["idle"]["blockers"]))
            self.daemon.restart()
            relay.target = self.daemon.port
            self.open_gate(cell)
            self.assertEqual(("{}\n", ""), waiting.communicate(timeout=harness.WAIT_S))
        self.assertEqual(0, waiting.returncode)

    def test_a_request_survives_restarts_of_the_daemon_and_shows_nothing_twice(self):
        cell = self.cell(agent=AGENT)
        asked = ("streams", "work")

        def both_wait():
            harness.eventually("both wait", lambda: set(asked) <= {b["detail"] for b in cell.get()["idle"]["blockers"]})

        def ends_well():
            self.assertEqual(0, self.daemon.stop())
            self.daemon.start()

        with test_cli.Relay(self.daemon.port) as relay:
            streams, work = [self.begin("--url", f"http://127.0.0.1:{relay.port}", "request", cell.id, method) for method in asked]
            self.assertEqual("1\n", streams.stdout.readline())
            for ends in (self.daemon.restart, ends_well):
                both_wait()
                ends()
                relay.target = self.daemon.port
            both_wait()
            self.open_gate(cell)
            self.assertEqual(("{}\n", ""), work.communicate(timeout=harness.WAIT_S))
            self.assertEqual(('2\n"end"\n', ""), (streams.stdout.read(), streams.stderr.read()))
            self.assertEqual((0, 0), (work.returncode, streams.wait(timeout=harness.WAIT_S)))
        self.assertEqual(list(asked), sorted(run["method"] for run in cell.runs()))

    def test_a_failed_run_is_told_by_its_error_and_its_log_in_words(self):
        cell, run = self.start("fails")
        self.check(1, "", "cellar: it broke\n", "runs", "await", cell.id, run)
        self.assertEqual("failed", self.json("runs", "await", cell.id, run, code=1)["status"])
        head, steps = self.shown(cell, run)
        self.assertEqual(("failed", "it broke"), (head["status"], head["why"]))
        self.assertEqual(["2", "try", "step", "failed", "1", "2"], steps[0][:6])
        lines = [line.split("\t") for line in self.cellar("runs", "log", cell.id, run)[1].splitlines()]
        self.assertEqual(["run.started", "step.started", "step.retry", "step.completed", "run.failed"], [line[2] for line in lines])
        self.assertEqual(["fails", "2 try", "2 try: failed: it broke"], [lines[i][3] for i in (0, 1, 3)])
        self.assertRegex(lines[4][3], r"^it broke \(agent\.js:\d+:\d+\)$")
        self.assertRegex(lines[2][3], "^2 try: attempt 1 failed: it broke; the next one at 20")
        after = self.cellar("runs", "log", cell.id, run, "--follow", "--after", lines[2][0])[1]
        self.assertEqual([line[0] for line in lines[3:]], [line.split("\t")[0] for line in after.splitlines()])
        self.assertEqual(self.cellar("events", cell.id, run), self.cellar("runs", "log", cell.id, run))

    def test_a_run_is_paused_resumed_and_cancelled(self):
        cell, run = self.start("tidies")
        self.begins(cell)
        paused = self.record(self.cellar("runs", "pause", cell.id, run)[1])
        self.assertEqual(("paused (user)", "its owner paused it", f'"cellar runs resume {cell.id} {run}" lets it go on'),
                         (paused["status"], paused["why"], paused["remedy"]))
        code, out, err = self.cellar("runs", "await", cell.id, run)
        self.assertEqual((1, ""), (code, out))
        self.assertIn("is paused (user): its owner paused it\n", err)
        self.assertEqual("run_paused", self.json_error(1, "runs", "pause", cell.id, run)["code"])
        code, _, err = self.cellar("runs", "resume", cell.id, run, "--retry")
        self.assertEqual((1, True), (code, err.endswith("\n        leave --retry, --fail and --value out\n")), err)
        self.assertEqual("running", self.json("runs", "resume", cell.id, run)["status"])
        harness.eventually("it runs again", lambda: cell.run(run)["steps"][0]["executed"] == 2)
        self.assertEqual("cancelled", self.json("runs", "cancel", cell.id, run, "--grace", "600000")["status"])
        self.assertEqual(200, cell.call("GET", "/files/tidied").status)
        self.check(1, "", f"cellar: run {run} was cancelled\n", "runs", "await", cell.id, run)
        for verb in ("pause", "cancel"):
            self.assertEqual("run_ended", self.json_error(1, "runs", verb, cell.id, run)["code"])
        self.assertEqual("run_not_paused", self.json_error(1, "runs", "resume", cell.id, run)["code"])

    def test_somebody_decides_about_a_step_that_may_have_been_done(self):
        for words, result in ((("--retry",), "sent"), (("--fail",), "step_interrupted"), (("--value", '{"a":1}'), '{"a":1}')):
            with self.subTest(words=words):
                cell, run = self.start("asks")
                self.begins(cell)
                cell.kill_agent()
                cell.settled(run)
                head, steps = self.shown(cell, run)
                self.assertEqual(("paused (ambiguous_step)", "interrupted"), (head["status"], steps[0][3]))
                self.assertIn('step "mail" was interrupted', head["why"])
                self.assertIn("--retry, --fail or --value JSON", head["remedy"])
                undecided = self.json_error(1, "runs", "resume", cell.id, run)
                self.assertEqual("decision_needed", undecided["code"])
                self.assertIn("--retry, --fail or --value JSON", undecided["remediation"])
                self.assertEqual(2, self.cellar("runs", "resume", cell.id, run, "--value", "{bad")[0])
                self.open_gate(cell)
                self.assertEqual(0, self.cellar("runs", "resume", cell.id, run, *words)[0])
                self.check(0, result + "\n", "", "runs", "await", cell.id, run)
                cell.call("DELETE")

    def test_a_replay_that_differs_is_told_with_both_sides(self):
        cell, run = self.start("flips")
        self.begins(cell)
        cell.call("PUT", "/files/flip", b"")
        cell.kill_agent()
        cell.settled(run)
        head, _ = self.shown(cell, run)
        why = 'the journal holds step "one", and the agent asks for step "other"; the last that was the same: setup. Likely '
        self.assertEqual(why, head["why"][:len(why)])

    def test_an_event_is_sent_once(self):
        cell, run = self.start("event")
        self.waits(cell, run)
        head, steps = self.shown(cell, run)
        self.assertEqual(("waiting (event)", ["2", "merged", "wait", "waiting"]), (head["status"], steps[0][:4]))
        self.assertRegex(head["why"], r'^for an event "merged" with \{"pr":7\}, until 20')
        self.check(0, "id\te1\nduplicate\tfalse\n", "", "runs", "event", cell.id, run, "merged", '{"pr": 8}', "--id", "e1")
        self.assertTrue(self.json("runs", "event", cell.id, run, "merged", '{"pr": 7}', "--id", "e1")["duplicate"])
        self.assertFalse(self.json("runs", "event", cell.id, run, "merged", "-", stdin='{"pr": 7}')["duplicate"])
        self.check(0, '{"pr":7}\n', "", "runs", "await", cell.id, run)

    def test_a_person_approves_and_refuses(self):
        cell, run = self.start("approvals")
        harness.eventually("it asks twice", lambda: len(cell.run(run)["steps"]) == 2)
        self.waits(cell, run)
        head, _ = self.shown(cell, run)
        self.assertEqual('for an approval "a": Deploy?; for an approval "b"', head["why"])
        self.assertIn(f'"cellar runs approve {cell.id} {run}"', head["remedy"])
        which = self.json_error(1, "runs", "approve", cell.id, run)
        self.assertEqual("step_needed", which["code"])
        self.assertIn("--step", which["remediation"])
        self.assertEqual("approval_not_found", self.json_error(3, "runs", "approve", cell.id, run, "--step", "c")["code"])
        self.cellar("runs", "approve", cell.id, run, "--step", "a", "--refuse", "--by", "ada", "--comment", "not today")
        code, _, err = self.cellar("runs", "approve", cell.id, run)
        self.assertEqual((0, "cellar: approved: b\n"), (code, err))
        self.check(0, '[false,"ada","not today",true]\n', "", "runs", "await", cell.id, run)

    def test_what_is_wrong_is_named_with_its_remedy(self):
        cell = self.cell(agent=AGENT)
        for words in (("get",), ("await",), ("log",), ("pause",), ("resume",), ("cancel",), ("event", "t"), ("approve",)):
            missing = self.json_error(3, "runs", words[0], cell.id, "run_x", *words[1:])
            self.assertEqual(("run_not_found", f'"cellar runs ls {cell.id}" lists the runs of a cell'),
                             (missing["code"], missing["remediation"]), words)
            self.assertEqual("cell_not_found", self.json_error(3, "runs", words[0], "dev--nobody", "r", *words[1:])["code"])
        for words in (("ls", "dev--nobody"), ("start", "dev--nobody", "m")):
            self.check(3, "", 'cellar: no cell "dev--nobody"\n        "cellar ls" lists the cells\n', "runs", *words)
        self.assertEqual("agent_missing", self.json_error(3, "runs", "start", self.daemon.create("bare").id, "m")["code"])
        for words, what in ((("start", "c", "m", "{bad"), "params must be JSON: "), (("event", "c", "r", "t", "x"), "payload must be JSON: "),
                            (("resume", "c", "r", "--value", "x"), "value must be JSON: "), (("resume", "c", "r", "--retry", "--fail"), "excludes"),
                            (("cancel", "c", "r", "--grace", "-1"), "--grace"), (("await", "c", "r", "--timeout", "x"), "--timeout"),
                            (("start", "c"), "METHOD is required"), (("get", "c"), "RUN is required"), (("dev--x",), "cellar runs --help lists them")):
            code, out, err = self.cellar("runs", *words, url="http://127.0.0.1:1")
            self.assertEqual((2, ""), (code, out), (words, err))
            self.assertIn(what, err)
