"""A daemon that fails where it is told to, and a client that goes on whatever ends."""
import collections
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402
import llm_provider  # noqa: E402

STATE_S = 60  # the limit of one state, from the first request to the last answer
VICTIMS = ("daemon", "agent", "cell")
ERRNOS = {"EIO": 5, "ENOSPC": 28, "EROFS": 30, "EDQUOT": 122}


class Fault:
    """What ends, or fails, when a point (docs/internals/crash-tests.md) is reached for the n-th time."""

    def __init__(self, point, occurrence, victim):
        self.point, self.occurrence, self.victim = point, occurrence, victim

    @property
    def action(self):
        if self.victim == "daemon":
            return "kill"
        if self.victim in VICTIMS:
            return "stop"  # While the daemon stands still, the test kills them.
        return f"errno={ERRNOS[self.victim]}"

    def __repr__(self):
        return f"{self.point}:{self.occurrence}:{self.victim}"


def place_of_states():
    """Memory, where there is enough: a killed process loses nothing of either, and here it is about those."""
    memory = pathlib.Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30 else None


class Echo(llm_provider.Provider):
    """A provider that gives back what it is asked, and how often it was asked that."""

    def __init__(self):
        super().__init__()
        self.counts = collections.Counter()

    def forget(self):
        with self.lock:
            self.counts.clear()

    def most(self):
        with self.lock:
            return max(self.counts.values(), default=0)

    def take(self, path, headers, body):
        text = body["messages"][-1]["content"]
        with self.lock:
            self.counts[text] += 1
            return llm_provider.Answer(f"{text} {self.counts[text]}")


class FaultyDaemon(harness.Daemon):
    """Its process may end at any time: `Trial` starts it anew. One thread uses it. Its models are those of an Echo."""

    plans = 0  # no two are the same: each counts anew

    def __init__(self):
        self.provider = Echo()
        self.models = tempfile.TemporaryDirectory(prefix=harness.PREFIX)
        folder = pathlib.Path(self.models.name)
        (folder / "key").write_text("sk-echo\n")
        (folder / "llm.json").write_text(json.dumps({"providers": [
            {"name": "echo", "kind": "openai", "base_url": f"http://127.0.0.1:{self.provider.port}/v1",
             "key_file": str(folder / "key"), "models": ["echo"], "default_model": "echo"}]}))
        super().__init__("--run-suspend-after-ms", "200", "--prepared-cells", "1", "--llm", folder / "llm.json",
                         place=place_of_states())

    def cleanup(self):
        try:
            super().cleanup()
        finally:
            self.provider.stop()
            self.models.cleanup()

    def environment(self):
        return {**super().environment(), "CELLAR_FAULTS": str(self.root / "faults")}

    def plan(self, fault=None):
        """From now on this fault, or none."""
        FaultyDaemon.plans += 1
        text = f"{fault.point} {fault.occurrence} {fault.action}" if fault else "- 0 -"
        (self.root / "faults.new").write_text(f"{text} {FaultyDaemon.plans}\n")
        self.hits_before = self.hits_size()
        os.replace(self.root / "faults.new", self.root / "faults")

    def hits_size(self):
        with contextlib.suppress(FileNotFoundError):
            return (self.root / "faults.hits").stat().st_size
        return 0

    def hits(self):
        """The points that were reached since the plan was made, in order."""
        with open(self.root / "faults.hits", "rb") as file:
            file.seek(self.hits_before)
            return file.read().decode().split()

    def has_stopped(self):
        return os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG) is not None

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)


class Gone(Exception):
    """The daemon ended while it was asked."""


class Trial:
    """A part of a cell's life in which these faults happen, one after the other. `happened` are those that did."""

    def __init__(self, daemon, cell, faults):
        self.daemon, self.cell, self.faults, self.happened, self.hits = daemon, cell, list(faults), [], []
        self.current, self.connection = None, None
        self.end = time.monotonic() + STATE_S
        self.over = threading.Event()
        self.watcher = threading.Thread(target=self.watch)

    @property
    def kills(self):
        return len(self.happened)

    def __enter__(self):
        self.next_fault()
        self.watcher.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.watcher.join()
        self.disconnect()
        self.daemon.plan()

    def disarm(self):
        """No fault that has not happened yet happens any more."""
        self.note_error()
        self.hits = self.daemon.hits()
        self.faults.clear()
        self.daemon.plan()

    def next_fault(self):
        self.current = self.faults.pop(0) if self.faults else None
        self.daemon.plan(self.current)

    def note_kill(self):
        self.happened.append(self.current)
        self.next_fault()

    def note_error(self):
        """A call to the disk that failed, and that nobody had to be killed for."""
        fault = self.current
        if fault and fault.victim in ERRNOS and self.daemon.hits().count(fault.point) >= fault.occurrence:
            self.note_kill()

    # ---- who is killed while the daemon stands still ----

    def watch(self):
        while not self.over.is_set():
            with contextlib.suppress(ChildProcessError):
                if self.daemon.has_stopped():
                    self.kill_victim()
                    self.daemon.go_on()
            time.sleep(0.002)

    def kill_victim(self):
        domain = "agent" if self.current.victim == "agent" else ""
        victims = self.cell.processes(domain) if self.cell.slot() else {}
        if domain:
            victims = [pid for pid, command in victims.items() if b"agent-host" in command]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if victims:
            self.note_kill()
        else:
            self.next_fault()

    # ---- a client that does not give up ----

    def disconnect(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def ask_once(self, method, path, body, headers):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=STATE_S)
            try:
                self.connection.connect()
            except OSError as error:
                raise Gone from error
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = {"Authorization": f"Bearer {self.daemon.key}", "Content-Type": "application/json", **headers}
        try:
            self.connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = self.connection.getresponse()
            return harness.Answer(response.status, dict(response.getheaders()), response.read())
        except (OSError, http.client.HTTPException) as error:
            raise Gone from error

    def ask(self, method, rest, body=None, headers=None):
        """As often as it takes: a client asks again where it got no answer."""
        while True:
            if time.monotonic() > self.end:
                raise AssertionError(f"not within {STATE_S} s: {method} {rest}")
            try:
                answer = self.ask_once(method, self.cell.path + rest, body, headers or {})
            except Gone:
                self.revive()
                continue
            self.note_error()
            if answer.status not in (500, 503, 507):
                return answer
            if not any(fault.victim in ERRNOS for fault in self.happened):
                raise AssertionError(f"{method} {rest}: {answer}")
            self.daemon.process.kill()  # What an operator does once the disk is well again.
            self.revive()

    def revive(self):
        """Starts the daemon anew, again where it ends while it starts."""
        self.disconnect()
        while True:
            try:
                self.daemon.process.wait(10)
            except Exception as error:
                raise AssertionError("the daemon lives and does not answer") from error
            self.daemon.process.stdout.close()
            if self.current and self.current.victim == "daemon":
                self.note_kill()
            elif self.daemon.process.returncode != -signal.SIGKILL:
                raise AssertionError(f"the daemon ended with {self.daemon.process.returncode} by itself")
            if time.monotonic() > self.end:
                raise AssertionError("the daemon does not come back")
            with contextlib.suppress(AssertionError, OSError, http.client.HTTPException):
                self.daemon.start()
                return
