#!/usr/bin/env python3
"""Tries to break out of a cell: every attempt in attempts/, from both domains, as root and as a user, beside a
neighbour that must not notice. Usage: run.py [--bin DIR] [--image dev] [--runtime gvisor] [--rootless]
[--table FILE] [PATTERN]

An attempt is a file. It begins with comments: what is tried, then `defence:` what refuses it, `expect:` a regular
expression for each line that it prints, and where it makes no sense everywhere `from: shell` or `as: root`; `lacking:` is
what a daemon without root does not have against it. A line
ALLOWED is an escape, but in gVisor where `expect-gvisor:` has it: its kernel does there what `in-gvisor:` says, to itself only. `.sh` and
`.py` run in the cell (with probe.py), `.api.py` runs here and uses the API."""
import argparse
import dataclasses
import fnmatch
import io
import os
import pathlib
import re
import statistics
import sys
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import harness  # noqa: E402

USER = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--"]
TIMEOUT_MS = 30_000
DISK_BYTES, INODES = 256 << 20, 2000  # of each cell
FIELD = r"(defence|expect|expect-gvisor|in-gvisor|from|as|lacking): "
NEIGHBOUR_MS = 100  # within which the neighbour answers, at the 95th percentile of each attempt,
NEIGHBOUR_TIMES = 4  # or within so many times what it takes beside no attempt: others use this machine, too
MARKS = ("<!-- attempts: begin, written by tests/escape/run.py --table -->", "<!-- attempts: end -->")
AGENT = """
const { spawnSync } = require("child_process");
module.exports = {
  ping() { return "pong"; },
  run(ctx, { argv }) {
    const { stdout, stderr, error } = spawnSync(argv[0], argv.slice(1), { encoding: "utf8", cwd: "/work", timeout: 30000 });
    return { stdout: stdout ?? "", stderr: (stderr ?? "") + (error ? String(error) : "") };
  },
};
"""


@dataclasses.dataclass
class Attempt:
    name: str
    family: str
    kind: str
    what: str
    source: str
    defence: str
    expect: str
    expect_gvisor: str
    domains: tuple
    users: tuple
    lacking: str

    @staticmethod
    def read(path):
        source = path.read_text()
        head = [line[1:].strip() for line in source.split("\n\n", 1)[0].splitlines() if line.startswith("#")]
        fields = dict(line.split(": ", 1) for line in head if re.match(FIELD, line))
        what = " ".join(line for line in head if not re.match(FIELD, line))
        kind = "api" if path.name.endswith(".api.py") else path.suffix[1:]
        defence = "; in gVisor: ".join(fields[name] for name in ("defence", "in-gvisor") if name in fields)
        return Attempt(path.name.split(".")[0], path.parent.name, kind, what, source, defence, fields["expect"],
                       fields.get("expect-gvisor", fields["expect"]), tuple(fields.get("from", "shell agent").split()), tuple(fields.get("as", "root user").split()),
                       fields.get("lacking", ""))

    def argv(self, user):
        program = ["python3", "-B", "-c", f"import sys; sys.path.insert(0, '/work/.escape')\nfrom probe import *\n{self.source}"] \
            if self.kind == "py" else ["sh", "-c", self.source]
        return program if user == "root" else USER + program

    def judge(self, output, runtime):
        """Why `output` is no refusal; None where it is."""
        lines = [line for line in output.splitlines() if line.strip()]
        if not lines:
            return "it printed nothing"
        for line in lines:
            expect = self.expect_gvisor if runtime == "gvisor" else self.expect
            if line.startswith("ALLOWED") and runtime == "native" or not re.fullmatch(expect, line):
                return line
        return None


def late_of(took_ms):
    """Of twenty answers, one took longer."""
    return statistics.quantiles(took_ms, n=20)[-1]


class Neighbour(threading.Thread):
    """Asks a cell again and again, and keeps how long each answer took."""

    def __init__(self, cell):
        super().__init__(daemon=True)
        self.cell, self.took_ms, self.failures, self.over = cell, [], [], threading.Event()

    def run(self):
        while not self.over.wait(0.01):
            begin = time.monotonic()
            answer = self.cell.request("ping")
            self.took_ms.append((time.monotonic() - begin) * 1000)
            if answer.status != 200 or answer.json != "pong":
                self.failures.append(answer)

    def take(self):
        taken, self.took_ms = self.took_ms, []
        return taken

    def quiet_ms(self):
        """The same of as many answers as make it certain, beside no attempt."""
        self.take()
        harness.eventually("the neighbour answers", lambda: len(self.took_ms) >= 20)
        return late_of(self.take())


class Suite:
    def __init__(self, images, runtime, rootless):
        self.runtime = runtime
        options = ["--cell-disk-bytes", str(DISK_BYTES), "--cell-inodes", str(INODES)]
        if rootless:
            options += ["--level", "reduced"]
        # The agent domains that attempts are made from were warm, where that is possible: what is in them was put
        # together in two halves.
        self.warms = not rootless and runtime == "native"
        self.daemon = harness.Daemon(*options, images=images, rootless=rootless, warm_agents=int(self.warms))
        self.results = {}  # (attempt, domain, user) → None, or what went wrong
        self.slow = {}     # attempt → p95 of the neighbour's answers, ms
        self.worst_ms = 0
        self.cell = self.fresh_cell()
        self.neighbour_cell = self.daemon.create("neighbour", agent=AGENT)
        self.neighbour_cell.call("PUT", "/files/kept", b"kept")
        self.neighbour_cell.request("ping")
        self.neighbour = Neighbour(self.neighbour_cell)

    def fresh_cell(self, name="prisoner"):
        cell = self.daemon.create(name, agent=AGENT, runtime=self.runtime)
        cell.call("PUT", "/files/.escape/probe.py", (HERE / "probe.py").read_bytes())
        if self.warms:
            self.daemon.await_warm_agent()
            cell.request("ping")
            status = pathlib.Path(f"/proc/{cell.agent_pid()}/status").read_text()
            assert int(status.split("Uid:")[1].split()[0]) in harness.WARM_UIDS, "its agent was not warm"
        host = f"DAEMON_PORT = {self.daemon.port}\nDAEMON_PID = {self.daemon.process.pid}\nSTATE = {str(self.daemon.state)!r}\n"
        cell.call("PUT", "/files/.escape/host.py", host.encode())
        return cell

    def run_in_cell(self, attempt, domain, user):
        if domain == "shell":
            answer = self.cell.exec(attempt.argv(user), timeout_ms=TIMEOUT_MS)
        else:
            answer = self.cell.request("run", {"argv": attempt.argv(user)}).json
        if domain == "shell" and self.runtime == "gvisor" and not answer["stdout"] and answer.get("signal") == 9:
            return "command: SIGKILL", ""  # All of it ended, where natively only a part of it does.
        return answer["stdout"], answer["stderr"]

    def run_here(self, attempt):
        output = io.StringIO()

        def report(what, result):
            print(f"{what}: {result}" if result else f"ALLOWED {what}", file=output)
        exec(compile(attempt.source, attempt.name, "exec"),
             {"cell": self.cell, "daemon": self.daemon, "neighbour": self.neighbour_cell, "suite": self, "report": report, "USER": USER,
              "time": time, "threading": threading})
        return output.getvalue(), ""

    def run(self, attempt):
        """Where the neighbour was slow, and is not so anyway, once more."""
        for _ in range(2):
            late = self.run_once(attempt)
            if late <= NEIGHBOUR_MS or late <= NEIGHBOUR_TIMES * self.neighbour.quiet_ms():
                return
        self.slow[attempt.name] = late
        print(f"FAIL {attempt.family}/{attempt.name}: the neighbour answers in {late:.0f} ms, twice", flush=True)

    def run_once(self, attempt):
        """How long the neighbour's answers took meanwhile, ms: late_of() them."""
        places = [("api", "")] if attempt.kind == "api" else [(d, u) for d in attempt.domains for u in attempt.users]
        self.neighbour.take()
        for domain, user in places:
            spoilt = False
            try:
                output, errors = self.run_here(attempt) if domain == "api" else self.run_in_cell(attempt, domain, user)
                wrong = attempt.judge(output, self.runtime)
                spoilt = "ALLOWED" in output
                if wrong is not None and errors.strip():
                    wrong += f" ({errors.strip().splitlines()[-1]})"
            except Exception:  # Of an attempt's own code, or of the API: no refusal in any case.
                wrong = traceback.format_exc().strip().splitlines()[-1]
            self.results[attempt.name, domain, user] = wrong
            if spoilt:  # What gVisor emulates may have changed the prisoner's own root.
                self.cell.call("DELETE")
                self.cell = self.fresh_cell()
            shown = f"{attempt.family}/{attempt.name} {domain} {user}".strip()
            print(f"{'ok  ' if wrong is None else 'FAIL'} {shown}{'' if wrong is None else ': ' + wrong}", flush=True)
        took = self.neighbour.take()
        if len(took) < 5:
            return 0
        self.worst_ms = max(self.worst_ms, *took)
        return late_of(took)

    def finish(self):
        self.neighbour.over.set()
        self.neighbour.join()
        lost = len(self.neighbour.failures)
        if self.neighbour_cell.call("GET", "/files/kept").body != b"kept":
            lost += 1
        self.daemon.cleanup()
        return lost


def write_table(file, attempts, results, runtime):
    """Fills the column of `runtime`; the other one stays as it was."""
    text = file.read_text()
    begin, end = (text.index(mark) for mark in MARKS)
    rows = (line.strip("| ").split(" | ") for line in text[begin:end].splitlines() if line.startswith("| "))
    known = {row[0]: row[3:] for row in rows}
    lines = ["| attempt | what is tried | refused by | native | gVisor |", "|---|---|---|---|---|"]
    for attempt in attempts:
        name = f"{attempt.family}/{attempt.name}"
        runs = [wrong for (tried, _, _), wrong in results.items() if tried == attempt.name]
        columns = dict(zip(("native", "gvisor"), known.get(name, []) + ["", ""]))
        columns[runtime] = f"{sum(wrong is None for wrong in runs)} of {len(runs)}"
        cells = (name, attempt.what, attempt.defence, *columns.values())
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    file.write_text(text[:begin] + MARKS[0] + "\n" + "\n".join(lines) + "\n" + text[end:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=str(HERE.parents[1] / "build/release/bin"))
    parser.add_argument("--image", choices=["default", "dev"], default="default", help="what cells are made of")
    parser.add_argument("--runtime", choices=["native", "gvisor"], default="native", help="what cells run on")
    parser.add_argument("--rootless", action="store_true", help="the daemon is a user's; with the image dev")
    parser.add_argument("--from", dest="domain", choices=["shell", "agent"], help="only attempts from this domain")
    parser.add_argument("--as", dest="user", choices=["root", "user"], help="only attempts as this user")
    parser.add_argument("--part", metavar="K/N", help="only every Nth attempt, from the Kth on (from 0)")
    parser.add_argument("--table", type=pathlib.Path, help="the file whose table of attempts is written anew")
    parser.add_argument("pattern", nargs="?", default="*", help="names of attempts, as family/name")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("skipped: all attempts: cellard needs root")
        return 0
    harness.BIN = pathlib.Path(arguments.bin).resolve()
    if arguments.rootless and harness.User.why_not():
        print(f"skipped: all attempts: {harness.User.why_not()}")
        return 0
    paths = sorted((HERE / "attempts").glob("*/*.*"))
    attempts = [a for a in map(Attempt.read, paths) if fnmatch.fnmatch(f"{a.family}/{a.name}", arguments.pattern)]
    for attempt in attempts if arguments.rootless else []:
        if attempt.lacking:
            print(f"skipped: {attempt.family}/{attempt.name}: {attempt.lacking}")
    attempts = [a for a in attempts if not (arguments.rootless and a.lacking)]
    if arguments.part:
        first, step = map(int, arguments.part.split("/"))
        attempts = attempts[first::step]
    for attempt in attempts:
        attempt.domains = tuple(d for d in attempt.domains if arguments.domain in (None, d))
        attempt.users = tuple(u for u in attempt.users if arguments.user in (None, u))
    suite = Suite("dev" if arguments.rootless else arguments.image, arguments.runtime, arguments.rootless)
    suite.neighbour.start()
    for attempt in attempts:
        suite.run(attempt)
    lost = suite.finish()
    if arguments.table:
        write_table(arguments.table, attempts, suite.results, arguments.runtime)
    wrong = sum(result is not None for result in suite.results.values()) + len(suite.slow)
    leaked = harness.leftovers()
    for what in leaked:
        print(f"left behind: {what}")
    print(f"{len(attempts)} attempts, {len(suite.results)} runs, {wrong} failed; the neighbour lost {lost} answers, "
          f"its slowest took {suite.worst_ms:.0f} ms")
    return 1 if wrong or lost or leaked or not attempts else 0


if __name__ == "__main__":
    sys.exit(main())
