"""Commands: results, streams, limits."""
import base64
import time

import harness


class ExecTest(harness.CellTest):
    def test_a_command_answers_as_a_shell_does(self):
        cell = self.cell()
        result = cell.exec("echo out; echo err >&2; exit 3")
        self.assertEqual(("out\n", "err\n", 3), (result["stdout"], result["stderr"], result["exit_code"]))
        self.assertEqual(127, cell.exec("no-such-program")["exit_code"])
        killed = cell.exec("kill -9 $$")
        self.assertEqual((137, 9), (killed["exit_code"], killed["signal"]))

    def test_arguments_environment_folder_and_input_reach_it(self):
        cell = self.cell()
        self.assertEqual("$HOME *\n", cell.exec(["echo", "$HOME *"])["stdout"])
        self.assertEqual("v /tmp in", cell.exec('echo -n "$V $PWD "; cat', env={"V": "v"}, cwd="/tmp", stdin="in")["stdout"])
        missing = cell.call("POST", "/exec", {"cmd": "true", "cwd": "/nowhere"})
        self.assertEqual(400, missing.status)
        self.assertIn("/nowhere", missing.json["error"])
        self.assertEqual(400, cell.call("POST", "/exec", {"cmd": []}).status)

    def test_a_program_that_does_not_start_says_why_in_a_stream_too(self):
        cell = self.cell()
        events = list(self.daemon.stream("POST", cell.path + "/exec", {"cmd": ["no-such-program", "x"]}))
        self.assertEqual(["stderr", "exit"], [event.type for event in events])
        self.assertIn("no-such-program: No such file", events[0].json["text"])
        self.assertEqual(127, events[1].json["exit_code"])

    def test_output_streams_while_the_command_runs(self):
        cell = self.cell()
        stream = self.daemon.stream("POST", cell.path + "/exec",
                                    {"cmd": "echo one; read line; echo $line; printf '\\377'", "stdin": "two\n"})
        events = list(stream)
        told = [e.json for e in events if e.type == "stdout"]  # In how many pieces is up to the machine.
        self.assertEqual(b"one\ntwo\n\xff", b"".join(base64.b64decode(t["b64"]) if "b64" in t else t["text"].encode() for t in told))
        self.assertIn("b64", told[-1])
        self.assertEqual(("exit", 0), (events[-1].type, events[-1].json["exit_code"]))

    def test_a_stream_of_a_command_ends_with_its_cell(self):
        cell = self.cell()
        stream = iter(self.daemon.stream("POST", cell.path + "/exec", {"cmd": "echo here; sleep 600"}))
        self.assertEqual("stdout", next(stream).type)
        self.assertEqual(204, cell.call("DELETE").status)
        last = list(stream)[-1]
        self.assertIn((last.type, last.json.get("lost_by"), last.json.get("code")), [("exit", "deleted", None), ("error", None, "ended_meanwhile")])

    def test_a_timeout_kills_all_that_was_started_whatever_it_ignores(self):
        cell = self.cell()
        start = time.monotonic()
        result = cell.exec("trap '' TERM INT HUP; (setsid sh -c 'trap \"\" TERM; while :; do :; done' &) ; while :; do sleep 1; done",
                           timeout_ms=500)
        self.assertTrue(result["timed_out"])
        self.assertEqual(137, result["exit_code"])
        self.assertLess(time.monotonic() - start, 10)
        self.assertEqual("0\n", cell.exec("ps -e -o args | grep -c '[w]hile' ")["stdout"])

    def test_what_a_command_leaves_behind_ends_with_it(self):
        cell = self.cell()
        cell.exec("(setsid sleep 1000 &) ; true")
        self.assertEqual("0\n", cell.exec("ps -e -o args | grep -c '[s]leep 1000'")["stdout"])

    def test_output_is_limited_and_said_to_be(self):
        cell = self.cell()
        result = cell.exec("head -c 200000000 /dev/zero | tr '\\0' x", limits={"output_bytes": 1000})
        self.assertEqual((1000, True, 0), (len(result["stdout"]), result["truncated"], result["exit_code"]))

    def test_a_fork_bomb_and_a_memory_bomb_hurt_nobody_else(self):
        neighbour, cell = self.cell("neighbour"), self.cell()
        cell.exec("f() { f | f & }; f; sleep 2", timeout_ms=4000)
        self.assertEqual("ok\n", neighbour.exec("echo ok")["stdout"])
        self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])
        bomb = cell.exec(["node", "-e", "const a = []; for (;;) a.push(Buffer.alloc(1 << 24, 1))"], timeout_ms=60000)
        self.assertNotEqual(0, bomb["exit_code"])
        self.assertTrue(bomb["oom"], bomb)
        self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])

    def test_a_client_that_leaves_ends_its_command(self):
        cell = self.cell()
        stream = self.daemon.stream("POST", cell.path + "/exec", {"cmd": "echo here; sleep 1234"})
        next(iter(stream))
        stream.close()
        harness.eventually("the command ends", lambda: cell.exec("ps -e -o args | grep -c '[s]leep 1234'")["stdout"] == "0\n")
