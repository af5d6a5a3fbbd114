"""Streams by both SDKs, over connections that are cut at random places, a daemon that is killed, and a cell that is paused:
exactly what there was, each once and in order."""
import asyncio
import contextlib
import json
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import threading
from unittest import mock

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENT = ROOT / "sdk/js/client"
sys.path.insert(0, str(ROOT / "sdk/python/client"))

import cellar  # noqa: E402
from cellar import _retry  # noqa: E402

CUTS = 170  # of each of six streams
EVENTS = 2400
PARAMS = {"count": 1200}  # of a run whose answer is followed
LINES = 6000  # of each of a program's outputs: pieces are larger where the machine is busy, and cuts fewer
BINARY = 2  # a WebSocket message of bytes
ROOM_MAX = 1500  # bytes of an answer, its head with them; more where no event has come through for some connections
FIRST_ROOM = 1000  # a first connection without an answer's head is a call that failed, and no stream that broke

AGENT = """module.exports = {
  async flood(ctx, { count }) {
    for (let i = 0; i < count; i += 20) {
      await ctx.step('part', async () => {
        for (let j = i; j < i + 20; j++) ctx.stream({ n: j });
        await new Promise((go) => setTimeout(go, 8));
      });
      if (i % 600 === 300) await ctx.sleep(50);
    }
  },
};"""
# By turns to both outputs, as what is written to one at a time may come as one piece.
PROGRAM = """let n = 0;
const timer = setInterval(() => {
  for (let i = 0; i < 2; i++, n++) { process.stdout.write(`out ${n}\\n`); process.stderr.write(`err ${n}\\n`); }
  if (n >= %d) clearInterval(timer);
}, 1);""" % LINES


def has_news(passed):
    """Whether something came whole that a client goes on behind: an event with its id, or a message of output."""
    head, _, frames = bytes(passed).partition(b"\r\n\r\n")
    if b" 101 " not in head:
        return b"\n\n" in passed.partition(b"\nid: ")[2]
    while len(frames) >= 2:
        size, at = frames[1] & 127, 2
        if size > 125:
            at += 2 if size == 126 else 8
            size = int.from_bytes(frames[2:at], "big")
        if len(frames) < at + size:
            break
        if frames[0] & 15 == BINARY:
            return True
        frames = frames[at + size:]
    return False


class Cutter:
    """Passes connections on to a daemon, and cuts so many of them while an answer comes, some with a reset."""

    def __init__(self, port, cuts, dice):
        self.port, self.left, self.dice, self.made, self.in_vain = port, cuts, dice, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self.serve, args=(client,), daemon=True))
            self.threads[-1].start()

    def serve(self, client):
        with client, harness.eventually("the daemon listens", self.connected) as server:
            up = threading.Thread(target=self.pass_on, args=(client, server, None), daemon=True)
            up.start()
            room = None if self.left == 0 else self.dice.randint(1, ROOM_MAX << self.in_vain // 4) if self.made else FIRST_ROOM
            passed = bytearray()
            if self.pass_on(server, client, room, passed):
                # Of a slow machine's output an event may be larger than any room, and nobody would get beyond it.
                self.in_vain = 0 if has_news(passed) else self.in_vain + 1
                if self.made and self.dice.random() < 0.5:  # What the client has not read yet is lost, too.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.left, self.made = self.left - 1, self.made + 1
                self.end(client, server)
            up.join()

    def connected(self):
        try:
            return socket.create_connection(("127.0.0.1", self.port))
        except OSError:
            return None

    def pass_on(self, source, target, room, passed=None):
        """Until either end closes, and the other with it; true where there was no room for more, and that is `passed`."""
        try:
            while data := source.recv(65536 if room is None else room):
                target.sendall(data)
                if room is not None:
                    room -= len(data)
                    passed += data
                    if room == 0:
                        return True
        except OSError:
            pass
        self.end(source, target)
        return False

    @staticmethod
    def end(*sockets):
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join()


def seen_event(event):
    return [event["seq"], event["type"], event["data"]["n"] if event["type"] == "stream" else None]


def in_threads(url, cell_id, run=None, process=None, method=None, attached=None):
    """What is seen of a run's events, or of a program's output: [place, type, what]; or what a method streams, or a program writes."""
    with cellar.Cellar(url, harness.KEY) as client:
        cell = client.cell(cell_id)
        if method is not None:
            return list(cell.stream(method, PARAMS))
        if attached is not None:
            with cell.processes.attach(attached) as attachment:
                return b"".join(attachment).decode()
        if run is not None:
            return [seen_event(event) for event in cell.runs.events(run)]
        return [[one.place, one.type, one.text] for one in cell.processes.log(process)][:-1]  # Its end has no place.


async def in_asyncio(url, cell_id):
    """The same of a cell's events, until a run has ended."""
    seen = []
    async with cellar.AsyncCellar(url, harness.KEY) as client:
        async with client.cell(cell_id).events() as events:
            async for event in events:
                seen.append(seen_event(event))
                if event["type"] == "run.completed":
                    return seen


def in_javascript(streams):
    done = subprocess.run(["node", "test/followed.js", json.dumps(streams)], cwd=CLIENT, capture_output=True, text=True,
                          env=dict(os.environ, CELLAR_API_KEY=harness.KEY), timeout=harness.WAIT_S * 2)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class CutsTest(harness.CellTest):
    def setUp(self):
        super().setUp()
        self.seed = random.randrange(1 << 32)
        patch = mock.patch.object(_retry, "pause", lambda *_: 0.002)
        patch.start()
        self.addCleanup(patch.stop)
        self.cutters, self.followers, self.seen = [], [], {}

    def cutter(self, daemon, cuts=CUTS):
        self.cutters.append(Cutter(daemon.port, cuts, random.Random(f"{self.seed}-{len(self.cutters)}")))
        self.addCleanup(self.cutters[-1].close)
        return self.cutters[-1].url

    def follow(self, name, work):
        def following():
            self.seen[name] = work()

        self.followers.append(threading.Thread(target=following, daemon=True))
        self.followers[-1].start()

    def after_more_cuts(self, count):
        before = sum(one.made for one in self.cutters)
        harness.eventually("some more are cut", lambda: sum(one.made for one in self.cutters) >= before + count)

    def ended(self):
        for follower in self.followers:
            follower.join(harness.WAIT_S)
        with self.subTest(seed=self.seed):
            self.assertEqual([0] * len(self.cutters), [one.left for one in self.cutters])

    def test_events_come_once_and_in_order_over_680_cuts_a_killed_daemon_and_a_pause(self):
        daemon = harness.Daemon()
        self.addCleanup(daemon.cleanup)
        daemon.listen = f"127.0.0.1:{daemon.port}"
        cell = daemon.create("cuts", agent=AGENT)
        run = cell.call("POST", "/runs", {"method": "flood", "params": {"count": EVENTS}}).json["id"]
        urls = [self.cutter(daemon) for _ in range(4)]
        self.follow("python run", lambda: in_threads(urls[0], cell.id, run=run))
        self.follow("python cell", lambda: asyncio.run(in_asyncio(urls[1], cell.id)))
        streams = [{"url": urls[2], "cell": cell.id, "run": run}, {"url": urls[3], "cell": cell.id}]
        self.follow("javascript", lambda: in_javascript(streams))
        self.after_more_cuts(80)
        daemon.restart()
        self.after_more_cuts(80)
        self.assertEqual("paused", cell.call("POST", "/pause").json["status"])
        cell.call("POST", "/resume")
        self.ended()
        recorded = [[event.id, event.type, event.json["data"]["n"] if event.type == "stream" else None]
                    for event in cell.events(run)]
        whole, after = [], 0
        while (page := cell.call("GET", f"/events?limit=1000&after={after}").json)["events"]:
            whole, after = whole + [seen_event(event) for event in page["events"]], page["last_seq"]
        whole = whole[:[kind for _, kind, _ in whole].index("run.completed") + 1]
        self.assertLessEqual({"cell.paused", "cell.resumed"}, {kind for _, kind, _ in whole})
        self.assertEqual(set(range(EVENTS)), {n for _, kind, n in recorded if kind == "stream"})
        for name, want in ("python run", recorded), ("python cell", whole):
            self.assertEqual(want, self.seen[name], name)
        self.assertEqual([recorded, whole], self.seen["javascript"])

    def test_what_a_method_streams_comes_once_and_in_order_over_80_cuts(self):
        cell = self.cell(agent=AGENT)
        urls = [self.cutter(self.daemon, 40) for _ in range(2)]
        self.follow("python", lambda: in_threads(urls[0], cell.id, method="flood"))
        stream = {"url": urls[1], "cell": cell.id, "method": "flood", "params": PARAMS}
        self.follow("javascript", lambda: in_javascript([stream])[0])
        self.ended()
        whole = [{"n": n} for n in range(PARAMS["count"])] + [None]
        self.assertEqual({"python": whole, "javascript": whole}, self.seen)
        self.assertEqual(2, len(cell.runs()))

    def test_output_comes_once_and_in_order_over_420_cuts_and_a_pause(self):
        cell = self.cell()
        process = cell.call("POST", "/processes", {"cmd": ["node", "-e", PROGRAM]}).json["id"]
        urls = [self.cutter(self.daemon) for _ in range(2)]
        self.follow("python", lambda: in_threads(urls[0], cell.id, process=process))
        attached = [self.cutter(self.daemon, 40) for _ in range(2)]
        self.follow("python attached", lambda: in_threads(attached[0], cell.id, attached=process))
        streams = [{"url": urls[1], "cell": cell.id, "process": process}, {"url": attached[1], "cell": cell.id, "attached": process}]
        self.follow("javascript", lambda: in_javascript(streams))
        self.after_more_cuts(80)
        cell.call("POST", "/pause")  # Who comes back to it wakes it.
        self.ended()
        self.assertEqual(1, len(cell.call("GET", "/events?types=cell.paused").json["events"]))
        logs = {"python": self.seen["python"], "javascript": self.seen["javascript"][0]}
        for name, seen in logs.items():
            place = 0
            for at, _, text in seen:
                place += len(text)
                self.assertEqual(place, at, name)
            for stream, word in ("stdout", "out"), ("stderr", "err"):
                written = "".join(text for _, kind, text in seen if kind == stream)
                self.assertEqual([f"{word} {n}" for n in range(LINES)], written.splitlines(), name)
        whole = "".join(text for _, _, text in logs["python"])
        self.assertEqual([whole, whole], [self.seen["python attached"], self.seen["javascript"][1]])
