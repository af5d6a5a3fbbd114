"""Streams, terminals, small files and requests, beside the least that each of them can cost here.
scripts/bench streams."""
import json
import os
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import time

from bench import ROOT, Bench, Client, carry_out, harness, milliseconds

sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from test_processes import WebSocket  # noqa: E402

LOAD, HELLO = "http_load", "hello_server"
AGENT = """module.exports = {
  many(ctx, { count }) { for (let i = 0; i < count; i++) ctx.stream(i); },
  async times(ctx, { first_ms, count, pause_ms }) {
    for (let i = 0; i < count; i++) {
      const late_ms = Number(process.hrtime.bigint()) / 1e6 - first_ms - i * pause_ms;
      await new Promise((done) => setTimeout(done, -late_ms));
      ctx.stream({ t: Number(process.hrtime.bigint()) });
    }
  },
};"""
CELLS = 100  # that streams are spread over
EVENTS, PAUSE_MS = 40, 150  # of one cell that all follow
EVENTS_OF_EACH, EVENTS_A_SECOND = 15, 50  # of many cells, in turn; a second: of all together
START_MS = 15_000  # for agents to have begun
BEHIND = 1_000_000
RUN_EVENTS = 90_000  # of one run: it may not have 100,000
IDLE_S = 10


def resident(pid):
    """What the process has for itself in memory, in bytes."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no smaps_rollup")


def processor_ms(pid):
    threads = pathlib.Path(f"/proc/{pid}/task")
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads.iterdir()) / 1e6


class Streams:
    """Open streams of a server, read by a program of their own."""

    def __init__(self, port, key, paths):
        words = [str(word) for path, count in paths for word in (path, count)]
        self.program = subprocess.Popen([harness.BIN / LOAD, "streams", str(port), key, *words], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.program.stdout.readline() == "open\n"

    def end(self):
        """When the events came."""
        told = self.program.communicate()[0]
        assert self.program.returncode == 0
        return json.loads(told)


class Hello:
    def __init__(self, body):
        self.program = subprocess.Popen([harness.BIN / HELLO, body], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.program.stdout.readline())

    def event(self):
        self.program.stdin.write(json.dumps({"t": time.clock_gettime_ns(time.CLOCK_MONOTONIC)}).replace(" ", "") + "\n")
        self.program.stdin.flush()

    def end(self):
        self.program.communicate()


class StreamsBench(Bench):
    def __init__(self, runs, stream_count, behind, parts):
        self.runs, self.rows, self.stream_count, self.behind, self.parts = runs, [], stream_count, behind, parts
        self.daemon = harness.Daemon()
        self.client = Client(self.daemon)

    def tell(self, name, goal=None, holds=None, **figures):
        """A row of figures; `holds`: whether the goal is reached."""
        entry = {"name": name, **figures, **({} if goal is None else {"goal": goal, "holds": bool(holds)})}
        self.rows.append(entry)
        verdict = "" if goal is None else f"   goal {goal}: {'holds' if holds else 'MISSED'}"
        print(f"{name:<44} " + "  ".join(f"{key} {value}" for key, value in figures.items()) + verdict, flush=True)

    def begin(self, cell, method, **params):
        return self.client.call("POST", f"{cell.path}/runs", {"method": method, "params": params})["id"]

    def ended(self, cell, run):
        harness.eventually("the run ends", lambda: self.client.call("GET", f"{cell.path}/runs/{run}")["status"] == "completed", 600)

    def hello_fan_out(self):
        """A program that has nothing to do but to send to so many."""
        hello = Hello("{}")
        streams = Streams(hello.port, "none", [("/events", self.stream_count)])
        for _ in range(EVENTS):
            hello.event()
            time.sleep(PAUSE_MS / 1000)
        figures = streams.end()
        hello.end()
        return figures

    def told(self, streams, cells, count, pause_ms):
        """Lets each cell tell so many events, in turn at a steady rate: when they came to the streams of their cells."""
        pid = self.daemon.process.pid
        first_ms = time.clock_gettime(time.CLOCK_MONOTONIC) * 1000 + START_MS
        runs = [(cell, self.begin(cell, "times", first_ms=first_ms + number * pause_ms / len(cells), count=count, pause_ms=pause_ms))
                for number, cell in enumerate(cells)]
        assert time.clock_gettime(time.CLOCK_MONOTONIC) * 1000 < first_ms, "the agents began too late"
        begun = processor_ms(pid)
        for cell, run in runs:
            self.ended(cell, run)
        used = processor_ms(pid) - begun
        figures = streams.end()
        assert figures["arrivals"] == count * self.stream_count, figures
        return {"p50_ms": figures["p50_ms"], "p99_ms": figures["p99_ms"],
                "processor_us_a_send": round(used * 1000 / figures["arrivals"], 2)}

    def open_streams(self, cells):
        return Streams(self.daemon.port, self.daemon.key,
                       [(f"{cell.path}/events?tail=0", self.stream_count // len(cells)) for cell in cells])

    def first_byte(self, path, after):
        connection = socket.create_connection(("127.0.0.1", self.daemon.port))
        begun = time.perf_counter()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.daemon.key}\r\n"
                           f"Accept: text/event-stream\r\nLast-Event-ID: {after}\r\n\r\n".encode())
        got = b""
        while b"\ndata: " not in got:
            got += connection.recv(1 << 16)
        took = (time.perf_counter() - begun) * 1000
        connection.close()
        return took

    def reconnect(self):
        """With many events behind: those that the client has, and those that it has not."""
        cell = self.daemon.create("behind", agent=AGENT)
        begun = time.monotonic()
        for _ in range(-(-self.behind // RUN_EVENTS)):
            self.ended(cell, run := self.begin(cell, "many", count=min(self.behind, RUN_EVENTS)))
        newest = self.client.call("GET", f"{cell.path}/events?tail=1")["last_seq"]
        self.tell("events made", s=round(time.monotonic() - begun, 1), events=newest)
        last = self.client.call("GET", f"{cell.path}/runs/{run}")["id"]
        places = {"the cell's, at its end": (f"{cell.path}/events", newest - 3), "the cell's, with all behind": (f"{cell.path}/events", 1),
                  "a run's, at its end": (f"{cell.path}/runs/{last}/events", newest - 3), "a run's, with all behind": (f"{cell.path}/runs/{last}/events", 1)}
        for name, (path, after) in places.items():
            times = sorted(self.first_byte(path, after) for _ in range(min(self.runs, 50)))
            self.tell(f"reconnect to first event, {name}", "20 ms", times[-1] <= 20, p50_ms=round(statistics.median(times), 2),
                      max_ms=round(times[-1], 2), events=newest)
        self.daemon.restart()
        self.client = Client(self.daemon)
        self.tell("the same, first after a restart of cellard", ms=round(self.first_byte(f"{cell.path}/events", newest - 3), 1))

    def terminal(self):
        cell = self.daemon.create("terminal")
        process = self.client.call("POST", f"{cell.path}/processes", {"cmd": ["cat"], "terminal": {"columns": 80, "rows": 24}})["id"]
        client = WebSocket(self.daemon, f"{cell.path}/processes/{process}/attach")
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        frames = client.frames()

        def key(_):
            client.type("x")
            while b"x" not in next(frames)[1]:
                pass

        key(0)
        times = sorted(milliseconds(key, self.runs))
        client.socket.close()
        self.tell("echo of a key in a terminal", "20 ms", times[int(len(times) * 0.99)] <= 20,
                  p50_ms=round(statistics.median(times), 3), p99_ms=round(times[int(len(times) * 0.99)], 3))

    def small_files(self):
        self.cell = self.daemon.create("files")
        self.cell.exec("true")
        super().files()
        row = self.rows[-1]
        row |= {"goal": "2 ms", "holds": row["median"] <= 2}
        print(f"  goal 2 ms: {'holds' if row['holds'] else 'MISSED'}")

    def requests(self):
        cell = self.daemon.create("requests")
        path = f"{cell.path}/events?tail=0"
        body = self.daemon.get(path).body.decode()
        hello = Hello(body)
        rates = {"ours": [], "hello": []}
        for _ in range(5):
            for name, port in (("ours", self.daemon.port), ("hello", hello.port)):
                told = subprocess.run([harness.BIN / LOAD, "requests", str(port), self.daemon.key, path, "64", "2"], text=True,
                                      check=True, stdout=subprocess.PIPE).stdout
                rates[name].append(json.loads(told)["per_second"])
        hello.end()
        ours, least = (statistics.median(rates[name]) for name in ("ours", "hello"))
        self.tell("requests a second, 64 connections", "50 %", ours >= least / 2, ours=ours, hello_world=least, percent=round(100 * ours / least))

    def streams_of_many(self):
        name = f"{CELLS} cells"
        cells = [self.talking(f"many-{number}") for number in range(CELLS)]
        streams = self.open_streams(cells)
        figures = self.told(streams, cells, EVENTS_OF_EACH, CELLS * 1000 / EVENTS_A_SECOND)
        self.tell(f"{name}: an event to its {self.stream_count // CELLS}", "10 ms", figures["p99_ms"] <= 10, **figures)

    def streams_of_one(self):
        cell = self.talking("one")
        pid = self.daemon.process.pid
        before = resident(pid)
        streams = self.open_streams([cell])
        each = (resident(pid) - before) / self.stream_count
        self.tell("one cell: memory of a stream", "20 KB", each <= 20_000, bytes=round(each))
        begun = processor_ms(pid)
        time.sleep(IDLE_S)
        self.tell("one cell: processor while nothing happens", ms_each_second=round((processor_ms(pid) - begun) / IDLE_S, 2))
        figures = self.told(streams, [cell], EVENTS, PAUSE_MS)
        least = self.hello_fan_out()["p99_ms"]
        self.tell("one cell: an event to all (worst case)", **figures, sends_alone_p99_ms=least,
                  times_that=round(figures["p99_ms"] / least, 2))

    def talking(self, customer):
        cell = self.daemon.create(customer, agent=AGENT)
        self.ended(cell, self.begin(cell, "times", first_ms=0, count=1, pause_ms=1))
        return cell

    def run(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        try:
            for part in self.parts or PARTS:
                getattr(self, part)()
        finally:
            self.daemon.cleanup()


PARTS = ("requests", "terminal", "small_files", "streams_of_one", "streams_of_many", "reconnect")


def more_options(parser):
    parser.add_argument("--streams", type=int, default=5000)
    parser.add_argument("--behind", type=int, default=BEHIND, help="events that a client is behind when it comes back")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {' '.join(PARTS)}; none: all")


if __name__ == "__main__":
    carry_out(__doc__, lambda arguments: StreamsBench(arguments.runs, arguments.streams, arguments.behind, arguments.parts), more_options,
              "streams")
