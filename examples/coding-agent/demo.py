#!/usr/bin/env python3
"""An agent fixes a real bug in a cell, while its process and the daemon are killed.

Usage: demo.py [--bin build/release/bin] [--agent FILE]     Root is needed: cells are made of namespaces and mounts.
Prints what happens as it happens; the last line is "demo: ok" or "demo: failed: WHY".
"""
import argparse
import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import prepare_job

HERE = pathlib.Path(__file__).resolve().parent
LIMIT_S = 180  # of the whole run
TERMINAL = sys.stdout.isatty()


class Failed(Exception):
    """Why the demo did not do what it says."""


def say(mark, text, colour=""):
    colours = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "dim": "2"}
    if TERMINAL and colour:
        text = f"\033[{colours[colour]}m{text}\033[0m"
    print(f"{mark:>9}  {text}", flush=True)


def require(condition, why):
    if not condition:
        raise Failed(why)


def link_or_copy(source, target):
    """Images are large and never change: one file in two places, unless /tmp is another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


class Daemon:
    """A cellard on a free port with its own state folder."""

    def __init__(self, programs, root, images):
        self.programs, self.root = programs, root
        if images.exists():  # Else cells see a view of this machine.
            (root / "state").mkdir()
            shutil.copytree(images, root / "state" / "images", symlinks=True, copy_function=link_or_copy)
        self.key, self.port, self.process = secrets.token_hex(16), 0, None
        self.start()

    def start(self):
        with open(self.root / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "cellard", "--state", self.root / "state", "--listen", f"127.0.0.1:{self.port}",
                 "--seal-key-file", self.root / "keys" / "seal.key"],
                stdout=subprocess.PIPE, stderr=log, env=dict(os.environ, CELLAR_API_KEY=self.key))
        line = self.process.stdout.readline().decode().strip()
        require("listening on" in line, f"cellard does not start: {(self.root / 'log').read_text()[-500:]}")
        self.port = int(line.rsplit(":", 1)[1])

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait(30)
        self.process.stdout.close()

    def open(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, body=data, headers={"Authorization": f"Bearer {self.key}", **(headers or {})})
        return connection, connection.getresponse()

    def call(self, method, path, body=None):
        connection, response = self.open(method, path, body)
        data = response.read()
        connection.close()
        require(response.status < 400, f"{method} {path}: {response.status} {data.decode(errors='replace')}")
        return json.loads(data) if data and "json" in response.getheader("Content-Type", "") else data


class Model:
    """Where the agent finds its model, and what the cell may reach for it."""

    def __init__(self):
        self.process = None
        if os.environ.get("OPENAI_API_KEY"):
            self.url = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
            self.key, self.name = os.environ["OPENAI_API_KEY"], os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
            say("model", f"{self.name} at {self.url}")
        else:
            folder = HERE.parent / "scripted-model"
            self.process = subprocess.Popen(["node", folder / "server.js", folder / "moment.json", "--delay-ms", "400"],
                                            stdout=subprocess.PIPE)
            line = self.process.stdout.readline().decode().strip()
            self.url, self.key, self.name = line.split(": ")[-1], "none", "scripted"
            say("model", "OPENAI_API_KEY is not set: a scripted model answers from a transcript. It is no model.",
                "yellow")
        parts = urllib.parse.urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self.allow = [f"{parts.hostname}:{port}"]

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


class Cell:
    def __init__(self, daemon, model, agent):
        self.daemon = daemon
        language = "python" if agent.suffix == ".py" else "javascript"
        fields = daemon.call("POST", "/api/v1/cells", {
            "customer_id": "demo", "agent": agent.read_text(), "agent_language": language, "allow": model.allow,
            "secrets": {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": model.key, "OPENAI_MODEL": model.name}})
        self.id = fields["cell_id"]
        self.path = f"/api/v1/cells/{self.id}"

    def call(self, method, rest, body=None):
        return self.daemon.call(method, self.path + rest, body)

    def agent_pid(self):
        """The host's number of the agent's process."""
        record = self.daemon.root / "state/cells" / self.id / "run/slot.json"
        slot = json.loads(record.read_text())["slot"]
        for folder in pathlib.Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and f"/{slot}/agent/" in (folder / "cgroup").read_text() \
                        and b"agent-host" in (folder / "cmdline").read_bytes():
                    return int(folder.name)
            except OSError:
                continue
        return None


def events_of(cell, run):
    """The run's events to its end, through every loss of the connection."""
    last, end = 0, time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        try:
            connection, response = cell.daemon.open("GET", f"{cell.path}/runs/{run}/events", None,
                                                    {"Last-Event-ID": str(last)})
            require(response.status == 200, f"events: {response.status}")
            for line in response:
                if line.startswith(b"data: "):
                    event = json.loads(line[6:])
                    require(event["seq"] > last, f"event {event['seq']} came after {last}")
                    last = event["seq"]
                    yield event
                    if event["type"] in ("run.completed", "run.failed", "run.cancelled", "run.paused"):
                        connection.close()
                        return
        except (ConnectionError, http.client.HTTPException, TimeoutError, OSError):
            time.sleep(0.05)  # The daemon is on its way back.
    raise Failed("the run did not end in time")


def show(event):
    kind, data = event["type"], event["data"]
    if kind == "stream":
        details = {key: value for key, value in data.items() if key != "phase"}
        text = details.get("text") or "  ".join(f"{k}: {v}" for k, v in details.items())
        say(data["phase"], text.replace("\n", " ")[:150], "blue")
    elif kind in ("step.completed", "reset", "run.attempt", "run.failed", "run.paused"):
        say(kind.split(".")[0], f"{kind} " + "  ".join(f"{k}: {v}" for k, v in data.items())[:150], "dim")


def begin(cell):
    """Starts the run; its answer comes on a connection of its own, which nobody has to keep."""
    started = time.monotonic()
    body = {"method": "fix", "params": {"instruction": prepare_job.INSTRUCTION,
                                        "testCommand": prepare_job.TEST_COMMAND}}

    def ask():
        try:
            connection, response = cell.daemon.open("POST", cell.path + "/request", body)
            response.read()
            connection.close()
        except (OSError, http.client.HTTPException):
            pass  # The daemon is killed meanwhile; the run is not.

    threading.Thread(target=ask, daemon=True).start()
    while time.monotonic() - started < LIMIT_S:
        runs = cell.call("GET", "/runs")["runs"]
        if runs:
            return runs[0]["id"], started
        time.sleep(0.002)
    raise Failed("the run did not start")


def follow(cell, run, started):
    """Shows the run; kills the agent while the model is asked the second time, the daemon at the fourth."""
    questions, first_event_s, killed = 0, None, []
    for event in events_of(cell, run):
        first_event_s = first_event_s or time.monotonic() - started
        show(event)
        if event["type"] == "step.started" and event["data"]["kind"] == "fetch":
            questions += 1
            if questions == 2:
                pid = cell.agent_pid()
                require(pid, "the agent's process is not there")
                os.kill(pid, signal.SIGKILL)
                killed.append("agent")
                say("KILL", f"SIGKILL to the agent host, process {pid}", "red")
            elif questions == 4:
                cell.daemon.kill()
                killed.append("daemon")
                say("KILL", f"SIGKILL to cellard, process {cell.daemon.process.pid}; starting it again", "red")
                cell.daemon.start()
    require(event["type"] == "run.completed", f"the run ended with {event['type']}: {event['data']}")
    require(killed == ["agent", "daemon"], f"only killed: {killed}")
    return event["data"]["result"], first_event_s


def upload(cell, folder):
    names = prepare_job.prepare(folder)
    for name in names:
        cell.call("PUT", f"/files/{urllib.parse.quote(name)}", (folder / name).read_bytes())
    say("files", f"{len(names)} files of moment 2.3.0 are in the cell's /work")


def pause_and_resume(cell, result):
    """Everything is there after a pause. Gives the seconds of the resume."""
    require(cell.call("POST", "/pause")["status"] == "paused", "the cell does not pause")
    started = time.monotonic()
    require(cell.call("POST", "/resume")["status"] == "active", "the cell does not resume")
    took = time.monotonic() - started
    stored = cell.call("POST", "/request", {"method": "db_get", "params": {"key": "last_fix"}})["value"]
    require(stored == result, f"the database entry is not what the run returned: {stored}")
    source = cell.call("GET", "/files/moment.js").decode()
    require("if (index != null)" in source or result["fixed"], "the fix is not in the file")
    say("resume", "paused and resumed: the database entry and the files are there")
    return took


def show_table(cell, run, result, first_event_s, resume_s):
    steps = cell.call("GET", f"/runs/{run}")["steps"]
    again = {f"{step['kind']} {step['ordinal']}": step["executed"] - 1 for step in steps if step["executed"] > 1}
    rows = [("steps", len(steps)),
            ("steps executed again", f"{sum(again.values())} {again or ''}"),
            ("time to first event", f"{first_event_s * 1000:.0f} ms"),
            ("resume from pause", f"{resume_s * 1000:.1f} ms"),
            ("tests before", result["tests"]["before"]),
            ("tests after", result["tests"]["after"])]
    print()
    for name, value in rows:
        print(f"  {name:<22} {value}")
    print()
    require(all(count <= 1 for count in again.values()), "a step was executed again more than once")
    require(sum(again.values()) <= 2, "more steps were executed again than there were kills")


def run_demo(daemon, model, root, agent):
    cell = Cell(daemon, model, agent)
    upload(cell, root / "repository")
    before = cell.call("POST", "/exec", {"cmd": prepare_job.TEST_COMMAND})
    require(before["exit_code"] == 1, f"the tests should fail before: {before}")
    say("task", prepare_job.INSTRUCTION.split("\n", maxsplit=1)[0])
    run, started = begin(cell)
    result, first_event_s = follow(cell, run, started)
    require(result["fixed"], f"the agent did not fix it: {result}")
    after = cell.call("POST", "/exec", {"cmd": prepare_job.TEST_COMMAND})
    require(after["exit_code"] == 0, f"the tests still fail: {after['stdout'][-500:]}")
    resume_s = pause_and_resume(cell, result)
    show_table(cell, run, result, first_event_s, resume_s)


def clean_up(daemon, model):
    if daemon.process.poll() is not None:
        daemon.start()
    for cell in daemon.call("GET", "/api/v1/cells")["cells"]:
        daemon.call("DELETE", f"/api/v1/cells/{cell['cell_id']}")
    daemon.kill(signal.SIGTERM)
    model.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--agent", type=pathlib.Path, default=HERE / "agent.js")
    arguments = parser.parse_args()
    programs = pathlib.Path(arguments.bin).resolve()
    if os.geteuid() != 0:
        print("demo: failed: root is needed, cells are made of namespaces and mounts")
        return 1
    root = pathlib.Path(tempfile.mkdtemp(prefix="cellar-demo-"))
    model = Model()
    why = None
    daemon = None
    try:
        daemon = Daemon(programs, root, HERE.parents[1] / "build/images/images")
        run_demo(daemon, model, root, arguments.agent)
    except (Failed, OSError, subprocess.SubprocessError, shutil.Error) as failure:
        why = str(failure)
    finally:
        try:
            if daemon:
                clean_up(daemon, model)
        except (Failed, OSError) as failure:
            why = why or f"clean-up: {failure}"
        model.stop() if not daemon else None
        if why and (root / "log").exists():
            print((root / "log").read_text()[-3000:], file=sys.stderr)
        shutil.rmtree(root, ignore_errors=True)
    print("demo: ok" if why is None else f"demo: failed: {why}")
    return 0 if why is None else 1


if __name__ == "__main__":
    sys.exit(main())
