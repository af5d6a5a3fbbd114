"""gVisor as the runtime: what holds for native cells holds for these, and the floor is kept."""
import concurrent.futures
import json
import os
import pathlib
import shutil
import tempfile
import time

import harness
import test_exec
import test_network
import test_persistence
import test_preview
import test_search


class GvisorTest(harness.CellTest):
    """All cells of the daemon run in gVisor."""

    options = ("--runtime-floor", "gvisor")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        answer = cls.daemon.call("POST", "/api/v1/cells", {"customer_id": "probe"})
        if answer.status == 503:
            print(f"skipped: {cls.__name__}: {answer.json['error']}")
            raise harness.unittest.SkipTest(answer.json["error"])
        cls.daemon.call("DELETE", "/api/v1/cells/" + answer.json["cell_id"])


class PreviewInGvisorTest(test_preview.Visitor, GvisorTest):
    options = (*GvisorTest.options, "--preview-domain", "cells.localhost")

    def test_a_server_in_gvisor_is_seen_and_woken(self):
        cell = self.cell()
        self.serve(cell, 8080)
        self.assertEqual([8080], self.ports(cell))
        self.assertEqual(b"hello from /", self.visit(cell).body)
        cell.call("POST", "/pause")
        self.assertEqual(b"hello from /a", self.visit(cell, "/a").body)
        self.assertEqual("nothing_listens", self.visit(cell, port=443).json["code"])


class ExecInGvisorTest(GvisorTest, test_exec.ExecTest):
    def test_it_is_gvisor_s_kernel_that_answers(self):
        cell = self.cell()
        self.assertEqual("gvisor", cell.get()["runtime"])
        self.assertEqual("gvisor", json.loads((cell.dir / "cell.json").read_text())["runtime"])
        self.assertEqual("4.4.0\n", cell.exec("uname -r")["stdout"])
        pid = json.loads((cell.dir / "run/shell.json").read_text())["pid"]
        first, outside, count = pathlib.Path(f"/proc/{pid}/uid_map").read_text().split()
        self.assertEqual(("0", "65536"), (first, count))
        self.assertGreaterEqual(int(outside), 0x10000000)
        self.assertIn(f"/{cell.slot()}/shell", pathlib.Path(f"/proc/{pid}/cgroup").read_text())

    def test_limits_that_a_command_cannot_have_in_there_are_refused_by_name(self):
        answer = self.cell().call("POST", "/exec", {"cmd": "true", "limits": {"memory_bytes": 1 << 26}})
        self.assertEqual((400, "not_in_gvisor"), (answer.status, answer.json["code"]))

    def test_a_process_goes_on_in_the_background_and_has_no_terminal(self):
        cell = self.cell()
        process = cell.call("POST", "/processes", {"cmd": "read line; echo got $line; sleep 1000", "stdin": True}).json["id"]
        self.daemon.call("POST", f"{cell.path}/processes/{process}/stdin", b"it\n")
        events = iter(self.daemon.stream("GET", f"{cell.path}/processes/{process}/log"))
        self.assertEqual(("stdout", "got it\n"), (lambda event: (event.type, event.json["text"]))(next(events)))
        cell.call("POST", f"/processes/{process}/signal", {"signal": "TERM"})
        self.assertEqual(143, next(events).json["exit_code"])
        self.assertEqual("", cell.exec("pgrep -x sleep; :")["stdout"])
        refused = cell.call("POST", "/processes", {"terminal": True})
        self.assertEqual((400, "not_in_gvisor"), (refused.status, refused.json["code"]))

    def test_at_its_timeout_the_whole_tree_is_gone_whatever_it_blocks(self):
        cell = self.cell()
        script = ("import os, signal, time\n"
                  "for i in range(5):\n"
                  "  if os.fork() == 0:\n"
                  "    os.setsid()\n"
                  "    if os.fork(): os._exit(0)\n"
                  "    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
                  "    while True:\n"
                  "      open(f'/work/beat{i}', 'w').write(str(time.time()))\n"
                  "      time.sleep(0.01)\n"
                  "while True: time.sleep(1)\n")
        cell.exec("true")
        for timeout_ms in (2500, 20_000):  # On a busy machine not all of them have begun by the first.
            self.assertTrue(cell.exec(["python3", "-c", script], timeout_ms=timeout_ms)["timed_out"])
            ended = time.time()
            beats = [float(path.read_text() or 0) for path in (cell.dir / "work").glob("beat*")]
            self.assertEqual("", cell.exec("sleep 0.3; find /work -name 'beat*' -newermt '-0.2 seconds'")["stdout"])
            self.assertLess(max(beats, default=0), ended + 0.1)
            if len(beats) == 5:
                break
        self.assertEqual(5, len(beats))

    def test_installed_files_stay_and_what_others_write_is_seen(self):
        cell = self.cell(agent="module.exports = { write(ctx, { text }) { ctx.store.write('shared', text); return true; } }")
        cell.exec("echo tool > /usr/local/bin/tool; cat /work/shared")
        for text in ("one", "two and more"):
            cell.request("write", {"text": text})
            self.assertEqual(text, cell.exec("cat /work/shared")["stdout"])
            cell.call("PUT", "/files/shared", b"by the api " + text.encode())
            self.assertEqual(f"by the api {text}", cell.exec("cat /work/shared")["stdout"])
        self.assertEqual(0, cell.exec("ls -l / /proc/self/fd /work")["exit_code"])
        cell.call("POST", "/hibernate")
        self.assertEqual("tool\n", cell.exec("cat /usr/local/bin/tool")["stdout"])
        self.assertEqual([], list((cell.dir / "run").glob("agent.sock.runsc")))

    def test_commands_cannot_administer_even_gvisor_s_kernel(self):
        cell = self.cell()
        for command in ("mount -t tmpfs x /mnt", "unshare -m true", "umount /work", "chroot / mount -t proc x /mnt"):
            self.assertNotEqual(0, cell.exec(command)["exit_code"], command)
        bits = int(cell.exec("grep CapBnd /proc/self/status")["stdout"].split()[1], 16)
        self.assertEqual(0, bits & 1 << 21)  # SYS_ADMIN


class NetworkInGvisorTest(GvisorTest, test_network.NetworkTest):
    pass


class PersistenceInGvisorTest(GvisorTest, test_persistence.PersistenceTest):
    pass


class SearchInGvisorTest(GvisorTest, test_search.SearchTest):
    pass


class RunsInGvisorTest(GvisorTest):
    def test_an_agent_uses_ctx_and_its_run_survives_the_daemon(self):
        agent = """
          module.exports = { async work(ctx) {
            const first = ctx.shell("echo from the shell; exit 3");
            const n = await ctx.step("count", () => { ctx.store.write("n", "1"); return 41; });
            ctx.stream({ n });
            ctx.shell("touch /work/waiting; while ! test -e /work/go; do sleep 0.05; done");
            return { out: first.stdout, code: first.exitCode, n: n + 1 };
          } }"""
        cell = self.cell(agent=agent)
        stream = self.daemon.stream("POST", cell.path + "/request", {"method": "work", "params": {}})
        harness.eventually("the last step runs", lambda: cell.call("GET", "/files/waiting").status == 200)
        self.daemon.restart()
        stream.close()
        cell.call("PUT", "/files/go", b"")
        run = cell.settled(cell.runs()[0]["id"])
        self.assertEqual("completed", run["status"])
        self.assertEqual({"out": "from the shell\n", "code": 3, "n": 42}, run["result"])


class FloorTest(harness.CellTest):
    options = ("--runtime-floor", "gvisor")

    def test_a_weaker_runtime_than_the_floor_is_refused(self):
        answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "a", "runtime": "native"})
        self.assertEqual((400, "runtime_too_weak"), (answer.status, answer.json["code"]))
        self.assertIn("gvisor", answer.json["remediation"])
        answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "a", "runtime": "docker"})
        self.assertEqual((400, "invalid_runtime"), (answer.status, answer.json["code"]))
        self.assertEqual([], self.daemon.get("/api/v1/cells").json["cells"])


class RaisedFloorTest(harness.CellTest):
    def test_a_weaker_cell_does_not_run_any_more_and_keeps_its_runtime(self):
        cell = self.cell(runtime="native")
        self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])
        answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": cell.fields["customer_id"], "runtime": "gvisor"})
        self.assertEqual((409, "runtime_differs"), (answer.status, answer.json["code"]))
        self.daemon.stop()
        self.daemon.options += ["--runtime-floor", "gvisor"]
        self.daemon.start()
        answer = cell.call("POST", "/exec", {"cmd": "true"})
        self.assertEqual((503, "runtime_too_weak"), (answer.status, answer.json["code"]))
        self.assertEqual("native", cell.get()["runtime"])


class OwnPathTest(harness.CellTest):
    """A daemon whose programs are first, or only, looked up in a folder of the test's."""

    also = ()

    @classmethod
    def setUpClass(cls):
        path = os.environ["PATH"]
        cls.addClassCleanup(os.environ.update, PATH=path)
        folder = pathlib.Path(tempfile.mkdtemp(prefix=harness.PREFIX, dir="/var/tmp"))  # not /tmp: a start has its own
        cls.addClassCleanup(shutil.rmtree, folder)
        folder.chmod(0o755)
        cls.folder = folder
        os.environ["PATH"] = ":".join((str(folder), *cls.also))
        super().setUpClass()

    def put_runsc(self, script):
        (self.folder / "runsc").write_text("#!/bin/sh\n" + script)
        (self.folder / "runsc").chmod(0o755)


class SlowTest(OwnPathTest):
    """A runsc that makes no domain before it may; each one that waits is a process of its cell."""

    also = tuple(os.environ["PATH"].split(":"))
    runsc = shutil.which("runsc")

    def setUp(self):
        super().setUp()
        (self.folder / "go").unlink(missing_ok=True)
        self.put_runsc("grep -q gvisor-probe /tmp/sources/bundle/config.json || "
                       f"while ! test -e {self.folder}/go; do sleep 0.05; done\nexec {self.runsc} \"$@\"\n")
        answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "probe", "runtime": "gvisor"})
        if answer.status == 503:
            print(f"skipped: {type(self).__name__}: {answer.json['error']}")
            self.skipTest(answer.json["error"])

    def begin(self, count):
        """Cells whose first commands wait for runsc, all of them at the same time, and those commands."""
        cells = [self.cell(f"{self._testMethodName[:20]}{n}", runtime="gvisor") for n in range(count)]
        commands = [self.pool.submit(cell.call, "POST", "/exec", {"cmd": f"echo {cell.id}"}) for cell in cells]
        harness.eventually("runsc waits in each", lambda: all(cell.slot() and cell.processes("shell") for cell in cells))
        return cells, commands

    def test_native_cells_are_made_while_others_start_in_gvisor_several_at_a_time(self):
        with concurrent.futures.ThreadPoolExecutor() as self.pool:
            cells, commands = self.begin(3)
            native = self.cell("native", runtime="native", agent="module.exports = { hello() { return 'hello'; } };")
            self.assertEqual("ok\n", native.exec("echo ok")["stdout"])
            self.assertEqual("hello", native.request("hello").json)
            self.assertEqual([False] * 3, [command.done() for command in commands])
            (self.folder / "go").touch()
            self.assertEqual([f"{cell.id}\n" for cell in cells], [command.result().json["stdout"] for command in commands])

    def test_a_start_that_is_under_way_ends_with_the_daemon_and_the_cell_starts_with_the_next(self):
        with concurrent.futures.ThreadPoolExecutor() as self.pool:
            cells, commands = self.begin(2)
            waiting = [pid for cell in cells for pid in cell.processes("shell")]
            self.assertEqual(0, self.daemon.stop())
            harness.eventually("they have ended", lambda: all(map(harness.has_ended, waiting)))
            concurrent.futures.wait(commands)
            self.daemon.start()
            (self.folder / "go").touch()
            self.assertEqual("ok\n", cells[0].exec("echo ok")["stdout"])

    def test_a_start_that_fails_is_told_and_the_next_one_works(self):
        cell = self.cell("failing", runtime="gvisor")
        self.put_runsc("echo no sandbox today >&2; exit 1\n")
        answer = cell.call("POST", "/exec", {"cmd": "true"})
        self.assertEqual((503, "sandbox_failed"), (answer.status, answer.json["code"]))
        self.assertIn("no sandbox today", answer.json["error"])
        self.put_runsc(f"exec {self.runsc} \"$@\"\n")
        self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])


class MissingTest(OwnPathTest):
    """A machine without runsc: a PATH that has everything else."""

    def refused(self):
        answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "a", "runtime": "gvisor"})
        self.assertEqual((503, "runtime_unavailable"), (answer.status, answer.json["code"]))
        self.assertIn("runsc", answer.json["remediation"])
        self.assertEqual([], self.daemon.get("/api/v1/cells").json["cells"])
        return answer.json["error"]

    def test_without_a_runsc_that_works_no_cell_is_made_and_the_reason_is_told(self):
        self.assertIn("not installed", self.refused())
        self.put_runsc("echo too weird a kernel >&2\nexit 1\n")
        self.assertIn("too weird a kernel", self.refused())
