"""What survives: restarts of the daemon, pause, hibernation, a host that was switched off."""
import concurrent.futures
import contextlib
import http.client
import json
import threading
import time

import harness

AGENT = """
let calls = 0;
module.exports = {
  count(ctx) { return ++calls; },
  keep(ctx, { value }) { ctx.db.set("kept", value); ctx.journal.step("note", "kept it", { value }); return true; },
  kept(ctx) { return ctx.db.get("kept"); },
  notes(ctx) { return ctx.journal.entries().length; },
};
"""


class PersistenceTest(harness.CellTest):
    def fill(self, cell):
        cell.call("PUT", "/files/src/session.js", b"export function refreshSession(token) { return token }\n")
        cell.exec("echo installed > /usr/local/tool && echo home > /root/h")
        cell.request("keep", {"value": {"n": 1}})

    def check(self, cell):
        self.assertIn(b"refreshSession", cell.call("GET", "/files/src/session.js").body)
        self.assertEqual("installed\nhome\n", cell.exec("cat /usr/local/tool /root/h")["stdout"])
        self.assertEqual({"n": 1}, cell.request("kept").json)
        self.assertEqual(1, cell.request("notes").json)
        hits = cell.call("POST", "/search", {"query": "refresh session"}).json["results"]
        self.assertEqual("src/session.js", hits[0]["path"])
        self.assertIn("keep", [run["method"] for run in cell.runs()])

    def test_everything_is_there_after_the_daemon_was_killed(self):
        cell = self.cell(agent=AGENT)
        self.fill(cell)
        self.daemon.restart()
        self.check(cell)

    def test_everything_is_there_after_a_pause_and_the_agent_remembers(self):
        cell = self.cell(agent=AGENT)
        self.fill(cell)
        self.assertEqual(1, cell.request("count").json)
        self.assertEqual("paused", cell.call("POST", "/pause").json["status"])
        resumed = cell.call("POST", "/resume").json
        self.assertEqual("active", resumed["status"])
        self.assertEqual("memory", resumed["resume"]["from"])
        self.assertGreaterEqual(resumed["resume"]["processes"]["survived"], 1)
        self.assertEqual(2, cell.request("count").json)
        self.check(cell)

    def test_any_request_resumes_a_paused_cell(self):
        cell = self.cell(agent=AGENT)
        self.fill(cell)
        cell.call("POST", "/pause")
        self.check(cell)
        self.assertEqual("active", cell.get()["status"])

    def test_everything_is_there_after_hibernation(self):
        cell = self.cell(agent=AGENT)
        self.fill(cell)
        self.assertEqual("hibernated", cell.call("POST", "/hibernate").json["state"])
        self.assertIsNone(cell.agent_pid())
        self.assertEqual("disk", cell.call("POST", "/resume").json["resume"]["from"])
        self.check(cell)

    def test_a_paused_cell_is_found_again_by_a_new_daemon(self):
        cell = self.cell(agent=AGENT)
        self.fill(cell)
        cell.call("POST", "/pause")
        self.daemon.restart()
        self.assertEqual("paused", cell.get()["status"])
        self.check(cell)

    def test_a_paused_cell_whose_processes_were_killed_under_no_daemon_starts_anew(self):
        cell = self.cell("killed", agent=AGENT)
        self.fill(cell)
        cell.call("POST", "/pause")
        self.daemon.kill()
        cell.kill_processes()
        self.daemon.start()
        self.assertEqual("hibernated", cell.get()["state"])
        self.check(cell)
        self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])

    def test_a_cell_is_deleted_under_those_who_look_at_it(self):
        for number in range(3):
            cell = self.cell(f"watched-{number}")
            cell.exec("true")
            with concurrent.futures.ThreadPoolExecutor(4) as clients:
                watched = [clients.submit(self.look_until_it_is_gone, cell) for _ in range(4)]
                self.assertEqual(204, cell.call("DELETE").status)
                for looking in watched:
                    looking.result()
        self.assertNotIn("cannot be opened", self.daemon.log())

    def look_until_it_is_gone(self, cell):
        harness.eventually("it is gone", lambda: cell.call("GET").status == 404)

    def test_a_cell_survives_a_host_that_was_switched_off(self):
        cell = self.cell(agent=AGENT)
        self.fill(cell)
        self.daemon.kill()
        cell.kill_processes()  # as after a reboot
        self.daemon.start()
        self.check(cell)

    def test_the_list_of_cells_is_made_anew_when_the_registry_is_lost(self):
        cell = self.cell(agent=AGENT)
        self.fill(cell)
        self.daemon.kill()
        for path in self.daemon.state.glob("registry.sqlite*"):
            path.unlink()
        self.daemon.start()
        self.check(cell)

    def test_secrets_survive_a_restart(self):
        cell = self.cell(agent="module.exports = { s() { return process.env.S } }", secrets={"S": "v"})
        self.daemon.restart()
        self.assertEqual("v", cell.request("s").json)

    def test_search_takes_modes_and_filters_and_finds_definitions(self):
        cell = self.cell(agent="""
          module.exports = {
            query(ctx, { text, options }) { return ctx.search.query(text, options).map((hit) => hit.path); },
            add(ctx) { return ctx.search.index("notes#login", "users sign in with a password"); },
            rest(ctx) {
              const [symbol] = ctx.search.symbols("user_session", 1);
              return [symbol.name, symbol.kind, symbol.line, ctx.search.status().documents,
                      ctx.search.remove("notes#login"), ctx.search.remove("notes#login"), ctx.search.status().files];
            },
          };""")
        cell.call("PUT", "/files/src/session.py", b"\nclass UserSession:\n    def login(self, password):\n        check(password)\n")
        cell.call("PUT", "/files/tests/session.js", b"const check = (password) => password;\n")
        query = lambda text, **options: cell.request("query", {"text": text, "options": options}).json
        self.assertEqual("src/session.py", query("authentication")[0])  # no word of it is there
        self.assertEqual([], query("authentication", mode="lexical"))
        self.assertEqual(["src/session.py", "tests/session.js"], query("check", mode="regex"))
        self.assertEqual(["tests/session.js"], query("password", paths=["tests/"]))
        self.assertEqual(["src/session.py"], query("password", languages=["python"]))
        self.assertIs(True, cell.request("add").json)
        self.assertIn("notes#login", query("sign in", limit=2))
        self.assertEqual(["UserSession", "type", 2, 1, True, False, 2], cell.request("rest").json)

        symbols = cell.call("POST", "/search/symbols", {"query": "UserSession"}).json["symbols"]
        self.assertEqual([("UserSession", "src/session.py", 2, "python")],
                         [(found["name"], found["path"], found["line"], found["language"]) for found in symbols])
        self.assertEqual(204, cell.call("POST", "/search/index", {"path": "n", "text": "apple pie"}).status)
        self.assertEqual(1, cell.call("GET", "/search/status").json["documents"])
        self.assertEqual({"removed": True}, cell.call("POST", "/search/remove", {"path": "n"}).json)
        for wrong, named in (({"query": "(", "mode": "regex"}, "regular expression"), ({"query": "a", "mode": "fuzzy"}, "mode"),
                             ({"query": "a", "languages": ["pyton"]}, "pyton"), ({"query": "a", "paths": [""]}, "paths")):
            refused = cell.call("POST", "/search", wrong)
            self.assertEqual(400, refused.status)
            self.assertIn(named, refused.json["error"])

    def test_a_write_is_found_by_the_next_search(self):
        cell = self.cell()
        query = lambda: [h["path"] for h in cell.call("POST", "/search", {"query": "parseDuration"}).json["results"]]
        self.assertEqual([], query())
        cell.call("PUT", "/files/time.js", b"function parseDuration(text) { return 1 }\n")
        self.assertEqual(["time.js"], query())
        cell.exec("mv time.js moved.js")
        self.assertEqual(["moved.js"], query())
        cell.exec("rm moved.js")
        self.assertEqual([], query())


class LostProcessesTest(harness.CellTest):
    """What a cell that came back says of what did not."""

    def begin(self, cell, command):
        """A command that runs, and what is told of it when it is lost."""
        stream = self.daemon.stream("POST", cell.path + "/exec", {"cmd": f"echo $$; exec {command}"})
        self.addCleanup(stream.close)
        return {"domain": "shell", "pid": int(next(iter(stream)).json["text"]), "command": f"/bin/sh -c echo $$; exec {command}", "lost_by": "daemon_ended"}

    def warm_agent(self, cell, lost_by="daemon_ended"):
        cell.request("count")
        return {"domain": "agent", "command": "node --v8-pool-size=1 /opt/cellar/agent-host/host.js", "lost_by": lost_by}

    def lost(self, resume):
        return resume["processes"]["lost"]

    def without_pid(self, programs):
        return [{name: value for name, value in program.items() if name != "pid"} for program in programs]

    def resume(self, cell):
        return cell.call("POST", "/resume").json["resume"]

    def test_a_hibernated_cell_has_lost_its_agent_and_nothing_that_had_ended(self):
        cell = self.cell(agent=AGENT)
        agent = self.warm_agent(cell, "hibernated")
        cell.exec("true")
        cell.call("POST", "/hibernate")
        resumed = self.resume(cell)
        self.assertEqual(("disk", 0, [agent]), (resumed["from"], resumed["processes"]["survived"], self.without_pid(self.lost(resumed))))
        self.assertEqual(resumed, cell.get()["resume"])
        self.assertEqual(resumed, self.resume(cell))  # It was active: nothing came back again.
        cell.call("POST", "/hibernate")
        self.assertEqual([], self.lost(self.resume(cell)))

    def test_a_paused_cell_has_lost_nothing(self):
        cell = self.cell(agent=AGENT)
        self.warm_agent(cell)
        self.begin(cell, "sleep 1001")
        cell.call("POST", "/pause")
        resumed = self.resume(cell)
        self.assertEqual((len(cell.processes()), []), (resumed["processes"]["survived"], self.lost(resumed)))

    def test_a_daemon_that_was_killed_or_stopped_takes_what_it_started_with_it(self):
        cell = self.cell(agent=AGENT)
        for end in (self.daemon.kill, self.daemon.stop):
            agent, command = self.warm_agent(cell), self.begin(cell, "sleep 1002")
            end()
            self.daemon.start()
            resume = cell.get()["resume"]
            self.assertEqual("memory", resume["from"])
            self.assertIn(command, self.lost(resume))
            self.assertEqual([agent, {"domain": "shell", "command": command["command"], "lost_by": "daemon_ended"}], self.without_pid(self.lost(resume)))
            harness.eventually("only those that survived are there",
                               lambda: len(cell.processes()) == resume["processes"]["survived"])

    def test_a_command_that_was_frozen_as_the_daemon_was_killed_is_lost_with_the_pause(self):
        cell = self.cell()
        command = self.begin(cell, "sleep 1003")
        cell.call("POST", "/pause")
        self.daemon.restart()
        self.assertEqual("paused", cell.get()["state"])
        self.assertNotIn("resume", cell.get())
        resumed = self.resume(cell)
        self.assertEqual(("memory", [command]), (resumed["from"], self.lost(resumed)))
        harness.eventually("only those that survived are there",
                           lambda: len(cell.processes()) == resumed["processes"]["survived"])

    def test_what_a_host_that_was_switched_off_ended_is_told_even_after_a_second_daemon(self):
        cell = self.cell()
        command = self.begin(cell, "sleep 1004")
        self.daemon.kill()
        cell.kill_processes()  # as after a reboot
        self.daemon.start()
        self.daemon.restart()
        self.assertEqual("hibernated", cell.get()["state"])
        resumed = self.resume(cell)
        self.assertEqual(("disk", 0, [command]), (resumed["from"], resumed["processes"]["survived"], self.lost(resumed)))
        self.assertEqual([], list((cell.dir / "run/programs").iterdir()))

    def test_a_command_whose_processes_are_killed_under_it_ends_as_lost(self):
        cell = self.cell()
        stream = self.daemon.stream("POST", cell.path + "/exec", {"cmd": "echo here; exec sleep 1005"})
        events = iter(stream)
        next(events)
        cell.kill_processes("shell")
        end = list(events)[-1]
        self.assertEqual(("exit", 137, True, "domain_ended"), (end.type, end.json["exit_code"], end.json["lost"], end.json["lost_by"]))
        self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])


    def test_a_command_of_a_cell_that_is_deleted_ends_with_it(self):
        cell = self.cell()
        stream = self.daemon.stream("POST", cell.path + "/exec", {"cmd": "echo here; exec sleep 1006"})
        events = iter(stream)
        next(events)
        self.assertEqual(204, cell.call("DELETE").status)
        end = list(events)[-1]
        self.assertEqual(("exit", True, "deleted"), (end.type, end.json["lost"], end.json["lost_by"]))

    def test_so_does_a_process_in_its_background(self):
        cell = self.cell("background")
        for fields in ({"cmd": "echo up; exec sleep 1007"}, {"terminal": True}):
            process = cell.call("POST", "/processes", fields).json["id"]
        stream = self.daemon.stream("GET", f"{cell.path}/processes/{process}/log")
        events = iter(stream)
        next(events)
        self.assertEqual(204, cell.call("DELETE").status)
        end = list(events)[-1]
        self.assertEqual(("exit", True, "deleted"), (end.type, end.json["lost"], end.json["lost_by"]))


class OldStateTest(harness.CellTest):
    def test_a_torn_cell_record_is_reported_and_hides_no_other_cell(self):
        cell, torn = self.cell("good"), self.cell("torn")
        self.daemon.kill()
        (torn.dir / "cell.json").write_text('{"cell_id": ')
        self.daemon.start()
        self.assertEqual(200, cell.call("GET").status)
        self.assertIn("cell.json", self.daemon.log())
        (torn.dir / "cell.json").write_text(json.dumps({}))

    def test_a_customer_keeps_the_cell_with_an_id_of_an_earlier_version(self):
        old = self.cell("A B")
        self.assertEqual("a-b-fea4c5ce", old.id.partition("--")[2])
        self.daemon.kill()
        owner = old.id.partition("--")[0]
        spec = json.loads((old.dir / "cell.json").read_text())
        (old.dir / "cell.json").write_text(json.dumps({**spec, "cell_id": f"{owner}------fea4c5ce"}))
        old.dir.rename(old.dir.with_name(f"{owner}------fea4c5ce"))
        for path in self.daemon.state.glob("registry.sqlite*"):
            path.unlink()
        self.daemon.start()
        again = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "A B"})
        self.assertEqual((200, f"{owner}------fea4c5ce"), (again.status, again.json["cell_id"]))

    def test_a_customer_named_as_another_ones_id_gets_a_cell_of_its_own(self):
        first, second = self.cell("C D"), self.daemon.call("POST", "/api/v1/cells", {"customer_id": "c-d-f1574d8c"})
        self.assertEqual(201, second.status)
        self.assertNotEqual(first.id, second.json["cell_id"])
        self.assertEqual("c-d-f1574d8c", self.daemon.get(f"/api/v1/cells/{second.json['cell_id']}").json["customer_id"])
        self.daemon.call("DELETE", f"/api/v1/cells/{second.json['cell_id']}")


class OpeningTest(harness.CellTest):
    daemon_class = harness.FaultyDaemon

    def test_a_cell_that_could_not_be_opened_for_want_of_something_is_opened_when_it_is_asked_for(self):
        cell = self.cell()
        cell.call("PUT", "/files/kept", "here")
        cell.call("POST", "/hibernate")
        self.daemon.stop()
        (self.daemon.root / "faults").write_text("cell.before_open 1 errno=24\n")  # EMFILE
        self.daemon.start()
        harness.eventually("it is not opened", lambda: f"{cell.id} cannot be opened" in self.daemon.log())
        (self.daemon.root / "faults").write_text("cell.before_open 1 errno=24 again\n")
        answer = cell.call("GET", "/files/kept")
        self.assertEqual((503, "cell_not_opened"), (answer.status, answer.json["code"]))
        self.assertEqual(b"here", cell.call("GET", "/files/kept").body)

    def test_a_cell_that_could_not_be_made_keeps_its_customer_from_nothing(self):
        for number, plan in enumerate(("cell.before_open 1 errno=24", "cell.before_open 1 errno=28")):
            self.daemon.plan(plan)
            failed = self.daemon.call("POST", "/api/v1/cells", {"customer_id": f"made-{number}"})
            self.assertEqual(507, failed.status, failed)
            self.daemon.plan()
            cell = self.daemon.create(f"made-{number}")
            self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])
            self.assertEqual(204, cell.call("DELETE").status)
        harness.eventually("nothing is left of them", lambda: not self.trash())

    def test_a_cell_whose_removal_fails_is_removed_when_that_is_asked_for_again(self):
        cell = self.cell("moved")
        self.daemon.plan("trash.before_moved 1 errno=5")
        self.assertEqual(500, cell.call("DELETE").status)
        self.assertEqual("cell_half_deleted", cell.call("POST", "/exec", {"cmd": "true"}).json["code"])
        self.assertEqual(204, cell.call("DELETE").status)
        self.assertEqual(404, cell.call("GET").status)
        cell = self.cell("moved")
        self.daemon.plan("registry.before_forgotten 1 errno=28")
        self.assertEqual(204, cell.call("DELETE").status)
        self.daemon.plan()
        cell = self.cell("moved")
        self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])
        self.assertEqual(204, cell.call("DELETE").status)
        harness.eventually("nothing is left of them", lambda: not self.trash())

    def test_processes_are_not_ended_as_the_daemon_lacks_a_descriptor(self):
        cell = self.cell("kept")
        made = cell.call("POST", "/processes", {"cmd": "echo $$ > pid; exec sleep 1008"}).json
        harness.eventually("it runs", lambda: cell.call("GET", "/files/pid").status == 200)
        self.daemon.kill()
        self.daemon.plan("domain.before_connect 1 errno=24")
        self.daemon.start()
        harness.eventually("it was looked for", lambda: self.daemon.reached("domain.before_connect"))
        self.daemon.plan()
        found = harness.eventually("the cell is opened", lambda: (answer := cell.call("GET", f"/processes/{made['id']}")).status == 200 and answer)
        self.assertEqual("running", found.json["status"], found)
        self.assertEqual(0, cell.exec("kill -0 $(cat pid)")["exit_code"])
        self.assertEqual(204, cell.call("DELETE").status)

    def test_files_of_a_deleted_cell_go_behind_and_hold_up_no_other_cell(self):
        cell = self.cell("large")
        cell.exec("mkdir a && touch a/b")
        self.plan("trash.before_removed 1 stop")

        def delete():
            with contextlib.suppress(OSError, http.client.HTTPException):  # The daemon is killed.
                self.daemon.call("DELETE", cell.path)

        thread = threading.Thread(target=delete, daemon=True)
        thread.start()
        harness.eventually("its files are to go", lambda: self.daemon.reached("trash.before_removed"))
        self.daemon.kill()
        self.plan("trash.before_removed 1 delay=2500")
        thread.join()
        self.daemon.start()
        harness.eventually("what is left is to go", lambda: self.daemon.reached("trash.before_removed"))
        self.assertEqual(404, cell.call("GET").status)
        trash, = self.trash()
        self.assertTrue((trash / "work/a/b").exists())
        other = self.cell("small")
        harness.eventually("all is gone", lambda: not self.trash())
        self.assertEqual(204, other.call("DELETE").status)
        harness.eventually("so are its files", lambda: not self.trash())

    def test_a_cell_whose_last_mounts_go_slowly_waits_for_them_alone(self):
        cell, other = self.cell("slow"), self.cell("quick")
        cell.exec("echo kept > /etc/kept")
        (self.daemon.root / "faults.spawn").write_text("spawn.letting_go 1 delay=3000\n")
        try:
            self.assertEqual("hibernated", cell.call("POST", "/hibernate").json["state"])
            woken = threading.Thread(target=lambda: answers.append(cell.exec("cat /etc/kept")["stdout"]))
            answers = []
            begin = time.monotonic()
            woken.start()
            harness.eventually("they go", lambda: "letting_go" in (self.daemon.root / "faults.spawn.hits").read_text())
            self.assertEqual("here\n", other.exec("echo here")["stdout"])
            self.assertEqual([], answers)
            woken.join()
            self.assertEqual(["kept\n"], answers)
            self.assertGreater(time.monotonic() - begin, 1)
        finally:
            (self.daemon.root / "faults.spawn").unlink()

    def plan(self, line):
        (self.daemon.root / "faults").write_text(line + "\n")
        (self.daemon.root / "faults.hits").write_text("")

    def trash(self):
        return list(self.daemon.state.glob("cells/.deleted-*"))

    def test_a_cell_that_could_not_be_deleted_is_deleted_when_that_is_asked_for_again(self):
        cell = self.cell("again")
        cell.exec("true")
        cell.call("POST", "/processes", {"cmd": "exec sleep 1008"})
        (self.daemon.root / "faults").write_text("cell.before_destroy 1 errno=5\n")
        self.assertEqual(500, cell.call("DELETE").status)
        refused = cell.call("POST", "/exec", {"cmd": "true"})
        self.assertEqual((404, "cell_half_deleted"), (refused.status, refused.json["code"]))
        self.assertIn("delete it again", refused.json["remediation"])
        self.assertEqual(204, cell.call("DELETE").status)
        self.assertEqual(404, cell.call("GET").status)
        other = self.cell("left")
        other.exec("true")
        other.call("POST", "/processes", {"cmd": "exec sleep 1008"})
        (self.daemon.root / "faults").write_text("cell.before_destroy 1 errno=5 again\n")
        self.assertEqual(500, other.call("DELETE").status)
        (self.daemon.root / "faults").write_text("")
        self.assertEqual(0, self.daemon.stop(), self.daemon.log())
        self.daemon.start()
        self.assertEqual("ok\n", other.exec("echo ok")["stdout"])
        self.assertEqual(204, other.call("DELETE").status)
