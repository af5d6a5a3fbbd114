"""The command line `cellar` against a real daemon, as somebody at a terminal uses it."""
import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import harness

AGENT = """
module.exports = {
  hello(ctx, params) { return { hello: params.name }; },
  text() { return "two\\nlines"; },
  boom() { throw new Error("it broke"); },
  own(ctx) { ctx.stream(1); return { error: "a value like any other" }; },
  async tell(ctx) { ctx.stream({ n: 1 }); await ctx.shell("echo out; echo err >&2"); return "done"; },
  async tellAndBreak(ctx) { ctx.stream({ n: 1 }); throw new Error("later"); },
};
"""


class Relay:
    """Passes connections on to a port of this machine, until they are cut."""

    def __init__(self, target):
        self.target, self.sockets = target, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                near = self.listener.accept()[0]
                try:
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:  # Nobody is there now.
                    near.close()
                    continue
                self.sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self.copy, args=(source, sink), daemon=True).start()

    def copy(self, source, sink):
        ends = socket.SHUT_RDWR  # A reset on one side must not leave the other one waiting.
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            ends = socket.SHUT_WR
        with contextlib.suppress(OSError):
            sink.shutdown(ends)

    def cut(self):
        while self.sockets:
            with contextlib.suppress(OSError), self.sockets.pop() as wire:
                wire.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class CliTest(harness.CellTest):
    def cellar(self, *words, stdin="", key=None, url=None):
        environment = dict(os.environ, CELLAR_URL=url or f"http://127.0.0.1:{self.daemon.port}",
                           CELLAR_API_KEY=self.daemon.key if key is None else key)
        stdin = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run([harness.BIN / "cellar", *map(str, words)], input=stdin, capture_output=True,
                              env=environment, cwd=self.daemon.root, timeout=harness.WAIT_S)
        return done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode()

    def begin(self, *words):
        """One that goes on meanwhile."""
        process = subprocess.Popen([harness.BIN / "cellar", "--url", f"http://127.0.0.1:{self.daemon.port}", "--api-key",
                                    self.daemon.key, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def check(self, code, out, err, *words, **how):
        self.assertEqual((code, out, err), self.cellar(*words, **how), words)

    def json(self, *words, code=0, **how):
        got, out, err = self.cellar("-o", "json", *words, **how)
        self.assertEqual((code, ""), (got, err), words)
        return json.loads(out)

    def json_error(self, code, *words, **how):
        got, out, err = self.cellar("-o", "json", *words, **how)
        self.assertEqual((code, ""), (got, out), words)
        return json.loads(err)

    def local(self, name, data=b"", mode=0o644):
        path = self.daemon.root / self._testMethodName / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
        return path

    def record(self, text):
        return dict(line.split("\t", 1) for line in text.splitlines())


class CellsTest(CliTest):
    def test_a_cell_is_made_listed_shown_and_deleted(self):
        code, out, err = self.cellar("create", "ada", "--agent", self.local("agent.js", AGENT.encode()), "--tier", "standard")
        made = self.record(out)
        self.assertEqual((0, "", "dev--ada", "standard"), (code, err, made["cell_id"], made["tier"]))
        changed = self.json("create", "ada", "--permanent", "--allow", "example.org")
        self.assertEqual(("dev--ada", True, ["example.org"]), (changed["cell_id"], changed["permanent"], changed["allow"]))
        row = next(line for line in self.cellar("ls")[1].splitlines() if line.startswith("dev--ada\t")).split("\t")
        self.assertEqual(["dev--ada", "active", "standard", "ada"], row[:4])
        self.assertIn("dev--ada", [cell["cell_id"] for cell in self.json("ls")["cells"]])
        self.assertEqual(["example.org", "a.test"], self.json("network", "dev--ada", "allow", "a.test")["policy"]["allow"])
        self.assertEqual([], self.json("network", "dev--ada", "set", "deny-all")["policy"]["allow"])
        shown = self.record(self.cellar("get", "dev--ada")[1])
        self.assertEqual(made["created_at"], shown["created_at"])
        self.assertEqual("dev--ada", self.json("get", "dev--ada")["cell_id"])
        self.check(0, "", "", "rm", "dev--ada")
        self.assertNotIn("dev--ada", self.cellar("ls")[1])
        self.json("create", "ada")
        self.assertEqual({"ok": True}, self.json("rm", "dev--ada"))

    def test_a_cell_is_paused_and_resumed(self):
        cell = self.cell()
        cell.exec("true")
        self.assertEqual("paused", self.record(self.cellar("pause", cell.id)[1])["status"])
        self.assertEqual("paused", self.json("pause", cell.id)["status"])
        resumed = self.record(self.cellar("resume", cell.id)[1])
        self.assertEqual("active", resumed["status"])
        self.assertEqual("memory", resumed["resume.from"])
        self.assertEqual("memory", self.json("resume", cell.id)["resume"]["from"])

    def test_what_a_hibernated_cell_lost_is_said(self):
        cell = self.cell(agent=AGENT)
        cell.request("text")
        cell.call("POST", "/hibernate")
        lost = "cellar: lost: node --v8-pool-size=1 /opt/cellar/agent-host/host.js (agent "
        code, out, err = self.cellar("resume", cell.id)
        self.assertEqual((0, "disk"), (code, self.record(out)["resume.from"]))
        self.assertTrue(err.startswith(lost) and err.endswith(": hibernated\n") and err.count("\n") == 1, err)

    def test_what_is_wrong_with_a_cells_settings_is_named(self):
        for words, code, what in ((("--tier", "huge"), 1, "tier"), (("--image", "none-such"), 3, "none-such"),
                                  (("--allow", "http://x"), 1, "http://x"), (("--idle-timeout", "0"), 2, "--idle-timeout"),
                                  (("--agent", "missing.js"), 3, "missing.js"), (("--secret", "NOT_SET_ANYWHERE"), 2, "NOT_SET")):
            got, out, err = self.cellar("create", "wrong", *words)
            self.assertEqual((code, ""), (got, out), (words, err))
            self.assertIn(what, err)

    def test_an_unknown_cell_is_exit_code_3_everywhere(self):
        file = self.local("file")
        for words in (("get",), ("rm",), ("pause",), ("resume",), ("search", "q"), ("request", "m"), ("events", "r"),
                      ("cancel", "r"), ("exec", "--", "true")):
            words = (words[0], "dev--nobody", *words[1:])
            self.check(3, "", 'cellar: no cell "dev--nobody"\n        "cellar ls" lists the cells\n', *words)
            self.assertEqual("cell_not_found", self.json_error(3, *words)["code"])
        for source, target in ((file, "dev--nobody:/x"), ("dev--nobody:/x", file)):
            self.assertEqual("cell_not_found", self.json_error(3, "cp", source, target)["code"])
        for strange in ("..", "a/b", "dev--nobody/files", "%2e", "a?b"):
            self.assertEqual(3, self.cellar("get", strange)[0], strange)

    def test_a_wrong_key_or_no_daemon_is_told_with_what_to_do(self):
        for key in ("wrong", "", "two words"):
            code, out, err = self.cellar("ls", key=key)
            self.assertEqual((5, ""), (code, out), key)
            self.assertIn("CELLAR_API_KEY", err)
        self.assertEqual("unauthenticated", self.json_error(5, "ls", key="wrong")["code"])
        for url in ("http://127.0.0.1:1", "127.0.0.1:1"):
            code, out, err = self.cellar("ls", url=url)
            self.assertEqual((4, ""), (code, out))
            self.assertIn("cannot reach http://127.0.0.1:1", err)
            self.assertIn("is cellard running there?", err)
        self.assertEqual("daemon_unreachable", self.json_error(4, "ls", url="http://127.0.0.1:1")["code"])
        self.assertEqual(2, self.cellar("ls", url="ftp://127.0.0.1")[0])

    def test_wrong_usage_is_exit_code_2_and_asks_nothing_of_the_daemon(self):
        for words, what in (((), "required"), (("frobnicate",), "frobnicate"), (("get",), "ID is required"),
                            (("rm", ""), "ID: must not be empty"), (("get", "a", "b"), "b"), (("ls", "-o", "xml"), "xml"),
                            (("exec", "c", "ls"), "exec ID -- CMD"), (("exec", "c"), "the command is missing"),
                            (("exec", "c", "--"), "the command is missing"), (("exec", "c", "--timeout", "0", "--", "x"), "--timeout"),
                            (("search", "c", "q", "--limit", "0"), "--limit"), (("cp", "a", "b"), "ID:/PATH"),
                            (("request", "c", "m", "{bad"), "line 1, column 2")):
            code, out, err = self.cellar(*words, url="http://127.0.0.1:1")
            self.assertEqual((2, ""), (code, out), (words, err))
            self.assertIn(what, err)


class ExecTest(CliTest):
    def test_a_command_ends_and_writes_here_as_it_does_there(self):
        cell = self.cell()
        self.check(0, "out\n", "err\n", "exec", cell.id, "--", "echo out; echo err >&2")
        self.check(3, "", "", "exec", cell.id, "--", "exit 3")
        self.check(255, "", "", "exec", cell.id, "--", "sh", "-c", "exit 255")
        self.check(137, "", "", "exec", cell.id, "--", "kill -9 $$")
        self.assertEqual(127, self.cellar("exec", cell.id, "--", "no-such-program")[0])
        self.check(0, "a b|$HOME|*\n", "", "exec", cell.id, "--", "printf", "%s|%s|%s\n", "a b", "$HOME", "*")
        self.check(0, "v /tmp\n", "", "exec", cell.id, "--env", "V=v", "--cwd", "/tmp", "--", "echo $V $PWD")
        self.check(0, "\udcff\x1b[1m", "", "exec", cell.id, "--", "printf '\\377\\033[1m'")

    def test_standard_input_reaches_it_unless_that_is_refused(self):
        cell = self.cell()
        self.check(0, "some ü\nlines", "", "exec", cell.id, "--", "cat", stdin="some ü\nlines")
        self.check(0, "", "", "exec", cell.id, "-n", "--", "cat", stdin="not for it")
        code, out, err = self.cellar("exec", cell.id, "--", "cat", stdin=b"\xff")
        self.assertEqual((1, ""), (code, out))
        self.assertIn('"cellar cp"', err)

    def test_as_json_it_is_one_object_and_the_same_exit_code(self):
        cell = self.cell()
        result = self.json("exec", cell.id, "--", "echo out; cat >&2; exit 4", code=4, stdin="in")
        self.assertEqual(("out\n", "in", 4), (result["stdout"], result["stderr"], result["exit_code"]))

    def test_standard_streams_that_are_closed_are_as_dev_null(self):
        cell = self.cell()
        environment = dict(os.environ, CELLAR_URL=f"http://127.0.0.1:{self.daemon.port}", CELLAR_API_KEY=self.daemon.key)
        for closed, out, err in (("<&-", b"out\n", b"err\n"), (">&-", b"", b"err\n"), ("2>&-", b"out\n", b""), ("<&- >&- 2>&-", b"", b"")):
            done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", harness.BIN / "cellar", "exec", cell.id, "--", "cat; echo out; echo err >&2"],
                                  stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=harness.WAIT_S)
            self.assertEqual((0, out, err), (done.returncode, done.stdout, done.stderr), closed)

    def test_what_ended_it_early_is_said(self):
        cell = self.cell()
        self.check(137, "", "cellar: the command was killed: it ran too long; --timeout gives it more\n",
                   "exec", cell.id, "--timeout", "0.2", "--", "sleep 1000")
        code, out, err = self.cellar("exec", cell.id, "--cwd", "/nowhere", "--", "true")
        self.assertEqual((1, ""), (code, out))
        self.assertIn("/nowhere", err)
        process = self.begin("exec", cell.id, "-n", "--", "echo here; sleep 1000")
        self.assertEqual("here\n", process.stdout.readline())  # while it runs
        cell.kill_processes("shell")
        _, err = process.communicate(timeout=harness.WAIT_S)
        self.assertEqual((137, "cellar: the command was lost with the cell's processes: domain_ended\n"), (process.returncode, err))


class Terminal:
    """The program at a terminal of its own."""

    def __init__(self, test, *words):
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
        self.before = termios.tcgetattr(slave)
        environment = {**os.environ, "CELLAR_URL": f"http://127.0.0.1:{test.daemon.port}", "CELLAR_API_KEY": test.daemon.key}
        self.process = subprocess.Popen([harness.BIN / "cellar", *words], stdin=slave, stdout=slave, stderr=slave,
                                        env=environment, start_new_session=True)
        self.slave, self.shown = slave, ""

    def type(self, text):
        os.write(self.master, text.encode())

    def until(self, text):
        give_up = time.monotonic() + harness.WAIT_S
        while text not in self.shown:
            left = give_up - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise AssertionError(f"{text!r} did not come: {self.shown!r}")
            self.shown += os.read(self.master, 65536).decode()
        self.shown = self.shown.split(text, 1)[1]

    def end(self):
        code = self.process.wait(harness.WAIT_S)
        after = termios.tcgetattr(self.slave)
        os.close(self.slave)
        os.close(self.master)
        assert after == self.before, "the terminal is not as before"
        return code


class ShellTest(CliTest):
    def test_a_shell_in_a_cell_is_one_at_this_terminal(self):
        cell = self.cell()
        shell = Terminal(self, "sh", cell.id)
        shell.until("/work# ")
        shell.type("stty size; pwd\n")
        shell.until("33 111\r\n/work\r\n")
        fcntl.ioctl(shell.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 50, 0, 0))
        os.kill(shell.process.pid, signal.SIGWINCH)
        harness.eventually("it has the new size", lambda: "20 50" in cell.exec("stty size < /dev/pts/0")["stdout"])
        shell.type("sleep 1000\n")
        harness.eventually("it sleeps", lambda: cell.exec("pgrep sleep; :")["stdout"])
        shell.type("\x03")
        shell.until("^C")
        shell.type("exit 5\n")
        self.assertEqual(5, shell.end())
        self.assertEqual([], cell.call("GET", "/processes").json["processes"])

    def test_a_command_at_a_terminal_is_left_and_found_again_also_by_two(self):
        cell = self.cell()
        shell = Terminal(self, "sh", cell.id, "--", "echo up; read line; echo got $line; read line; exit 6")
        shell.until("up")
        shell.type("\x1d")
        shell.until(f"it goes on: cellar attach {cell.id} p")
        self.assertEqual(0, shell.end())
        process, = cell.call("GET", "/processes").json["processes"]
        first, second = (Terminal(self, "attach", cell.id, process["id"]) for _ in range(2))
        for terminal in first, second:
            terminal.until("up")
        first.type("me\n")
        for terminal in first, second:
            terminal.until("got me")
        second.type("\n")
        self.assertEqual([6, 6], [first.end(), second.end()])

    def test_a_shell_that_is_lost_with_its_cell_says_so(self):
        cell = self.cell()
        shell = Terminal(self, "sh", cell.id)
        shell.until("/work# ")
        cell.call("DELETE")
        self.assertNotEqual(0, shell.end())


class CopyTest(CliTest):
    def test_a_file_goes_there_and_comes_back_as_it_was(self):
        cell = self.cell()
        data = bytes(range(256)) * 5000
        file = self.local("all.bin", data)
        for target, place in ((":/f", "f"), (":g", "g"), (":/new/deep/", "new/deep/all.bin"), (":/", "all.bin")):
            self.check(0, "", "", "cp", file, cell.id + target)
            self.assertEqual(data, cell.call("GET", f"/files/{place}").body, target)
        self.check(0, "", "", "cp", file, f"{cell.id}:/new")  # a folder there
        self.assertEqual(data, cell.call("GET", "/files/new/all.bin").body)
        self.assertEqual({"files": 1}, self.json("cp", f"{cell.id}:/f", file.parent / "back"))
        self.assertEqual(data, (file.parent / "back").read_bytes())
        self.check(0, "", "", "cp", f"{cell.id}:/f", file.parent)
        self.assertEqual(data, (file.parent / "f").read_bytes())

    def test_a_folder_goes_there_and_comes_back_with_what_is_beside_the_bytes(self):
        cell = self.cell()
        root = self.local("tree/run", b"#!/bin/sh\necho ran\n", 0o755).parent
        self.local("tree/sub/a ü#?%41.txt", b"text")
        (root / "empty/inner").mkdir(parents=True)
        os.symlink("run", root / "link")
        code, out, err = self.cellar("-o", "json", "cp", root, f"{cell.id}:/t")
        self.assertEqual((0, '{"files":3}\n', ""), (code, out, err))
        self.assertEqual("ran\n", cell.exec("t/run")["stdout"])
        back = root.parent / "back"
        self.check(0, "", "", "cp", f"{cell.id}:/t", back)
        self.assertEqual(["empty", "empty/inner", "link", "run", "sub", "sub/a ü#?%41.txt"],
                         sorted(str(path.relative_to(back)) for path in back.rglob("*")))
        self.assertTrue(os.access(back / "run", os.X_OK))
        self.assertEqual(0, (back / "sub/a ü#?%41.txt").stat().st_mode & 0o111)
        self.assertEqual(b"text", (back / "sub/a ü#?%41.txt").read_bytes())

    def test_more_files_than_one_command_has_room_for_keep_their_rights(self):
        cell = self.cell()
        cell.exec("d=many/$(printf %0200d 0); mkdir -p $d; for i in $(seq 700); do echo $i > $d/$i; done; chmod +x $d/*; "
                  "chmod -x $d/350")
        back = self.local("back/here").parent
        self.assertEqual({"files": 700}, self.json("cp", f"{cell.id}:/many", back))
        self.assertEqual(["350", "here"], sorted(path.name for path in back.rglob("*")
                                                 if path.is_file() and not os.access(path, os.X_OK)))
        self.assertEqual({"files": 701}, self.json("cp", back, f"{cell.id}:/again"))
        self.assertEqual("699\n", cell.exec("find again -type f -perm -100 | wc -l")["stdout"])

    def test_a_file_larger_than_a_body_may_be_goes_there(self):
        cell = self.cell()
        file = self.local("large", mode=0o755)
        os.truncate(file, (256 << 20) + 1)
        cell.exec("mkdir d")
        for target, place in ((":/d", "d/large"), (":/new/f", "new/f")):
            self.check(0, "", "", "cp", file, cell.id + target)
            self.assertEqual("268435457 755\n", cell.exec(f"stat -c '%s %a' {place}; rm {place}")["stdout"])

    def test_a_copy_that_breaks_off_leaves_the_file_that_was_there(self):
        cell = self.cell()
        cell.exec("truncate -s 200M large")
        file = self.local("mine", b"mine", 0o600)
        with Relay(self.daemon.port) as relay:
            copying = self.begin("--url", f"http://127.0.0.1:{relay.port}", "cp", f"{cell.id}:/large", file)
            harness.eventually("it copies", lambda: len(list(file.parent.iterdir())) == 2)
            relay.cut()
            copying.communicate(timeout=harness.WAIT_S)
        self.assertEqual(4, copying.returncode)
        self.assertEqual(([file], b"mine"), (list(file.parent.iterdir()), file.read_bytes()))
        self.check(0, "", "", "cp", f"{cell.id}:/large", file)
        self.assertEqual((200 << 20, 0o100600), (file.stat().st_size, file.stat().st_mode))

    def test_what_the_daemon_refuses_is_told_with_the_command_that_helps(self):
        cell = self.cell()
        cell.exec("mkdir d; echo > a; echo > b")
        for words, what in ((("mv", cell.id, "a", "b"), "--overwrite"), (("cat", cell.id, "d"), '"cellar cp"'),
                            (("write", cell.id, "d"), '"cellar files ls"')):
            code, out, err = self.cellar("files", *words)
            self.assertEqual((1, ""), (code, out))
            self.assertIn(what, err)
            self.assertNotIn("=1", err)

    def test_a_watch_comes_back_after_a_restart_of_the_daemon_and_ends_with_its_folder(self):
        cell = self.cell()
        cell.exec("mkdir d")
        with Relay(self.daemon.port) as relay:
            watch = self.begin("--url", f"http://127.0.0.1:{relay.port}", "-o", "json", "files", "watch", cell.id, "/d")
            self.assertEqual("ready", json.loads(watch.stdout.readline())["event"])
            self.daemon.restart()
            relay.target = self.daemon.port
            self.assertEqual("reset", json.loads(watch.stdout.readline())["event"])
            cell.call("DELETE", "/files/d")
            self.assertEqual({"event": "deleted", "data": {"path": "d", "type": "directory"}}, json.loads(watch.stdout.readline()))
            self.assertEqual((0, ""), (watch.wait(timeout=harness.WAIT_S), watch.stderr.read()))

    def test_what_is_missing_or_lies_outside_is_named_and_nothing_is_made(self):
        cell = self.cell()
        file = self.local("f", b"x")
        target = file.parent / "none"
        cell.exec("ln -s /etc/passwd out; mkfifo pipe")
        for words, code, what in (
                ((f"{cell.id}:/missing", target), 3, 'no file "missing" in /work'),
                ((file.parent / "missing", f"{cell.id}:/x"), 3, f"no such file: {file.parent / 'missing'}"),
                ((f"{cell.id}:/../../etc/passwd", target), 1, "'../../etc/passwd' leads above the cell's files"),
                ((file, f"{cell.id}:/../x"), 1, "'../x' leads above the cell's files"),
                ((f"{cell.id}:/out", target), 1, "'out' leads outside of the cell's files"),
                ((f"{cell.id}:/pipe", target), 1, "pipe"), ((f"{cell.id}:/missing/", target), 3, "missing"),
                ((f"{cell.id}:/a", f"{cell.id}:/b"), 2, "ID:/PATH")):
            got, out, err = self.cellar("cp", *words)
            self.assertEqual((code, ""), (got, out), (words, err))
            self.assertIn(what, err)
            self.assertEqual(1, err.count("cellar: "))
            self.assertFalse(target.exists())
        self.assertEqual("file_not_found", self.json_error(3, "cp", f"{cell.id}:/missing", target)["code"])
        os.mkfifo(file.parent / "pipe")
        code, _, err = self.cellar("cp", file.parent / "pipe", f"{cell.id}:/x")  # and does not wait for it
        self.assertEqual((1, f"cellar: not a file or folder: {file.parent / 'pipe'}\n"), (code, err))


class AgentTest(CliTest):
    def test_an_agents_method_is_called_and_its_value_or_stream_shown(self):
        cell = self.cell(agent=AGENT)
        self.check(0, '{"hello":"Ada"}\n', "", "request", cell.id, "hello", '{"name": "Ada"}')
        self.check(0, '{"hello":"in"}\n', "", "request", cell.id, "hello", "-", stdin='{"name": "in"}')
        self.check(0, "two\nlines\n", "", "request", cell.id, "text")
        self.assertEqual("two\nlines", self.json("request", cell.id, "text"))
        self.check(0, '{"n":1}\n"done"\n', "", "request", cell.id, "tell")
        self.check(0, '1\n{"error":"a value like any other"}\n', "", "request", cell.id, "own")
        self.check(0, '{"ok":true}\n', "", "request", cell.id, "db_set", '{"key": "k", "value": 1}')

    def test_an_agent_that_fails_is_a_failure_here_before_and_within_a_stream(self):
        cell = self.cell(agent=AGENT)
        code, out, err = self.cellar("request", cell.id, "boom")
        self.assertEqual((1, "", "cellar: it broke"), (code, out, err.splitlines()[0]))
        code, out, err = self.cellar("request", cell.id, "tellAndBreak")
        self.assertEqual((1, '{"n":1}\n', "cellar: later"), (code, out, err.splitlines()[0]))
        told = err.split('"')[1].split()  # what shows where it broke
        self.assertRegex(self.record(self.cellar(*told[1:])[1])["where"], r"^agent\.js:\d+:\d+$")
        code, out, err = self.cellar("-o", "json", "request", cell.id, "tellAndBreak")
        self.assertEqual((1, '{"n":1}\n', "later", "agent_error"), (code, out, *map(json.loads(err).get, ("error", "code"))))
        missing = self.json_error(3, "request", cell.id, "missing")
        self.assertEqual("method_not_found", missing["code"])
        self.assertIn("hello", missing["error"])
        self.assertEqual("usage", self.json_error(2, "request", cell.id, "hello", "{name: 1}")["code"])
        self.assertEqual(1, self.cellar("request", cell.id, "write_file", '{"path": "x"}')[0])

    def test_runs_and_their_events_are_shown(self):
        cell = self.cell(agent=AGENT)
        self.cellar("request", cell.id, "tell")
        run = self.json("runs", "ls", cell.id)["runs"][0]
        self.assertEqual([run["id"], "tell", "completed"], self.cellar("runs", "ls", cell.id)[1].split("\t")[:3])
        code, out, err = self.cellar("events", cell.id, run["id"])
        rows = [line.split("\t") for line in out.splitlines()]
        self.assertEqual((0, "", "run.started", "run.completed"), (code, err, rows[0][2], rows[-1][2]))
        self.assertIn(["stdout", "out"], [row[2:] for row in rows])
        self.assertEqual('"done"', rows[-1][3])
        followed = self.cellar("-o", "json", "events", cell.id, run["id"], "-f", "--after", rows[0][0])[1]
        events = [json.loads(line) for line in followed.splitlines()]
        self.assertEqual([int(row[0]) for row in rows[1:]], [event["seq"] for event in events])
        self.check(0, "", "", "events", cell.id, run["id"], "--after", rows[-1][0])
        self.assertEqual("invalid_query", self.json_error(1, "events", cell.id, run["id"], "--after", "1000000")["code"])
        self.assertEqual("run_not_found", self.json_error(3, "events", cell.id, "none")["code"])
        self.assertEqual("run_not_found", self.json_error(3, "events", cell.id, "none", "-f")["code"])
        self.assertEqual("run_ended", self.json_error(1, "cancel", cell.id, run["id"])["code"])

    def test_a_running_run_is_followed_over_a_lost_connection_until_it_is_cancelled(self):
        cell = self.cell(agent="module.exports = { async wait(ctx) { ctx.stream(1); await ctx.sleep(600000); } }")
        self.daemon.stream("POST", cell.path + "/request", {"method": "wait"}).close()
        run = harness.eventually("the run", cell.runs)[0]
        harness.eventually("its step", lambda: cell.run(run["id"])["steps"])
        start = time.monotonic()
        self.assertEqual(0, self.cellar("events", cell.id, run["id"])[0])  # without -f it does not wait
        self.assertLess(time.monotonic() - start, 10)
        with Relay(self.daemon.port) as relay:
            process = self.begin("--url", f"http://127.0.0.1:{relay.port}", "events", cell.id, run["id"], "-f")
            seen = [process.stdout.readline().split("\t")[2]]
            relay.cut()
            self.assertEqual("cancelled", self.json("cancel", cell.id, run["id"])["status"])
            out, err = process.stdout.read(), process.stderr.read()  # communicate() loses what readline() read ahead
            process.wait(timeout=harness.WAIT_S)
        seen += [line.split("\t")[2] for line in out.splitlines()]
        self.assertEqual((0, ""), (process.returncode, err))
        self.assertEqual(["run.started", "stream", "step.started", "run.cancelled"], seen)

    def test_code_is_searched(self):
        cell = self.cell()
        cell.call("PUT", "/files/src/session.js", b"export function refreshSession(token) {\n  return token;\n}\n")
        code, out, err = self.cellar("search", cell.id, "refresh session")
        place, score, symbol = out.splitlines()[0].split("\t")
        self.assertEqual((0, "", "src/session.js:1-3", "refreshSession"), (code, err, place, symbol))
        self.assertGreater(float(score), 0)
        self.assertEqual("    export function refreshSession(token) {", out.splitlines()[1])
        self.assertEqual("src/session.js", self.json("search", cell.id, "refresh session", "--limit", "1")["results"][0]["path"])
        self.check(0, "", "", "search", cell.id, "nowhere-at-all")
        self.assertEqual({"results": []}, self.json("search", cell.id, "nowhere-at-all"))

    def test_a_shell_completes_commands_and_cells(self):
        cell = self.cell()
        script = """eval "$(cellar completion bash)"
            try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cellar; printf '%s ' "${COMPREPLY[@]}"; echo; }
            try cellar wake-; try cellar runs rest; try cellar pause "$CELL"; try cellar no-such"""
        done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=harness.WAIT_S, env={
            **os.environ, "PATH": f"{harness.BIN}:{os.environ['PATH']}", "CELL": cell.id,
            "CELLAR_URL": f"http://127.0.0.1:{self.daemon.port}", "CELLAR_API_KEY": self.daemon.key})
        self.assertEqual(("", f"wake-at \nrestart \n{cell.id} \n \n"), (done.stderr, done.stdout))
