#!/usr/bin/env python3
"""Measures a daemon beside references of the same run: bench.py [--bin DIR] [--runs N] [--npm] [--save]

Prints medians and ratios; --save writes bench/results/DATE.json. Root is needed.
"""
import argparse
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
sys.path.insert(0, str(ROOT / "examples" / "coding-agent"))
import harness  # noqa: E402
import prepare_job  # noqa: E402
from saving import save  # noqa: E402

AGENT = """module.exports = {
  nothing() { return 1; },
  async steps(ctx, { count }) {
    const times = [];
    for (let i = 0; i < count; i++) {
      const start = process.hrtime.bigint();
      await ctx.step("s", () => i);
      times.push(Number(process.hrtime.bigint() - start) / 1e6);
    }
    return times;
  },
};"""
PYTHON_AGENT = """
import time

async def steps(ctx, params):
    times = []
    for i in range(params["count"]):
        start = time.perf_counter()
        await ctx.step("s", lambda: i)
        times.append((time.perf_counter() - start) * 1000)
    return times

def plain_steps(ctx, params):
    times = []
    for i in range(params["count"]):
        start = time.perf_counter()
        ctx.step("s", lambda: i)
        times.append((time.perf_counter() - start) * 1000)
    return times
"""
BWRAP = ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink",
         "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
         "--uid", "0", "--gid", "0", "--hostname", "cell"]


def milliseconds(work, runs):
    """The times of `work`, called `runs` times."""
    times = []
    for number in range(runs):
        start = time.perf_counter()
        work(number)
        times.append((time.perf_counter() - start) * 1000)
    return times


class Client:
    """One kept connection: what is measured is the daemon, not Python's client."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.socket = socket.create_connection(("127.0.0.1", daemon.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")

    def call(self, method, path, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.daemon.key}\r\n"
                            f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        status = int(self.reader.readline().split()[1])
        length = 0
        while (line := self.reader.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = self.reader.read(length)
        assert status < 300, (status, body)
        return json.loads(body) if body else None


def sync_loop(folder, runs, every_ms=0):
    """The reference of a durable step: 100 bytes and fdatasync, on the same file system, begun once in `every_ms`."""
    descriptor = os.open(folder / "reference", os.O_WRONLY | os.O_CREAT)
    os.posix_fallocate(descriptor, 0, 1 << 20)
    os.fsync(descriptor)

    def write(number):
        os.pwrite(descriptor, b"x" * 100, number * 104 % (1 << 20))
        os.fdatasync(descriptor)

    times, due = [], time.perf_counter()
    for number in range(runs):
        time.sleep(max(0, due - time.perf_counter()))
        due = time.perf_counter() + every_ms / 1000
        times += milliseconds(lambda _: write(number), 1)
    os.close(descriptor)
    return times


class Bench:
    def __init__(self, runs, npm=False):
        self.runs, self.rows, self.npm = runs, [], npm
        self.daemon = harness.Daemon()
        self.client = Client(self.daemon)

    def row(self, name, ours, reference=None, against="", unit="ms"):
        entry = {"name": name, "unit": unit, "median": round(statistics.median(ours), 3),
                 "p95": round(sorted(ours)[int(len(ours) * 0.95)], 3), "runs": len(ours)}
        if reference:
            entry |= {"reference": against, "reference_median": round(statistics.median(reference), 3),
                      "ratio": round(statistics.median(ours) / statistics.median(reference), 2)}
        self.rows.append(entry)
        beside = f"{entry['reference_median']:9.3f} {unit} {against:<34} ratio {entry['ratio']}" if reference else ""
        print(f"{name:<48} {entry['median']:9.3f} {unit}  p95 {entry['p95']:9.3f}   {beside}", flush=True)

    def creation(self):
        runs = max(5, self.runs // 10)

        def create(number):
            cell = self.client.call("POST", "/api/v1/cells", {"customer_id": f"new-{number}"})["cell_id"]
            self.client.call("POST", f"/api/v1/cells/{cell}/exec", {"cmd": ["true"]})

        ours = milliseconds(create, runs)
        reference = milliseconds(lambda _: subprocess.run([*BWRAP, "true"], check=True), runs)
        self.row("create a cell, first command done", ours, reference, "bwrap, the same namespaces")
        for number in range(runs):
            self.client.call("DELETE", f"/api/v1/cells/dev--new-{number}")

    def commands(self):
        path = f"/api/v1/cells/{self.cell.id}/exec"
        ours = milliseconds(lambda _: self.client.call("POST", path, {"cmd": ["true"]}), self.runs)
        reference = milliseconds(lambda _: subprocess.run(["true"], check=True), self.runs)
        self.row("exec true in a running cell", ours, reference, "a process of the host")

    def files(self):
        path = f"/api/v1/cells/{self.cell.id}/files/bench.txt"
        place, text = self.daemon.root / "bench.txt", "x" * 4096

        def there_and_back(_):
            self.client.call("PUT", path, text)
            self.client.call("GET", path)

        def on_host(_):
            new = place.with_suffix(".new")
            with open(new, "w") as file:
                file.write(json.dumps(text))
                file.flush()
                os.fsync(file.fileno())
            new.rename(place)
            folder = os.open(place.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
            place.read_text()

        self.row("write a file of 4 KiB and read it", milliseconds(there_and_back, self.runs), milliseconds(on_host, self.runs),
                 "the same on the host: fsync, rename")

    def agent(self):
        path = f"/api/v1/cells/{self.cell.id}/request"
        count = {"method": "steps", "params": {"count": self.runs}}
        self.client.call("POST", path, count)  # The agent's code is compiled by then.
        steps = self.client.call("POST", path, count)
        plain = sync_loop(self.daemon.root, self.runs)
        self.row("durable step that does nothing", steps, plain, "write + fdatasync")
        self.row("write + fdatasync, as often as by the steps",
                 sync_loop(self.daemon.root, self.runs, statistics.median(steps)), plain, "write + fdatasync")
        ours = milliseconds(lambda _: self.client.call("POST", path, {"method": "nothing"}), self.runs)
        self.row("request to a warm agent", ours, sync_loop(self.daemon.root, self.runs), "write + fdatasync")

    def python_agent(self):
        path = f"/api/v1/cells/{self.daemon.create('python', agent=PYTHON_AGENT, agent_language='python').id}/request"
        for method, how in (("steps", "in Python"), ("plain_steps", "in a plain function")):
            count = {"method": method, "params": {"count": self.runs}}
            self.client.call("POST", path, count)
            self.row(f"durable step, {how}", self.client.call("POST", path, count),
                     sync_loop(self.daemon.root, self.runs), "write + fdatasync")

    def resumes(self):
        path = f"/api/v1/cells/{self.cell.id}"
        for kind, runs in (("pause", max(5, self.runs // 4)), ("hibernate", max(5, self.runs // 20))):
            ours = []
            for _ in range(runs):
                self.client.call("POST", f"{path}/{kind}")
                ours += milliseconds(lambda _: self.client.call("POST", f"{path}/exec", {"cmd": ["true"]}), 1)
            self.row(f"first command after {kind}", ours)

    def search(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="cellar-bench-"))
        names = prepare_job.prepare(folder)
        for name in names:
            target = self.cell.dir / "work" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / name, target)
        path = f"/api/v1/cells/{self.cell.id}/search"
        body = {"query": "parse a date with a format", "limit": 10}
        self.row(f"first query, {len(names)} files indexed", milliseconds(lambda _: self.client.call("POST", path, body), 1))
        ours = milliseconds(lambda _: self.client.call("POST", path, body), self.runs)
        ripgrep = shutil.which("rg")
        command = [ripgrep or "grep", *([] if ripgrep else ["-r"]), "-l", "parse", "."]
        reference = milliseconds(
            lambda _: subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True), max(5, self.runs // 4))
        self.row("query, nothing changed", ours, reference, "ripgrep, one word" if ripgrep else "grep -r")
        shutil.rmtree(folder)
        ours = []
        for run in range(self.runs):
            (self.cell.dir / "work/changed.py").write_text(f"def changed_{run}(): pass\n")
            ours += milliseconds(lambda _: self.client.call("POST", path, body), 1)
        self.row("query, one file changed", ours)
        self.search_large()

    def search_large(self):
        cell = self.daemon.create("large")
        for number in range(10_000):
            target = cell.dir / "work" / f"{number % 300}/{number}.py"
            target.parent.mkdir(exist_ok=True)
            target.write_text(f"def function_{number}(argument):\n    return argument + {number}\n")
        path = f"/api/v1/cells/{cell.id}"
        body = {"query": "function_4711", "limit": 10}
        ask = lambda _: self.client.call("POST", f"{path}/search", body)
        self.row("first query, 10,000 files", milliseconds(ask, 1))
        self.row("query, 10,000 files, nothing changed", milliseconds(ask, self.runs))
        ours = []
        for _ in range(max(5, self.runs // 20)):
            self.client.call("POST", f"{path}/pause")
            self.client.call("POST", f"{path}/exec", {"cmd": ["true"]})
            ours += milliseconds(ask, 1)
        self.row("query, every file's state looked at", ours)

    def packages(self):
        """From the registry, into an empty folder with an empty cache, in a cell and on the host in turn."""
        cell = self.daemon.create("packages", allow=["registry.npmjs.org"], tier="standard")
        outside = pathlib.Path(tempfile.mkdtemp(prefix="cellar-bench-", dir=self.daemon.root))
        install = ("rm -rf {0}; mkdir {0}; cd {0}; npm init -y > npm.log; npm install --cache {0}/cache --no-audit --no-fund "
                   "express@4 typescript@5 lodash@4 >> npm.log 2>&1")
        authorities = {name: os.environ[name] for name in ("NODE_EXTRA_CA_CERTS",) if name in os.environ}

        def inside(_):
            result = cell.exec(install.format("/work/packages"), env=authorities, timeout_ms=300_000)
            assert result["exit_code"] == 0, result

        ours, host = [], []
        for _ in range(5):
            ours += milliseconds(inside, 1)
            host += milliseconds(lambda _: subprocess.run(["sh", "-c", install.format(outside / "packages")], check=True), 1)
        self.row("npm install of 73 packages", ours, host, "the same on the host")
        cell.call("DELETE")

    def run(self):
        try:
            if self.npm:
                self.packages()
            self.creation()
            self.cell = self.daemon.create("bench", agent=AGENT)
            self.cell.request("nothing")
            self.cell.exec("true")
            self.commands()
            self.files()
            self.agent()
            self.python_agent()
            self.search()
            self.resumes()
        finally:
            self.daemon.cleanup()


def carry_out(description, make, more_options, name=""):
    """Reads the command line, measures with what `make(arguments)` gives, and saves the rows where that is asked for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin"))
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--save", action="store_true", help="the rows into bench/results/")
    more_options(parser)
    arguments = parser.parse_args()
    harness.BIN = pathlib.Path(arguments.bin).resolve()
    bench = make(arguments)
    bench.run()
    if arguments.save:
        save(bench.rows, name)


def main():
    carry_out(__doc__, lambda arguments: Bench(arguments.runs, arguments.npm),
              lambda parser: parser.add_argument("--npm", action="store_true", help="npm install, too: needs the registry"))


if __name__ == "__main__":
    main()
