"""Programs in the background of a cell: they go on unwatched, and are watched, written to and ended from anywhere."""
import base64
import contextlib
import hashlib
import json
import os
import random
import socket

import harness


def text_of(events):
    """What a process wrote, by stream."""
    streams = {"stdout": b"", "stderr": b""}
    for event in events:
        if event.type in streams:
            data = event.json
            streams[event.type] += data["text"].encode() if "text" in data else base64.b64decode(data["b64"])
    return streams


class WebSocket:
    """A client of RFC 6455, as small as it can be."""

    def __init__(self, daemon, path, headers=()):
        self.socket = socket.create_connection(("127.0.0.1", daemon.port), timeout=harness.WAIT_S)
        self.socket.sendall("\r\n".join([
            f"GET {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {daemon.key}", "Connection: Upgrade",
            "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            *headers, "", ""]).encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def send(self, opcode, data):
        size = len(data)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2) if size < 65536 else b"\xff" + size.to_bytes(8)
        self.socket.sendall(bytes([0x80 | opcode]) + length + b"\0\0\0\0" + data)

    def type(self, text):
        self.send(2, text.encode())

    def say(self, **frame):
        self.send(1, json.dumps(frame).encode())

    def frames(self):
        """(opcode, bytes) until it is closed; pings are answered."""
        while head := self.file.read(2):
            size = head[1] & 0x7f
            if size > 125:
                size = int.from_bytes(self.file.read(2 if size == 126 else 8))
            data = self.file.read(size)
            opcode = head[0] & 0xf
            if opcode == 9:
                self.send(10, data)
            elif opcode == 8:
                with contextlib.suppress(OSError):  # The daemon need not wait for the answer.
                    self.send(8, data)
                return
            else:
                yield opcode, data

    def until(self, text):
        shown = b""
        for opcode, data in self.frames():
            shown += data if opcode in (0, 2) else b""
            if text.encode() in shown:
                return shown.decode()
        raise AssertionError(f"{text!r} did not come: {shown!r}")

    def close(self):
        self.file.close()
        self.socket.close()


class Processes(harness.CellTest):
    """What its tests do with processes."""

    def start(self, cell, cmd=None, **fields):
        answer = cell.call("POST", "/processes", ({} if cmd is None else {"cmd": cmd}) | fields)
        self.assertEqual(201, answer.status, answer)
        return answer.json["id"]

    def get(self, cell, process):
        return cell.call("GET", f"/processes/{process}").json

    def ended(self, cell, process):
        return harness.eventually(f"{process} ends", lambda: (
            lambda view: view["status"] == "exited" and view)(self.get(cell, process)))

    def output(self, cell, process, after=0):
        return self.daemon.stream("GET", f"{cell.path}/processes/{process}/log?after={after}")

    def shown(self, cell, process):
        """What a process has written so far."""
        pieces = cell.call("GET", f"/processes/{process}/log").json["output"]
        return "".join(piece["text"] for piece in pieces)

    def type(self, cell, process, text, **query):
        end = "?end=1" if query else ""
        answer = self.daemon.call("POST", f"{cell.path}/processes/{process}/stdin{end}", text.encode(),
                                  {"Content-Type": "application/octet-stream"})
        self.assertEqual(204, answer.status, answer)

    def nothing_sleeps(self, cell):
        """Also nothing that is killed, and has not had a processor to die on."""
        harness.eventually("nothing sleeps", lambda: not cell.exec("pgrep sleep; :")["stdout"])


class ProcessesTest(Processes):
    def test_a_process_goes_on_unwatched_and_its_output_is_there_later(self):
        cell = self.cell("later")
        process = self.start(cell, "echo one; echo two >&2; read line; echo $line; exit 7", stdin=True)
        harness.eventually("it has begun", lambda: "two" in self.shown(cell, process))
        view = self.get(cell, process)
        self.assertEqual(["running", False, 0], [view["status"], view["terminal"], view["output_first"]])
        self.assertEqual([process], [view["id"] for view in cell.call("GET", "/processes").json["processes"]])
        self.type(cell, process, "three\n")
        view = self.ended(cell, process)
        self.assertEqual([7, False], [view["exit_code"], view["timed_out"]])
        events = list(self.output(cell, process))
        self.assertEqual({"stdout": b"one\nthree\n", "stderr": b"two\n"}, text_of(events))
        self.assertEqual(("exit", 7), (events[-1].type, events[-1].json["exit_code"]))
        self.assertEqual(view["output_next"], events[-2].id)
        harness.eventually("both are told", lambda: ["process.started", "process.exited"] == [
            event["type"] for event in cell.call("GET", "/events?types=process.*").json["events"]])
        self.assertEqual(409, cell.call("POST", f"/processes/{process}/signal", {"signal": "SIGTERM"}).status)
        self.assertEqual(204, cell.call("DELETE", f"/processes/{process}").status)
        self.assertEqual("process_not_found", cell.call("GET", f"/processes/{process}").json["code"])

    def test_many_watchers_get_the_same_output_from_wherever_they_begin(self):
        cell = self.cell("watchers")
        process = self.start(cell, "i=0; while [ $i -lt 300 ]; do echo äöü$i; echo $i >&2; i=$((i+1)); done")
        self.ended(cell, process)
        whole = list(self.output(cell, process))
        self.assertEqual("".join(f"äöü{i}\n" for i in range(300)).encode(), text_of(whole)["stdout"])
        self.assertEqual("".join(f"{i}\n" for i in range(300)).encode(), text_of(whole)["stderr"])
        flat = b"".join(text_of([event])["stdout"] + text_of([event])["stderr"] for event in whole)
        seed = random.randrange(1 << 32)
        dice = random.Random(seed)
        for _ in range(20):
            after = dice.randrange(len(flat) + 1)
            rest = b"".join(text_of([event])["stdout"] + text_of([event])["stderr"] for event in self.output(cell, process, after))
            self.assertEqual(flat[after:], rest, f"seed {seed}")

    def test_old_output_is_forgotten_and_that_is_told(self):
        cell = self.cell("old")
        process = self.start(cell, "yes | head -c 5000000")
        view = self.ended(cell, process)
        self.assertEqual(5_000_000, view["output_next"])
        self.assertLess(5_000_000 - view["output_first"], 2 * (1 << 20) + 1)
        events = list(self.output(cell, process))
        self.assertEqual(("stale", view["output_first"]), (events[0].type, events[0].id))
        self.assertEqual(5_000_000 - view["output_first"], len(text_of(events)["stdout"]))

    def test_of_those_that_ended_the_newest_keep_their_output(self):
        cell = self.cell("large")
        started = [self.start(cell, "yes | head -c 3000000") for _ in range(12)]
        views = sorted((self.ended(cell, process) for process in started), key=lambda view: view["ended_at"])
        views = [self.get(cell, view["id"]) for view in views]
        kept = [view["output_next"] - view["output_first"] for view in views]
        self.assertEqual([0] * 4 + [1 << 20] * 8, sorted(kept))
        self.assertEqual((0, 1 << 20), (kept[0], kept[-1]))
        events = list(self.output(cell, views[0]["id"]))
        self.assertEqual(["stale", "exit"], [event.type for event in events])

    def test_a_cell_has_a_limit_of_terminals(self):
        cell = self.cell("bomb")
        count = ("import os\nheld = []\ntry:\n  while True: held.append(os.open('/dev/ptmx', os.O_RDWR))\n"
                 "except OSError as error: print(len(held), error.errno)\n")
        ended = cell.exec(["python3", "-c", count], limits={"open_files": 5000})
        self.assertEqual("256 28\n", ended["stdout"], ended)

    def test_a_terminal_is_one_for_the_programs_in_it(self):
        cell = self.cell("terminal")
        process = self.start(cell, terminal={"columns": 100, "rows": 30})
        self.type(cell, process, "stty size; tty; test -t 0 && test -t 1 && test -t 2 && echo is'-one'; echo $TERM\n")
        harness.eventually("it answers", lambda: "is-one" in self.shown(cell, process) and "xterm" in self.shown(cell, process))
        shown = self.shown(cell, process)
        self.assertIn("30 100", shown)
        self.assertIn("/dev/pts/", shown)
        self.assertEqual(204, cell.call("POST", f"/processes/{process}/resize", {"columns": 50, "rows": 20}).status)
        self.type(cell, process, "stty size; sleep 1000\n")
        harness.eventually("it has the new size", lambda: "20 50" in self.shown(cell, process))
        harness.eventually("it sleeps", lambda: cell.exec("pgrep sleep; :")["stdout"])
        self.type(cell, process, "\x03")  # Ctrl+C ends what is in front, and nothing else.
        self.nothing_sleeps(cell)
        self.type(cell, process, "echo again$((1+1)); cat\n")
        harness.eventually("the shell is back", lambda: "again2" in self.shown(cell, process))
        harness.eventually("cat reads", lambda: cell.exec("pgrep -x cat; :")["stdout"])
        self.type(cell, process, "", end=True)
        harness.eventually("cat has ended", lambda: not cell.exec("pgrep -x cat; :")["stdout"])
        self.type(cell, process, "exit 3\n")
        self.assertEqual(3, self.ended(cell, process)["exit_code"])

    def test_a_web_socket_is_a_terminal_for_several_that_may_leave_and_come_back(self):
        cell = self.cell("socket", idle_timeout_s=1)
        process = self.start(cell, terminal={"columns": 100, "rows": 30})
        path = f"{cell.path}/processes/{process}/attach"
        first, second = WebSocket(self.daemon, path), WebSocket(self.daemon, path)
        self.assertEqual([101, 101], [first.status, second.status])
        first.until("# ")
        first.say(type="resize", columns=44, rows=33)
        first.type("stty size; echo bye$((1+1))\n")
        self.assertIn("33 44\r\n", second.until("bye2\r\n"))
        self.assertEqual({"terminal"}, {blocker["kind"] for blocker in cell.get()["idle"]["blockers"]})
        first.close()
        second.close()
        harness.eventually("nobody is there: the cell pauses", lambda: cell.get()["state"] == "paused")
        place = self.get(cell, process)["output_next"]
        third = WebSocket(self.daemon, f"{path}?after={place}")
        third.type("echo again$((1+1)); exit 4\n")
        third.send(9, b"ping")
        texts, shown = [], b""
        for opcode, data in third.frames():
            if opcode == 1:
                texts.append(json.loads(data))
            elif opcode == 2:
                shown += data
        self.assertIn("again2", shown.decode())
        self.assertNotIn("bye2", shown.decode())
        self.assertEqual([("exit", 4)], [(text["type"], text["exit_code"]) for text in texts])
        third.close()

    def test_what_a_process_does_not_take_is_told_over_its_web_socket(self):
        cell = self.cell("refusing")
        process = self.start(cell, "sleep 1000", stdin=True)
        client = WebSocket(self.daemon, f"{cell.path}/processes/{process}/attach")
        texts = (json.loads(data) for opcode, data in client.frames() if opcode == 1)
        for frame, code in ((dict(type="resize"), "no_terminal"), (dict(type="nope"), "invalid_field"),
                            (dict(type="signal", signal="NOPE"), "invalid_field")):
            client.say(**frame)
            self.assertEqual(("error", code), (lambda told: (told["type"], told["code"]))(next(texts)))
        client.send(1, b"{")
        self.assertEqual("error", next(texts)["type"])
        for _ in range(3):  # The pipe takes 64 KiB of it.
            client.send(2, b"x" * (1 << 19))
        self.assertEqual("input_full", next(texts)["code"])
        client.say(type="signal", signal="KILL")
        self.assertEqual(137, [text for text in texts][-1]["exit_code"])
        client.close()
        process = self.start(cell, "cat; exit 9", stdin=True)
        client = WebSocket(self.daemon, f"{cell.path}/processes/{process}/attach")
        client.type("abc")
        client.say(type="end")
        *_, (opcode, end) = client.frames()
        self.assertEqual((1, 9), (opcode, json.loads(end)["exit_code"]))
        client.close()
        too_long = WebSocket(self.daemon, f"{cell.path}/processes/{self.start(cell, 'sleep 1000')}/attach")
        with contextlib.suppress(ConnectionError):  # It is cut off by the head of the frame already.
            too_long.send(2, b"x" * ((1 << 20) + 1))
            self.assertEqual([], list(too_long.frames()))
        too_long.close()
        answer = cell.call("GET", f"/processes/{process}/attach")
        self.assertEqual((400, "web_socket_required"), (answer.status, answer.json["code"]))
        self.assertEqual(404, WebSocket(self.daemon, f"{cell.path}/processes/p0/attach").status)

    def test_a_process_ends_with_all_that_it_started(self):
        cell = self.cell("ends")
        process = self.start(cell, "sleep 1001 & setsid sleep 1002 & echo up; wait")
        harness.eventually("it runs", lambda: "up" in self.shown(cell, process))
        harness.eventually("both sleep", lambda: len(cell.exec("pgrep sleep; :")["stdout"].split()) == 2)
        self.assertEqual(204, cell.call("POST", f"/processes/{process}/signal", {"signal": "TERM"}).status)
        self.assertEqual([143, 15], [self.ended(cell, process)[key] for key in ("exit_code", "signal")])
        self.nothing_sleeps(cell)
        timed = self.start(cell, "trap '' TERM INT HUP; sleep 1003", timeout_ms=200)
        view = self.ended(cell, timed)
        self.assertEqual([137, True], [view["exit_code"], view["timed_out"]])
        deleted = self.start(cell, "sleep 1004")
        self.assertEqual(204, cell.call("DELETE", f"/processes/{deleted}").status)
        self.nothing_sleeps(cell)

    def test_a_process_sleeps_with_its_cell_and_is_lost_with_it(self):
        cell = self.cell("sleeps", idle_timeout_s=1)
        process = self.start(cell, "read line; echo got $line; sleep 1000", stdin=True)
        harness.eventually("nobody watches: the cell pauses", lambda: cell.get()["state"] == "paused")
        self.type(cell, process, "it\n")
        harness.eventually("it has read", lambda: "got it" in self.shown(cell, process))
        self.assertEqual("hibernated", cell.call("POST", "/hibernate").json["state"])
        view = self.ended(cell, process)
        self.assertEqual([137, True], [view["exit_code"], view["lost"]])
        self.assertEqual("got it\n", self.shown(cell, process))
        self.daemon.restart()
        self.assertEqual([view], cell.call("GET", "/processes").json["processes"])
        self.assertEqual("got it\n", self.shown(cell, process))

    def test_who_watches_keeps_the_cell_awake(self):
        cell = self.cell("awake", idle_timeout_s=1)
        process = self.start(cell, "echo up; sleep 1000")
        stream = self.output(cell, process)
        next(iter(stream))
        self.assertEqual(["stream"], [blocker["kind"] for blocker in cell.get()["idle"]["blockers"]])
        stream.close()
        harness.eventually("the cell pauses", lambda: cell.get()["state"] == "paused")

    def test_there_is_a_limit_to_processes_and_to_those_remembered(self):
        cell = self.cell("many")
        many = [self.start(cell, ["sleep", "1000"]) for _ in range(64)]
        refused = cell.call("POST", "/processes", {"cmd": "true"})
        self.assertEqual((507, "too_many_processes"), (refused.status, refused.json["code"]))
        for part in many[:1], many[1:]:  # The one that ended first is forgotten.
            for one in part:
                cell.call("POST", f"/processes/{one}/signal", {"signal": 9})
            for one in part:
                self.ended(cell, one)
        last = self.start(cell, "true")
        self.ended(cell, last)
        listed = [view["id"] for view in cell.call("GET", "/processes").json["processes"]]
        self.assertEqual(many[1:] + [last], listed)

    def test_input_that_nobody_reads_is_told_and_the_rest_of_it_is_sent_again(self):
        cell = self.cell("late")
        process = self.start(cell, "until [ -e go ]; do sleep .01; done; md5sum", stdin=True)
        content = os.urandom(100_000)
        told = cell.call("POST", f"/processes/{process}/stdin?end=1", content)
        self.assertEqual((504, "input_not_taken", False), (told.status, told.json["code"], told.json["retryable"]))
        taken = told.json["taken"]
        self.assertIn(f"took {taken} of 100000 bytes", told.json["error"])
        cell.call("PUT", "/files/go", b"")
        self.assertEqual(204, cell.call("POST", f"/processes/{process}/stdin?end=1", content[taken:]).status)
        self.ended(cell, process)
        self.assertEqual(hashlib.md5(content).hexdigest(), self.shown(cell, process).split()[0])

    def test_wrong_requests_are_told_what_is_wrong(self):
        cell = self.cell("wrong")
        for body, words in (({}, "cmd"), ({"cmd": 1}, "cmd"), ({"cmd": "true", "terminal": 1}, "terminal"),
                            ({"terminal": {"columns": 0}}, "columns"), ({"terminal": {"rows": 1001}}, "rows"),
                            ({"cmd": "true", "output_bytes": 1}, "output_bytes"), ({"cmd": "true", "nope": 1}, "nope"),
                            ({"cmd": ["/no/such"]}, "no/such"), ({"cmd": "true", "cwd": "/no/such"}, "no/such")):
            answer = cell.call("POST", "/processes", body)
            self.assertEqual(400, answer.status, body)
            self.assertIn(words, answer.json["error"])
        self.assertEqual([], cell.call("GET", "/processes").json["processes"])
        process = self.start(cell, "sleep 1000")
        path = f"/processes/{process}"
        for rest, body, status, code in (("/stdin", "x", 409, "no_input"), ("/resize", {"rows": 1}, 409, "no_terminal"),
                                         ("/signal", {"signal": "NOPE"}, 400, "invalid_field"), ("/signal", {"signal": 65}, 400, "invalid_field"),
                                         ("/signal", {}, 400, "invalid_field")):
            answer = cell.call("POST", path + rest, body)
            self.assertEqual((status, code), (answer.status, answer.json["code"]), rest)
        self.assertEqual(400, cell.call("GET", path + "/log?after=1").status)
        self.assertEqual(404, cell.call("GET", "/processes/p0").status)
        big = self.daemon.call("POST", cell.path + path + "/stdin", b"x" * ((1 << 20) + 1))
        self.assertEqual(413, big.status)


class OutlivingTest(Processes):
    """The daemon ends, by SIGKILL or as it is asked to, and the next one goes on with what runs."""

    FLOOD = ("import os, sys\n"
             "for i in range(60000):\n"
             "    os.write(1 + i % 3 // 2, b'%d\\n' % i)\n"
             "    if i % 6000 == 0: sys.stdin.readline()\n")

    def follow(self, cell, process, flat, size):
        """Output behind `flat`, whose length is its place, until `size` more has come or it ends."""
        wanted = len(flat) + size
        stream = self.output(cell, process, len(flat))
        for event in stream:
            self.assertNotEqual("stale", event.type)
            texts = text_of([event])
            flat += texts["stdout"] + texts["stderr"]
            if len(flat) >= wanted:
                break
        stream.close()

    def test_output_goes_on_behind_the_last_byte_whenever_the_daemon_is_killed(self):
        cell = self.cell("flood")
        process = self.start(cell, ["python3", "-u", "-c", self.FLOOD], stdin=True)
        dice = random.Random(seed := random.randrange(1 << 32))
        flat = bytearray()
        for _ in range(10):
            self.type(cell, process, "on\n")
            self.follow(cell, process, flat, dice.randrange(1, 25000))
            self.daemon.restart()
        self.follow(cell, process, flat, 1 << 30)
        lines = [int(line) for line in flat.split()]
        # Of two pipes one is a piece ahead: each stream is whole, and in its order.
        self.assertEqual(list(range(60000)), sorted(lines), f"seed {seed}")
        for is_err in (0, 1):
            stream = [line for line in lines if line % 3 // 2 == is_err]
            self.assertEqual(sorted(stream), stream, f"seed {seed}")
        self.assertEqual(0, self.ended(cell, process)["exit_code"])
        self.daemon.restart()
        again = bytearray()
        self.follow(cell, process, again, 1 << 30)
        self.assertEqual(flat, again)

    def test_what_runs_is_written_to_signalled_and_ended_by_the_next_daemon(self):
        cell = self.cell("next")
        reads = self.start(cell, "while read line; do echo got $line; done; exit 5", stdin=True)
        closed = self.start(cell, "cat; sleep 1000", stdin=True)
        self.type(cell, closed, "x", end=True)
        shell = self.start(cell, terminal={"columns": 100, "rows": 30})
        timed = self.start(cell, "sleep 1000", timeout_ms=3000)
        quick = self.start(cell, "read line; setsid sleep 1001 & exit 6", stdin=True)
        harness.eventually("a prompt", lambda: "# " in self.shown(cell, shell))
        pids = {view["id"]: view["pid"] for view in cell.call("GET", "/processes").json["processes"]}
        self.assertEqual(0, self.daemon.stop())  # As it is asked to, the first time.
        self.daemon.start()
        views = cell.call("GET", "/processes").json["processes"]
        self.assertEqual(pids, {view["id"]: view["pid"] for view in views})
        # One may have come to the end of its time by now.
        self.assertEqual({"running"}, {view["status"] for view in views if view["id"] != timed})
        self.assertEqual([], cell.get()["resume"]["processes"]["lost"])
        self.assertEqual(201, cell.call("POST", "/processes", {"cmd": "true"}).status)
        self.daemon.restart()
        self.type(cell, reads, "it\n")
        harness.eventually("it has read", lambda: "got it" in self.shown(cell, reads))
        self.type(cell, reads, "", end=True)
        self.assertEqual(5, self.ended(cell, reads)["exit_code"])
        self.assertEqual("no_input", cell.call("POST", f"/processes/{closed}/stdin", "more").json["code"])
        client = WebSocket(self.daemon, f"{cell.path}/processes/{shell}/attach?after={self.get(cell, shell)['output_next']}")
        client.say(type="resize", columns=44, rows=33)
        client.type("stty size; exit 4\n")
        client.until("33 44\r\n")
        client.close()
        self.assertEqual(4, self.ended(cell, shell)["exit_code"])
        self.assertTrue(self.ended(cell, timed)["timed_out"])
        self.assertEqual(204, cell.call("POST", f"/processes/{closed}/signal", {"signal": "TERM"}).status)
        self.assertEqual(143, self.ended(cell, closed)["exit_code"])
        self.type(cell, quick, "\n")
        self.assertEqual(6, self.ended(cell, quick)["exit_code"])
        self.nothing_sleeps(cell)  # What it started ends with it, too.

    def test_how_it_ended_while_no_daemon_was_there_is_told(self):
        cell = self.cell("unseen")
        process = self.start(cell, "read line; echo bye; exit 7", stdin=True)
        gate = self.start(cell, "mkfifo /work/gate; cat /work/gate; echo through >&2; exit 8")
        harness.eventually("it waits", lambda: (cell.dir / "work/gate").exists())
        self.type(cell, process, "", end=True)
        self.ended(cell, process)
        told = lambda: [event["data"]["exit_code"] for event in cell.call("GET", "/events?types=process.exited").json["events"]]
        harness.eventually("its end is on disk", lambda: told() == [7])
        self.daemon.kill()
        (cell.dir / "work/gate").write_text("")
        harness.eventually("it has ended", lambda: not any(b"gate" in line for line in cell.processes("shell").values()))
        self.daemon.start()
        self.assertEqual(8, self.ended(cell, gate)["exit_code"])
        self.assertEqual("through\n", self.shown(cell, gate))
        self.assertEqual(7, self.get(cell, process)["exit_code"])
        harness.eventually("both ends are told", lambda: told() == [7, 8])

    def test_a_command_ends_with_its_daemon_and_nothing_beside_it_does(self):
        cell = self.cell("beside")
        process = self.start(cell, "setsid sleep 1001 & echo up; sleep 1002")
        harness.eventually("it runs", lambda: "up" in self.shown(cell, process))
        connection, response = self.daemon.open(
            "POST", f"{cell.path}/exec", json.dumps({"cmd": "setsid sleep 1003 & (sleep 1004 &) ; sleep 1005"}),
            {"Content-Type": "application/json", "Accept": "text/event-stream"})
        sleeping = lambda: sorted(line.split(b"\0")[1] for line in cell.processes("shell").values() if line.startswith(b"sleep\0"))
        harness.eventually("all run", lambda: len(sleeping()) == 5)
        harness.eventually("the daemon has taken note of both", lambda: len(list((cell.dir / "run/programs").iterdir())) == 2)
        self.daemon.kill()
        connection.close()
        harness.eventually("what the command started has ended", lambda: sleeping() == [b"1001", b"1002"])
        self.daemon.start()
        lost = cell.get()["resume"]["processes"]
        self.assertEqual(["1005"], [program["command"].split()[-1] for program in lost["lost"]])
        self.assertEqual([b"1001", b"1002"], sleeping())
        self.assertEqual(204, cell.call("DELETE", f"/processes/{process}").status)
        harness.eventually("nothing sleeps", lambda: not sleeping())

    def test_a_paused_cells_processes_are_there_and_go_on_when_it_wakes(self):
        cell = self.cell("paused")
        process = self.start(cell, "echo up; while read line; do echo got $line; done", stdin=True)
        harness.eventually("it runs", lambda: "up" in self.shown(cell, process))
        cell.call("POST", "/pause")
        self.daemon.restart()
        self.assertEqual("paused", cell.get()["state"])
        view = self.get(cell, process)
        self.assertEqual(["running", 3], [view["status"], view["output_next"]])
        self.type(cell, process, "it\n")
        harness.eventually("it has read", lambda: self.shown(cell, process) == "up\ngot it\n")
        self.assertEqual([], cell.get()["resume"]["processes"]["lost"])
        cell.call("POST", "/pause")
        self.daemon.restart()
        self.assertEqual("hibernated", cell.call("POST", "/hibernate").json["state"])
        view = self.ended(cell, process)
        self.assertEqual([137, "hibernated"], [view["exit_code"], view["lost_by"]])
        self.assertEqual(1, len(cell.call("POST", "/resume").json["resume"]["processes"]["lost"]))

    def test_what_ended_with_its_domain_while_no_daemon_was_there_is_lost(self):
        cell = self.cell("domain")
        process = self.start(cell, "echo up; sleep 1000")
        harness.eventually("it runs", lambda: "up" in self.shown(cell, process))
        self.daemon.kill()
        cell.kill_processes("shell")
        self.daemon.start()
        view = self.get(cell, process)
        self.assertEqual(["exited", 137, True, "daemon_ended"], [view[key] for key in ("status", "exit_code", "lost", "lost_by")])
        self.assertEqual("up\n", self.shown(cell, process))
        self.assertEqual("now\n", cell.exec("echo now")["stdout"])
        self.assertEqual(204, cell.call("DELETE", f"/processes/{process}").status)
        self.assertEqual([], list((cell.dir / "run/processes").iterdir()))
