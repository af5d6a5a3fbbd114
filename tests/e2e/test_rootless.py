"""A daemon without root: the same cells, what they lack, and that it says so."""
import http.server
import json
import os
import pathlib
import subprocess
import tarfile
import threading
import time
import unittest

import harness
import test_images
import test_network
import test_preview

AGENT = """
exports.hi = (ctx) => {
  ctx.store.write("made/by.txt", "the agent");
  return { out: ctx.shell("cat /work/made/by.txt").stdout, secret: process.env.SECRET, pid1: require("fs").readFileSync("/proc/1/comm", "utf8") };
};
"""
LACKING = ["mounts.idmapped", "cgroup.memory", "cgroup.pids", "cgroup.cpu", "cgroup.into", "cgroup.freeze", "cgroup.kill"]


class RootlessTest(test_preview.Visitor, harness.CellTest):
    @classmethod
    def setUpClass(cls):
        reason = harness.User.why_not()
        if reason:
            raise unittest.SkipTest(reason)
        cls.daemon = harness.Daemon("--level", "reduced", "--preview-domain", "cells.localhost", rootless=True)
        cls.user = cls.daemon.user
        cls.addClassCleanup(cls._end)

    @classmethod
    def _end(cls):
        cls.daemon.cleanup()
        harness.eventually("no process of the user is left", lambda: not cls.user.processes())

    def count(self, cell, program):
        return cell.exec(f"ps -e -o args | grep -c '[{program[0]}]{program[1:]}'")["stdout"].strip()

    def host_pids(self, marker):
        """The host's numbers of the processes whose command line holds `marker`."""
        found = []
        for pid in self.user.processes():
            try:
                if marker.encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
            except OSError:
                continue
        return found

    # ---- it is a cell ----

    def test_commands_and_files_are_those_of_a_cell(self):
        cell = self.cell()
        self.assertEqual("0 0 /work\n", cell.exec('echo "$(id -u) $(id -g) $PWD"')["stdout"])
        self.assertEqual(7, cell.exec("exit 7")["exit_code"])
        cell.call("PUT", "/files/a/b.txt", b"from outside")
        self.assertEqual("from outside root\n", cell.exec("cat a/b.txt; stat -c ' %U' a/b.txt")["stdout"])
        cell.exec("echo changed > a/b.txt; mkdir secret; chmod 700 secret; echo x > secret/y; chown -R 1000:1000 secret")
        self.assertEqual(b"changed\n", cell.call("GET", "/files/a/b.txt").body)
        self.assertEqual(b"x\n", cell.call("GET", "/files/secret/y").body)
        self.assertEqual("", cell.exec("echo root > /root/kept; echo etc > /etc/kept")["stderr"])
        self.assertEqual("a/b.txt", cell.call("POST", "/search", {"query": "changed"}).json["results"][0]["path"])

    def test_its_servers_are_seen_and_the_daemon_s_own_listeners_are_not(self):
        cell = self.cell()
        self.serve(cell, 8080)
        self.assertEqual([8080], self.ports(cell))
        self.assertEqual(b"hello from /", self.visit(cell).body)
        self.assertEqual("nothing_listens", self.visit(cell, port=443).json["code"])

    def test_without_sk_lookup_named_ports_are_reached_and_any_other_through_the_proxy(self):
        server = http.server.HTTPServer((test_network.own_address() or self.skipTest("loopback addresses only"), 0), test_network.Hello)
        self.addCleanup(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        address, port = server.server_address
        cell = self.cell(network={"allow": [f"{address}:*"]})
        get = lambda *words: cell.exec(["curl", "-sS", "--max-time", "5", *words, f"http://{address}:{port}/"])
        self.assertEqual(7, get()["exit_code"])  # nobody listens for it
        self.assertEqual("hello from the host", get("--proxy", "http://127.0.0.1:3128")["stdout"])
        cell.call("PUT", "/network", json.dumps({"allow": [f"{address}:*", f"{address}:{port}"]}))
        self.assertEqual("hello from the host", get()["stdout"])
        self.assertIn("cells reach outside the ports 22, 80, 443 and those that their policies name", self.daemon.log())

    def test_files_outlive_hibernation_and_a_killed_daemon(self):
        cell = self.cell()
        cell.exec("echo one > /work/one; echo two > /etc/two")
        self.assertEqual(200, cell.call("POST", "/hibernate").status)
        self.assertEqual("one\ntwo\n", cell.exec("cat /work/one /etc/two")["stdout"])
        before = set(self.user.processes()) - {self.daemon.process.pid}
        self.daemon.restart()
        self.assertEqual("one\ntwo\n", cell.exec("cat /work/one /etc/two")["stdout"])
        self.assertTrue(before & set(self.user.processes()), "the domain lived on")

    def test_an_agent_answers_and_commands_do_not_see_it(self):
        cell = self.cell(agent=AGENT, secrets={"SECRET": "s3cret"})
        answer = cell.request("hi")
        self.assertEqual(("the agent", "s3cret"), (answer.json["out"], answer.json["secret"]), answer)
        seen = cell.exec("ps -ef; ls -la / /data; cat /proc/*/environ")
        self.assertNotIn("host.js", seen["stdout"])
        self.assertNotIn("s3cret", seen["stdout"])

    def test_a_pause_stops_everything_and_a_resume_lets_it_go_on(self):
        cell = self.cell()
        stream = self.daemon.stream("POST", cell.path + "/exec", {"cmd": "echo up; while [ ! -e go ]; do sleep 0.001; done; echo woke"})
        events = iter(stream)
        self.assertEqual("up\n", next(events).json["text"])
        self.assertEqual("paused", cell.call("POST", "/pause").json["state"])
        state = {pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] for pid in self.host_pids("while [ ! -e go ]")}
        self.assertLessEqual(state, {"T", "D"})  # D: its child stopped between vfork and exec
        (cell.dir / "work/go").touch()
        self.assertEqual("active", cell.call("POST", "/resume").json["state"])
        self.assertIn("woke\n", [event.json.get("text") for event in events])

    def test_processes_at_work_are_seen_in_their_cell_and_no_other(self):
        busy, idle = (self.daemon.create(name, idle_timeout_s=2) for name in ("busy", "idle"))
        stream = self.daemon.stream("POST", busy.path + "/exec", {"cmd": "echo go; (while :; do :; done) & sleep 1000"})
        next(iter(stream))
        idle.exec("true")
        kinds = lambda: [blocker["kind"] for blocker in busy.get()["idle"]["blockers"]]
        harness.eventually("it is seen at work", lambda: "processes" in kinds())
        harness.eventually("the other one pauses", lambda: idle.get()["state"] == "paused")
        stream.close()

    def test_a_paused_cell_is_paused_for_the_next_daemon_too(self):
        cell = self.cell()
        cell.exec("true")
        cell.call("POST", "/pause")
        self.daemon.restart()
        self.assertEqual("paused", cell.get()["state"])
        self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])

    def test_an_image_of_the_users_is_the_cells_to_change(self):
        root = self.daemon.root / "image-files"
        test_images.small_root(root, "own\n")
        archive = self.daemon.root / "image.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, ".", filter=lambda entry: entry.replace(uid=0, gid=0, uname="", gname="", deep=False))
        made = self.run_as_user("cellar", "image", "import", archive, "--name", "small", CELLAR_STATE=str(self.daemon.state))
        self.assertEqual(0, made.returncode, made.stderr)
        self.assertIn("small", self.run_as_user("cellar", "image", "ls", CELLAR_STATE=str(self.daemon.state)).stdout)
        cell, other = self.cell("one", image="small"), self.cell("two", image="small")
        self.assertEqual("own\n", cell.exec("cat /etc/marker")["stdout"])
        self.assertEqual("", cell.exec("echo changed > /etc/marker; echo new > /bin/new")["stderr"])
        self.assertEqual(200, cell.call("POST", "/hibernate").status)
        self.assertEqual("changed\nnew\n", cell.exec("cat /etc/marker /bin/new")["stdout"])
        self.assertEqual("own\n", other.exec("cat /etc/marker")["stdout"])
        for each in (cell, other):
            each.call("DELETE")
        gone = self.run_as_user("cellar", "image", "rm", "small", CELLAR_STATE=str(self.daemon.state))
        self.assertEqual(0, gone.returncode, gone.stderr)

    # ---- what a command started ends ----

    def test_a_process_in_the_background_has_a_terminal_and_ends_with_all_it_started(self):
        cell = self.cell()
        process = cell.call("POST", "/processes", {"cmd": "tty; setsid sleep 1000 & sleep 1000", "terminal": True}).json["id"]
        events = iter(self.daemon.stream("GET", f"{cell.path}/processes/{process}/log"))
        self.assertEqual("/dev/pts/0", next(events).json["text"].strip())
        cell.call("POST", f"/processes/{process}/signal", {"signal": "KILL"})
        self.assertEqual(137, [event for event in events][-1].json["exit_code"])
        self.assertEqual("", cell.exec("pgrep -x sleep; :")["stdout"])

    def test_a_timeout_kills_all_that_was_started_whatever_it_ignores(self):
        cell = self.cell()
        result = cell.exec("trap '' TERM INT HUP; (setsid sh -c 'trap \"\" TERM; while :; do :; done' &) ; while :; do sleep 1; done",
                           timeout_ms=500)
        self.assertEqual((True, 137), (result["timed_out"], result["exit_code"]))
        self.assertNotIn("lost", result)  # Its keeper was in time: the domain lives on.
        self.assertEqual("0", self.count(cell, "while"))
        cell.exec("(setsid sleep 1000 &) ; true")
        self.assertEqual("0", self.count(cell, "sleep 1000"))

    def test_a_command_that_ends_or_stops_its_keeper_loses_everything(self):
        neighbour, cell = self.cell("neighbour"), self.cell()
        killed = cell.exec("(setsid sleep 1000 &); kill -9 $PPID; sleep 1000", timeout_ms=20_000)
        self.assertEqual((False, 9), (killed["timed_out"], killed["signal"]))
        self.assertEqual("0", self.count(cell, "sleep 1000"))
        stopped = cell.exec("(setsid sleep 1001 &); kill -STOP $PPID; sleep 1001", timeout_ms=500)
        self.assertTrue(stopped["timed_out"])
        self.assertLess(stopped["duration_ms"], 10_000)
        self.assertEqual("0", self.count(cell, "sleep 1001"))
        self.assertEqual([], self.host_pids("sleep 100"))
        self.assertEqual("ok\n", neighbour.exec("echo ok")["stdout"])

    def test_a_client_that_leaves_ends_its_command_whatever_that_does_about_it(self):
        cell = self.cell()
        for number, trick in ((1005, ":"), (1006, "kill -STOP $PPID")):
            stream = self.daemon.stream("POST", cell.path + "/exec", {"cmd": f"{trick}; echo here; (setsid sleep {number} &); sleep {number}"})
            next(iter(stream))
            stream.close()
            harness.eventually("the command ends", lambda: not self.host_pids(f"sleep {number}") and not self.host_pids(f"sleep\x00{number}"))

    def test_an_agent_that_stops_its_keeper_can_still_be_deleted(self):
        cell = self.cell(agent="exports.stop = () => { process.kill(process.ppid, 'SIGSTOP'); process.exit(1); };")
        stream = self.daemon.stream("POST", cell.path + "/request", {"method": "stop", "params": {}})
        time.sleep(1)
        self.assertEqual(204, cell.call("DELETE").status)
        stream.close()

    def test_a_fork_bomb_has_an_end_and_hurts_nobody_else(self):
        neighbour, cell = self.cell("neighbour"), self.cell()
        cell.exec("f() { f | f & }; f; sleep 2", timeout_ms=4000)
        self.assertEqual("ok\n", neighbour.exec("echo ok")["stdout"])
        self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])

    # ---- what it is apart from ----

    def test_cells_see_neither_each_other_nor_the_host(self):
        one, two = self.cell("one"), self.cell("two")
        one.exec("echo secret > /work/mine")
        stream = self.daemon.stream("POST", one.path + "/exec", {"cmd": "echo up; sleep 1002"})
        next(iter(stream))
        marker = self.daemon.root / "host-file"  # anybody on the host may read it
        marker.write_text("host")
        marker.chmod(0o644)
        for path in (marker, one.dir / "work/mine", self.daemon.state, "/etc/ssh", "/home/*", "/proc/1/root/", "/proc/1/environ"):
            self.assertNotEqual(0, two.exec(f"ls -d {path}/. || cat {path}")["exit_code"], path)
        self.assertNotIn("sleep 1002", two.exec("ps -ef")["stdout"])
        self.assertNotEqual(*[cell.exec("readlink /proc/self/ns/user")["stdout"] for cell in (one, two)])
        stream.close()

    def test_root_in_a_cell_is_nobody_on_the_host(self):
        cell = self.cell()
        stream = self.daemon.stream("POST", cell.path + "/exec", {"cmd": "echo up; exec sleep 1003"})
        next(iter(stream))
        (pid,) = harness.eventually("it sleeps", lambda: self.host_pids("sleep\x001003"))
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        self.assertEqual([str(self.user.first_id)] * 4, status["Uid"].split())
        self.assertEqual(("1", "2"), (status["NoNewPrivs"], status["Seccomp"]))
        self.assertEqual(0, int(status["CapBnd"], 16) & (1 << 21), "CAP_SYS_ADMIN")
        self.assertNotEqual(os.readlink("/proc/self/ns/user"), os.readlink(f"/proc/{pid}/ns/user"))
        stream.close()
        for command in ("mount -t tmpfs none /mnt", "unshare -U true", "unshare -m true", "mknod /work/d b 8 0", "chroot /proc/1/root true",
                        "hostname other", "nsenter -t 1 -m true"):
            self.assertNotEqual(0, cell.exec(command)["exit_code"], command)
        self.assertNotEqual(0, cell.exec("exec 3<>/dev/tcp/1.1.1.1/80", timeout_ms=5000)["exit_code"])

    def test_the_daemons_own_files_are_for_its_user_only(self):
        cell = self.cell()
        cell.exec("echo x > /work/x")
        self.assertEqual(self.user.first_id, (cell.dir / "work/x").stat().st_uid)
        for path in (self.daemon.state, self.daemon.state / "cells", cell.dir):
            self.assertEqual((self.user.uid, 0o700), (path.stat().st_uid, path.stat().st_mode & 0o777), path)

    # ---- what it cannot do, and says ----

    def test_a_limit_that_nothing_would_enforce_is_refused_by_name(self):
        cell = self.cell()
        for limit in ({"memory_bytes": 64 << 20}, {"pids": 10}, {"cpu_millis": 500}):
            refused = cell.call("POST", "/exec", {"cmd": "true", "limits": limit})
            self.assertEqual((400, "limit_not_enforced"), (refused.status, refused.json["code"]), refused)
            self.assertIn(next(iter(limit)), refused.json["error"])
        self.assertEqual("16\n", cell.exec("ulimit -n", limits={"open_files": 16})["stdout"])

    def test_a_cell_says_what_it_lacks(self):
        shown = self.cell().get()
        self.assertEqual("reduced", shown["isolation"]["level"])
        self.assertEqual(LACKING, [lack["id"] for lack in shown["isolation"]["missing"]])
        self.assertEqual(["memory_bytes", "pids", "cpu_millis"], shown["limits"]["not_enforced"])
        for id in LACKING:
            self.assertIn(id, self.daemon.log())

    def test_gvisor_is_refused_by_name(self):
        refused = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "g", "runtime": "gvisor"})
        self.assertEqual((503, "runtime_unavailable"), (refused.status, refused.json["code"]))
        self.assertIn("without root", refused.json["error"])

    def run_as_user(self, *command, **environment):
        return subprocess.run(self.user.wrap(*command), capture_output=True, text=True, timeout=harness.WAIT_S,
                              env={**os.environ, "HOME": str(self.daemon.root), **environment})

    def test_doctor_says_the_same(self):
        told = self.run_as_user("cellar", "-o", "json", "doctor", "--level", "reduced")
        self.assertEqual(0, told.returncode, told.stderr)
        told = json.loads(told.stdout)
        self.assertEqual(("reduced", "lacks " + ", ".join(LACKING)), (told["runtimes"][0]["state"], told["runtimes"][0]["why"]))
        self.assertEqual("unavailable", told["runtimes"][1]["state"])
        findings = {finding["id"]: finding for finding in told["findings"]}
        self.assertEqual("warning", findings["user"]["verdict"])
        self.assertEqual(1, self.run_as_user("cellar", "doctor").returncode)

    def test_level_full_serves_nothing(self):
        refused = self.run_as_user("cellard", "--listen", "127.0.0.1:0")
        self.assertEqual((1, ""), (refused.returncode, refused.stdout))
        for id in LACKING:
            self.assertIn(id, refused.stderr)
        self.assertIn("--level reduced", refused.stderr)

    def test_a_state_folder_of_another_users_daemon_is_refused(self):
        self.cell()
        words = ["--state", self.daemon.state, "--listen", "127.0.0.1:0", "--seal-key-file", self.daemon.root / "other.key"]
        refused = subprocess.run([harness.BIN / "cellard", *words], capture_output=True, text=True, timeout=harness.WAIT_S)
        self.assertEqual(1, refused.returncode)
        self.assertIn("another user's", refused.stderr)

    def test_a_changed_range_of_ids_is_refused_by_both_names(self):
        state, ranges = self.daemon.root / "begun", self.user.root / "etc/subuid"
        begun = self.run_as_user("cellar", "image", "ls", CELLAR_STATE=str(state))
        self.assertEqual(0, begun.returncode, begun.stderr)
        kept = ranges.read_text()
        self.addCleanup(ranges.write_text, kept)
        ranges.write_text(kept.replace(str(self.user.first_id), "72000000"))
        words = ("--level", "reduced", "--state", state)
        for command in (("cellard", "--listen", "127.0.0.1:0", *words), ("cellar", "doctor", *words), ("cellar", "image", "ls", "--state", state)):
            refused = self.run_as_user(*command)
            self.assertEqual(1, refused.returncode, command)
            for said in (f"users from {self.user.first_id}", "users from 72000000", f"make {self.user.first_id}:65536 the user's first range"):
                self.assertIn(said, refused.stdout + refused.stderr, command)
        ranges.write_text(kept)
        self.assertEqual(0, self.run_as_user("cellar", "doctor", *words).returncode)

    def test_a_deleted_cell_leaves_nothing(self):
        cell = self.cell()
        cell.exec("mkdir -p a/b; echo x > a/b/c; chown -R 1000 a; chmod 0 a/b; touch /etc/x; rm -r /etc/skel")
        stream = self.daemon.stream("POST", cell.path + "/exec", {"cmd": "echo up; sleep 1004"})
        next(iter(stream))
        self.assertEqual(204, cell.call("DELETE").status)
        stream.close()
        self.assertFalse(cell.dir.exists())
        self.assertEqual([], self.host_pids("sleep 1004"))
