#!/usr/bin/env python3
"""Tries to break out of a cell: every attempt in attempts/, from both domains, as root and as a user, beside a
neighbour that must not notice. Usage: run.py [--bin DIR] [--image dev] [--table FILE] [PATTERN]

An attempt is a file. It begins with comments: what is tried, then `defence:` what refuses it, `expect:` a regular
expression for each line that it prints, and where it makes no sense everywhere `from: shell` or `as: root`. A line
ALLOWED is an escape. `.sh` and `.py` run in the cell (with probe.py), `.api.py` runs here and uses the API."""
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
NEIGHBOUR_MS = 100  # within which the neighbour answers, at the 95th percentile of each attempt
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
    domains: tuple
    users: tuple

    @staticmethod
    def read(path):
        source = path.read_text()
        head = [line[1:].strip() for line in source.split("\n\n", 1)[0].splitlines() if line.startswith("#")]
        fields = dict(line.split(": ", 1) for line in head if re.match(r"(defence|expect|from|as): ", line))
        what = " ".join(line for line in head if not re.match(r"(defence|expect|from|as): ", line))
        kind = "api" if path.name.endswith(".api.py") else path.suffix[1:]
        return Attempt(path.name.split(".")[0], path.parent.name, kind, what, source, fields["defence"], fields["expect"],
                       tuple(fields.get("from", "shell agent").split()), tuple(fields.get("as", "root user").split()))

    def argv(self, user):
        program = ["python3", "-B", "-c", f"import sys; sys.path.insert(0, '/work/.escape')\nfrom probe import *\n{self.source}"] \
            if self.kind == "py" else ["sh", "-c", self.source]
        return program if user == "root" else USER + program

    def judge(self, output):
        """Why `output` is no refusal; None where it is."""
        lines = [line for line in output.splitlines() if line.strip()]
        if not lines:
            return "it printed nothing"
        for line in lines:
            if line.startswith("ALLOWED") or not re.fullmatch(self.expect, line):
                return line
        return None


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


class Suite:
    def __init__(self, images):
        self.daemon = harness.Daemon(images=images)
        self.results = {}  # (attempt, domain, user) → None, or what went wrong
        self.slow = {}     # attempt → p95 of the neighbour's answers, ms
        self.worst_ms = 0
        self.cell = self.fresh_cell()
        self.neighbour_cell = self.daemon.create("neighbour", agent=AGENT)
        self.neighbour_cell.call("PUT", "/files/kept", b"kept")
        self.neighbour_cell.request("ping")
        self.neighbour = Neighbour(self.neighbour_cell)

    def fresh_cell(self, name="prisoner"):
        cell = self.daemon.create(name, agent=AGENT)
        cell.call("PUT", "/files/.escape/probe.py", (HERE / "probe.py").read_bytes())
        host = f"DAEMON_PORT = {self.daemon.port}\nDAEMON_PID = {self.daemon.process.pid}\nSTATE = {str(self.daemon.state)!r}\n"
        cell.call("PUT", "/files/.escape/host.py", host.encode())
        return cell

    def run_in_cell(self, attempt, domain, user):
        if domain == "shell":
            answer = self.cell.exec(attempt.argv(user), timeout_ms=TIMEOUT_MS)
        else:
            answer = self.cell.request("run", {"argv": attempt.argv(user)}).json
        return answer["stdout"], answer["stderr"]

    def run_here(self, attempt):
        output = io.StringIO()

        def report(what, result):
            print(f"{what}: {result}" if result else f"ALLOWED {what}", file=output)
        exec(compile(attempt.source, attempt.name, "exec"),
             {"cell": self.cell, "daemon": self.daemon, "neighbour": self.neighbour_cell, "suite": self, "report": report,
              "time": time, "threading": threading})
        return output.getvalue(), ""

    def run(self, attempt):
        places = [("api", "")] if attempt.kind == "api" else [(d, u) for d in attempt.domains for u in attempt.users]
        self.neighbour.take()
        for domain, user in places:
            try:
                output, errors = self.run_here(attempt) if domain == "api" else self.run_in_cell(attempt, domain, user)
                wrong = attempt.judge(output)
                if wrong is not None and errors.strip():
                    wrong += f" ({errors.strip().splitlines()[-1]})"
            except Exception:  # Of an attempt's own code, or of the API: no refusal in any case.
                wrong = traceback.format_exc().strip().splitlines()[-1]
            self.results[attempt.name, domain, user] = wrong
            shown = f"{attempt.family}/{attempt.name} {domain} {user}".strip()
            print(f"{'ok  ' if wrong is None else 'FAIL'} {shown}{'' if wrong is None else ': ' + wrong}", flush=True)
        took = self.neighbour.take()
        if len(took) >= 5:
            self.worst_ms = max(self.worst_ms, *took)
            late = statistics.quantiles(took, n=20)[-1]
            if late > NEIGHBOUR_MS:
                self.slow[attempt.name] = late
                print(f"FAIL {attempt.family}/{attempt.name}: the neighbour answers in {late:.0f} ms", flush=True)

    def finish(self):
        self.neighbour.over.set()
        self.neighbour.join()
        lost = len(self.neighbour.failures)
        if self.neighbour_cell.call("GET", "/files/kept").body != b"kept":
            lost += 1
        self.daemon.cleanup()
        return lost


def write_table(file, attempts, results):
    lines = ["| attempt | what is tried | refused by | runs refused |", "|---|---|---|---|"]
    for attempt in attempts:
        runs = [wrong for (name, _, _), wrong in results.items() if name == attempt.name]
        refused = sum(wrong is None for wrong in runs)
        cells = (f"{attempt.family}/{attempt.name}", attempt.what, attempt.defence, f"{refused} of {len(runs)}")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    text = file.read_text()
    begin, end = (text.index(mark) for mark in MARKS)
    file.write_text(text[:begin] + MARKS[0] + "\n" + "\n".join(lines) + "\n" + text[end:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=str(HERE.parents[1] / "build/release/bin"))
    parser.add_argument("--image", choices=["default", "dev"], default="default", help="what cells are made of")
    parser.add_argument("--table", type=pathlib.Path, help="the file whose table of attempts is written anew")
    parser.add_argument("pattern", nargs="?", default="*", help="names of attempts, as family/name")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("skipped: all attempts: cellard needs root")
        return 0
    harness.BIN = pathlib.Path(arguments.bin).resolve()
    paths = sorted((HERE / "attempts").glob("*/*.*"))
    attempts = [a for a in map(Attempt.read, paths) if fnmatch.fnmatch(f"{a.family}/{a.name}", arguments.pattern)]
    suite = Suite(arguments.image)
    suite.neighbour.start()
    for attempt in attempts:
        suite.run(attempt)
    lost = suite.finish()
    if arguments.table:
        write_table(arguments.table, attempts, suite.results)
    wrong = sum(result is not None for result in suite.results.values()) + len(suite.slow)
    leaked = harness.leftovers()
    for what in leaked:
        print(f"left behind: {what}")
    print(f"{len(attempts)} attempts, {len(suite.results)} runs, {wrong} failed; the neighbour lost {lost} answers, "
          f"its slowest took {suite.worst_ms:.0f} ms")
    return 1 if wrong or lost or leaked or not attempts else 0


if __name__ == "__main__":
    sys.exit(main())
