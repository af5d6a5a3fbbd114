"""Promises of event streams and of cancelling: who may read, who is slow, what is taken back, how long a page is."""
import concurrent.futures
import itertools
import os
import signal
import socket
import time

import harness

AGENT = """const fs = require('fs');
const until = async (name) => { while (!fs.existsSync('/work/' + name)) await new Promise((done) => setTimeout(done, 5)); };
module.exports = {
  async waits(ctx) { ctx.stream('begun'); await ctx.waitForEvent('go'); },
  async gated(ctx) {
    ctx.stream('before');
    await ctx.step('first', () => { ctx.stream('first'); });
    await ctx.step('second', async () => { ctx.stream('second'); fs.appendFileSync('/work/began', 'x'); await until('gate'); });
  },
  async says(ctx) {
    await ctx.step('thousand', async (s) => {
      fs.appendFileSync('/work/began', 'x');
      for (let i = 0; i < 1000; i += 1) ctx.stream(i);
      await s.progress('said');
      await until('gate');
    });
  },
  async busy(ctx) {
    for (let i = 0; !fs.existsSync('/work/gate'); i += 1) {
      ctx.stream(i);
      fs.appendFileSync('/work/busy.log', 'x');
      await new Promise((done) => setTimeout(done, 20));
    }
  },
  async many(ctx, { count }) { for (let i = 0; i < count; i += 1) ctx.stream(i); },
  async large(ctx, { count }) { for (let i = 0; i < count; i += 1) ctx.stream('x'.repeat(1_000_000)); },
  async stubborn(ctx) {
    const run = `trap '' TERM INT HUP; (setsid sh -c 'trap "" TERM INT; while :; do sleep 543; done' &) ; echo up; while :; do sleep 543; done`;
    await Promise.all([ctx.shellAsync(run), ctx.step('inside', () => ctx.shellAsync(run))]);
  },
};"""


class StreamsTest(harness.CellTest):
    def key(self, *scopes, **fields):
        answer = self.daemon.call("POST", "/api/v1/keys", {"name": "a key", "scopes": list(scopes), **fields})
        self.assertEqual(201, answer.status, answer)
        return answer.json

    def raw(self, path, secret):
        """A stream of events as it is on the wire, which has answered."""
        wire = socket.create_connection(("127.0.0.1", self.daemon.port), timeout=harness.WAIT_S)
        self.addCleanup(wire.close)
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nAccept: text/event-stream\r\n\r\n".encode())
        self.assertIn(b" 200 ", wire.recv(13, socket.MSG_PEEK | socket.MSG_WAITALL))
        return wire

    def to_end(self, wire):
        seen = b""
        while piece := wire.recv(1 << 16):
            seen += piece
        return seen

    def test_only_who_may_read_is_told_and_no_longer_than_that(self):
        cell, run = self.begin(AGENT, "waits")
        paths = [f"{cell.path}/events", f"{cell.path}/runs/{run}/events"]
        for scopes, fields, status in ((["metrics"], {}, 403), (["admin"], {}, 403), (["read"], {"owner": "team-b"}, 404)):
            secret = self.key(*scopes, **fields)["secret"]
            for path in paths:
                again = {"Authorization": f"Bearer {secret}", "Last-Event-ID": "1", "Accept": "text/event-stream"}
                self.assertEqual(status, self.daemon.get(path, again).status, (scopes, path))
        process = cell.call("POST", "/processes", {"cmd": ["sh", "-c", "echo said; exec sleep 600"]}).json["id"]
        paths.append(f"{cell.path}/processes/{process}/log")
        removed = self.key("write")
        token = self.daemon.call("POST", f"{cell.path}/tokens", {"scopes": ["read"]}, {"Authorization": f"Bearer {removed['secret']}"}).json["token"]
        own = self.daemon.stream("GET", f"{cell.path}/events?tail=0")
        readers = [self.raw(path, secret) for path in paths for secret in (removed["secret"], token)]
        start = time.monotonic()
        self.assertEqual(204, self.daemon.call("DELETE", f"/api/v1/keys/{removed['id']}").status)
        cell.call("POST", f"/runs/{run}/events", {"type": "go"})
        for wire in readers:
            seen = self.to_end(wire)
            self.assertNotIn(b"run.completed", seen)
            self.assertIn(b": key_ended: ", seen)
            self.assertFalse(seen.endswith(b"0\r\n\r\n"))
        # Behind the key's time nothing is told, either, though nothing happens.
        short = self.key("read", expires_in_s=1)["secret"]
        for wire in [self.raw(path + "?after=1", short) for path in paths[:1]]:
            self.assertIn(b": key_ended: ", self.to_end(wire))
        self.assertLess(time.monotonic() - start, 10 * harness.SLOWER)  # Without waiting for a line to keep it alive.
        next(event for event in own if event.type == "run.completed")  # Others are told on.
        own.close()
        self.assertNotIn("[error]", self.daemon.log())

    def test_a_stream_with_nothing_to_tell_says_that_it_is_there_whatever_else_happens(self):
        cell, run = self.begin(AGENT, "waits")
        cell.call("PUT", "/files/.gitignore", b"*.log")
        other = cell.call("POST", "/runs", {"method": "busy"}).json["id"]
        harness.eventually("much happens", lambda: cell.call("GET", "/files/busy.log").status == 200)
        paths = ("/events?tail=0&types=none", "/events?tail=0&types=none&view=committed", f"/runs/{run}/events", "/files?watch=1")
        for wire in [self.raw(cell.path + path, self.daemon.key) for path in paths]:
            seen = b""
            while b"\n: still here\n" not in seen:
                piece = wire.recv(1 << 16)
                self.assertTrue(piece, seen)
                seen += piece
        self.assertEqual("running", cell.run(other)["status"])
        cell.call("PUT", "/files/gate", b"")
        self.assertEqual("completed", cell.settled(other)["status"])

    def test_a_reset_takes_back_what_its_step_has_said_and_comes_once_to_who_comes_back(self):
        cell, run = self.begin(AGENT, "gated")
        began = cell.dir / "work/began"
        harness.eventually("it is in the second step", lambda: harness.text_of(began) == "x")
        stream = cell.events(run)
        before = [event for _, event in zip(range(7), stream)]
        stream.close()
        os.kill(cell.agent_pid(), signal.SIGKILL)
        harness.eventually("it is in it again", lambda: began.read_text() == "xx")
        (cell.dir / "work/gate").touch()
        behind = list(cell.events(run, after=before[-1].id))
        self.assertEqual(["run.attempt", "reset", "stream", "step.completed", "run.completed"], [event.type for event in behind])
        reset = behind[1].json["data"]
        self.assertEqual(("second", 2), (reset["name"], reset["execution"]))
        shown = []
        for event in (event.json for event in before + behind):  # What a client does that shows what is streamed.
            if event["type"] == "reset":
                shown = [one for one in shown if one.get("step") != event["data"]["ordinal"]]
            elif event["type"] == "stream":
                shown.append(event)
        self.assertEqual(["before", "first", "second"], [event["data"] for event in shown])

    def test_ten_readers_from_anywhere_in_either_view_get_a_thousand_pieces_that_were_said_twice_once(self):
        cell, run = self.begin(AGENT, "says")
        stream = cell.events(run)
        early = list(itertools.takewhile(lambda event: event.type != "step.progress", stream))
        stream.close()
        places = [0, *(event.id for event in early[:: len(early) // 4])][:5]

        def read(view, after):
            path = f"{cell.path}/runs/{run}/events?view={view}&after={after}"
            return [event.json for event in self.daemon.stream("GET", path)]
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            reads = {(view, after): pool.submit(read, view, after) for view in ("live", "committed") for after in places}
            os.kill(cell.agent_pid(), signal.SIGKILL)
            harness.eventually("it says all of it again", lambda: (cell.dir / "work/began").read_text() == "xx")
            (cell.dir / "work/gate").touch()
            seen = {key: future.result() for key, future in reads.items()}
        for (view, after), events in seen.items():
            self.assertEqual([event for event in seen[view, 0] if event["seq"] > after], events)
        live = seen["live", 0]
        reset = next(at for at, event in enumerate(live) if event["type"] == "reset")
        for events in (live[:reset], live[reset:], seen["committed", 0]):
            self.assertEqual([*range(1000)], [event["data"] for event in events if event["type"] == "stream"])

    def test_a_reader_who_takes_nothing_holds_up_neither_the_run_nor_others(self):
        cell = self.cell(agent=AGENT)
        slow = self.raw(f"{cell.path}/events", self.daemon.key)  # Nothing of it is ever read.
        start = time.monotonic()
        run = cell.call("POST", "/runs", {"method": "large", "params": {"count": 30}}).json["id"]
        told = [event.type for event in cell.events(run)]
        self.assertEqual((30, "run.completed"), (told.count("stream"), told[-1]))
        self.assertEqual(200, cell.call("GET", f"/runs/{run}").status)
        self.assertLess(time.monotonic() - start, 10 * harness.SLOWER)  # It is not cut off yet.
        slow.close()

    def test_cancelling_ends_a_run_within_a_second_with_all_that_ignores_it(self):
        took = []
        for _ in range(3):  # The machine may be busy: one of them is not.
            cell, run = self.begin(AGENT, "stubborn")
            live = cell.events(run)
            told = [event.type for _, event in zip(range(5), live)]
            self.assertEqual(2, told.count("stdout"))
            live.close()
            start = time.monotonic()
            self.assertEqual("cancelled", cell.call("POST", f"/runs/{run}/cancel").json["status"])
            # Killed they are; each dies once it gets a processor.
            harness.eventually("nothing of it runs", lambda: not any(b"543" in command for command in cell.processes("shell").values()))
            took.append(time.monotonic() - start)
            self.assertEqual(204, cell.call("DELETE").status)
            if took[-1] < 1:
                break
        self.assertLess(min(took), 1 * harness.SLOWER)

    def test_a_page_of_events_has_an_end_and_says_that_there_is_more(self):
        cell = self.cell(agent=AGENT)
        cell.request("many", {"count": 4200})
        cell.request("large", {"count": 6})
        last = cell.call("GET", "/events?tail=0").json["last_seq"]
        page = cell.call("GET", "/events?limit=1000").json
        self.assertEqual((1000, True), (len(page["events"]), page["more"]))
        # No more is looked through than 4,000 records: none may be of a wanted type.
        page = cell.call("GET", "/events?types=run.completed&limit=1").json
        self.assertEqual(([], True), (page["events"], page["more"]))
        self.assertLess(page["last_seq"], last)
        found = cell.call("GET", f"/events?types=run.completed&limit=10&after={page['last_seq']}").json["events"]
        self.assertEqual(["run.completed"] * 2, [event["type"] for event in found])
        self.assertEqual(2, len(cell.call("GET", "/events?types=run.completed&tail=2").json["events"]))
        self.assertEqual([], cell.call("GET", "/events?types=none&tail=1").json["events"])
        # Nor more than some 4 MiB.
        page = cell.call("GET", f"/events?limit=1000&after={found[0]['seq']}").json
        large = [event for event in page["events"] if event["type"] == "stream"]
        self.assertEqual((5, True), (len(large), page["more"]))
