"""The daemon's side of the protocol, for tests: starts a host with an agent in a folder of its own."""
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

HOST = pathlib.Path(__file__).resolve().parents[1] / "host.py"
sys.path.insert(0, str(HOST.parent))
from cellar_agent.frames import FrameParser, encode  # noqa: E402

LIMIT_S = 60
NOTHING = object()


class Refused(Exception):
    """What the daemon answers with an error."""

    def __init__(self, message="it is broken", code="broken", name="Error"):
        super().__init__(message)
        self.json = {"name": name, "message": message, "code": code}


def agent(body):
    """An agent with one coroutine function, main()."""
    return "import asyncio\n\nasync def main(ctx, params):\n" + \
        textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"


def plain(body):
    """The same as a plain function."""
    return agent(body).replace("async def main", "def main")


class Ended:
    def __init__(self, frame):
        self.ok, self.code, self.rolled = frame["ok"], frame.get("code"), frame.get("rolled")
        self.value = json.loads(frame["body"])

    def __repr__(self):
        return f"<ended {self.ok} {self.code} {self.value}>"


class FakeDaemon:
    def __init__(self, source, env=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="agent-host-test-"))
        self.work = self.dir / "work"
        self.work.mkdir()
        self.agent = self.dir / "agent.py"
        self.agent.write_text(source)
        self.frames = []
        self.answer = None  # answer(op, arguments) of calls, shells and sleeps; None for later
        self.keeps_acks = False
        self.keeps_begins = False
        self.lsn = 0
        self.places = {}  # (run, ordinal) → [at, end] in the journal
        self.given = {}  # (run, ordinal) → (state, value) of what was answered
        self.attempts = {}  # run → the attempt that was begun last
        self.pings = 0
        self.stdout_bytes, self.stderr = 0, ""
        self.changed = threading.Condition(threading.RLock())
        self._spawn(env or {})

    def _spawn(self, env):
        self.up, up_theirs = socket.socketpair()
        self.down, down_theirs = socket.socketpair()
        high = [fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD, 10) for theirs in (up_theirs, down_theirs)]

        def place():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)
            os.closerange(10, 64)

        self.host = subprocess.Popen(
            [sys.executable, "-B", str(HOST)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, close_fds=False, preexec_fn=place,
            env={**os.environ, "CELLAR_WORK_DIR": str(self.work), "CELLAR_CELL_ID": "dev--test",
                 "PYTHONHASHSEED": "7", **env})
        for fd in high:
            os.close(fd)
        up_theirs.close()
        down_theirs.close()
        self.threads = [threading.Thread(target=work, daemon=True)
                        for work in (self._read_frames, self._read_output, self._read_errors)]
        for thread in self.threads:
            thread.start()

    # ---- what the host says ----

    def _read_frames(self):
        parser = FrameParser(lambda header, body: self._take({**header, "body": bytes(body)}))
        with contextlib.suppress(OSError):
            while chunk := self.up.recv(1 << 20):
                parser.feed(chunk)

    def _read_output(self):
        while chunk := os.read(self.host.stdout.fileno(), 1 << 20):
            with self.changed:
                self.stdout_bytes += len(chunk)
                self.changed.notify_all()

    def _read_errors(self):
        for line in self.host.stderr:
            self.stderr += line.decode()

    def _take(self, frame):
        with self.changed:
            self.take(frame)
            self.frames.append(frame)
            self.changed.notify_all()

    def take(self, frame):
        """Answers what answer() has an answer for, and acknowledges steps unless it keeps that."""
        self._place(frame.get("run"), frame.get("o"), frame["t"])
        kind = frame["t"]
        op = frame["op"] if kind == "call" else frame.get("k")
        if op == "journal.sync":
            self.reply(frame, None)
        elif self.answer and (kind == "call" or (kind == "cmd" and op in ("shell", "sleep"))):
            value = self.answer(op, json.loads(frame["body"]))
            if value is not NOTHING:
                self.reply(frame, value)
        if kind == "done" and not self.keeps_acks:
            self.send({"t": "ack", "run": frame["run"], "o": frame["o"]})
        waits = "pol" in frame or "ask" in frame or ("keeps" in frame and op in ("step", "fetch"))
        if (waits or kind in ("rollback", "failed")) and not self.keeps_begins:
            self.began(frame)
        if kind == "progress":
            self.send({"t": "result", "run": frame["run"], "a": frame["a"], "o": 0, "x": frame["x"],
                       "ok": True}, b"null")

    def began(self, frame):
        self.send({"t": "began", "run": frame["run"], "o": frame["o"]})

    def _place(self, run, o, kind):
        if kind in ("cmd", "value", "call", "event", "setup.done", "rollback"):
            self.lsn += 1
            self.places.setdefault((run, o), [self.lsn, 0 if kind == "cmd" else self.lsn])
        elif kind in ("done", "result") and o:
            self.lsn += 1
            self.places.setdefault((run, o), [0, 0])[1] = self.lsn  # It may have begun in an earlier attempt.

    # ---- what it is told ----

    def reply(self, frame, value):
        """The answer to a call or a command: a value, or Refused."""
        with self.changed:
            ok = not isinstance(value, Refused)
            json_value = value if ok else value.json
            run, o = frame["run"], frame["o"]
            if o != 0:
                self.given[run, o] = ("ok" if ok else "error", json_value)
            if frame["t"] == "cmd":
                self._place(run, o, "result")
            header = {"t": "result", "run": run, "a": frame["a"], "o": o, "ok": ok}
            if "x" in frame:
                header["x"] = frame["x"]
            where = self.up if frame["t"] == "call" else self.down
            where.sendall(encode(header, json.dumps(json_value).encode()))

    def send(self, header, body=b""):
        """To the attempt that was begun last, unless the header says another."""
        self.down.sendall(encode({"a": self.attempts.get(header.get("run")), **header}, body))

    def run(self, method="main", params=None, id="run_1", replay=(), setup=False, attempt=1, base=0, **more):
        """Begins a run; `replay` is a list of [o, k, n, fp, s, value, place, before]. Without the places
        [at, end] in the journal each ends before the next begins; `before` is what an open step has."""
        text = json.dumps({} if params is None else params).encode()
        entries, values = [], []
        for entry in replay:
            o, k, n, fp, s, value, place, before = (*entry, *[None] * (8 - len(entry)))
            at, end = place or (2 * o, 2 * o + 1)
            values.append(b"" if s == "open" else json.dumps(value).encode())
            entries.append({"o": o, "k": k, "n": n, "fp": fp, "s": s, "at": at, "end": end,
                            "len": len(values[-1]), **(before or {})})
        self.attempts[id] = attempt
        self.send({"t": "run", "run": id, "method": method, "agent": str(self.agent), "setup": setup,
                   "base": base, "replay": entries, "params_len": len(text), **more}, text + b"".join(values))

    # ---- waiting for it ----

    def until(self, what, probe):
        end = time.monotonic() + LIMIT_S
        with self.changed:
            while True:
                answer = probe()
                if answer:
                    return answer
                self.changed.wait(0.02)  # Not all that is asked for tells of itself.
                if time.monotonic() > end:
                    raise AssertionError(f"not within {LIMIT_S} s: {what}; the last were "
                                         f"{self.types()[-20:]}; {self.stderr}")

    def next(self, *matches, **fields):
        """The first frame of one of these types, or with these fields, now or later."""
        def fits(frame):
            if matches and callable(matches[0]):
                return matches[0](frame)
            return (not matches or frame["t"] in matches) and \
                all(frame.get(key) == value for key, value in fields.items())

        return self.until(f"a frame {matches} {fields}",
                          lambda: next((frame for frame in self.frames if fits(frame)), None))

    def idle(self):
        """Waits until the host has done with what it was sent, and with what that puts off."""
        for _ in range(2):
            self.pings += 1
            self.send({"t": "ping", "n": self.pings})
            self.next("pong", n=self.pings)

    def types(self):
        return [frame["t"] for frame in self.frames]

    def of(self, *types):
        return [frame for frame in self.frames if frame["t"] in types]

    def numbered(self):
        return [frame for frame in self.frames if frame.get("o", 0) > 0]

    def end(self, id="run_1"):
        return Ended(self.next("end", run=id))

    def ended(self, method="main", params=None, id="run_1"):
        """Runs a method and gives what it ended with."""
        self.run(method, params, id=id)
        return self.end(id)

    def exit_code(self):
        return self.host.wait(LIMIT_S)

    # ---- the journal ----

    def recorded(self, id="run_1"):
        """What a journal would hold of the run: the argument `replay` of run()."""
        entries = {}
        for frame in self.frames:
            o = frame.get("o", 0)
            if frame.get("run") != id or o == 0:
                continue
            state, value = self.given.get((id, o), ("open", None))
            place, kind = list(self.places.get((id, o), (0, 0))), frame["t"]
            if kind == "cmd":
                entries[o] = [o, frame["k"], frame["n"], frame["fp"], state, value, place, None]
            elif kind == "call" and state == "ok":
                entries[o] = [o, frame["op"], frame["n"], frame["fp"], state, value, place, None]
            elif kind == "value":
                entries[o] = [o, frame["k"], frame["n"], frame["fp"], "ok", json.loads(frame["body"]),
                              place, None]
            elif kind == "event":
                entries[o] = [o, "event", frame["type"], "", "ok", None, place, None]
            elif kind == "rollback":
                entries[o] = [o, "rollback", frame["n"], "", "ok", json.loads(frame["body"]), place, None]
            elif kind == "setup.done":
                entries[o] = [o, "setup", "", "", "ok", None, place, None]
            elif kind == "done":
                entries[o][4:6] = ["ok" if frame["ok"] else "error", json.loads(frame["body"])]
                entries[o][7] = {"c": frame["c"]} if "c" in frame else None
        return [entries[o] for o in sorted(entries)]

    def recorded_until(self, lsn, id):
        """What the journal would hold of the run after its record `lsn`."""
        kept = []
        for entry in self.recorded(id):
            at, end = entry[6]
            if at > lsn:
                continue
            kept.append(entry if 0 < end <= lsn else [*entry[:4], "open", None, [at, 0], None])
        return kept

    def close(self):
        self.host.kill()
        self.host.wait()
        for line in (self.up, self.down):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        for thread in self.threads:
            thread.join()
        self.host.stdout.close()
        self.host.stderr.close()
        shutil.rmtree(self.dir, ignore_errors=True)


@contextlib.contextmanager
def host(source, **options):
    """A daemon with a host that has this agent."""
    daemon = FakeDaemon(source, **options)
    try:
        daemon.next("hello")
        yield daemon
    finally:
        daemon.close()
