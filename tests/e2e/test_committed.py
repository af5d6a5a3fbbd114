"""The committed view: what is told can never be thrown away again, has no gap and comes once, whatever dies."""
import os
import signal

import harness

AGENT = """const fs = require('fs');
const until = async (name) => { while (!fs.existsSync('/work/' + name)) await new Promise((done) => setTimeout(done, 5)); };
module.exports = {
  async work(ctx) {
    ctx.stream('begin');
    await ctx.step('flaky', async (s) => {
      ctx.stream('attempt ' + s.attempt);
      await s.progress(s.attempt);
      ctx.shell('echo in ' + s.attempt);
      if (s.attempt === 1) throw new Error('again');
    }, { retries: { maxAttempts: 2, delay: 1 } });
    ctx.stream('between');
    await ctx.step('gated', async () => {
      ctx.stream('inside');
      fs.appendFileSync('/work/began', 'x');
      await until('gate');
    });
    ctx.shell('echo at the end; exit 3');
    return 'done';
  },
  async two(ctx) {
    const slow = ctx.step('slow', async () => { ctx.stream('slow'); await until('gate'); });
    ctx.stream('fast');
    await slow;
  },
  async asks(ctx) {
    const wait = ctx.approve('ship');
    const shell = ctx.shellAsync('echo said; sleep 600');
    await wait;
    await shell;
  },
};"""


def said(events):
    return [event["data"]["progress"] if event["type"] == "step.progress" else event["data"] for event in events
            if event["type"] in ("stream", "stdout", "step.progress")]


def stream_of(cell, run, after=0):
    return cell.daemon.stream("GET", f"{cell.path}/runs/{run}/events?view=committed", headers={"Last-Event-ID": str(after)})


class CommittedTest(harness.CellTest):
    def test_the_stream_of_a_request_can_be_one_of_what_is_final(self):
        cell = self.cell(agent=AGENT)
        cell.call("PUT", "/files/gate", b"")

        def asked(query, **headers):
            stream = self.daemon.stream("POST", f"{cell.path}/request{query}", {"method": "work"}, {"Idempotency-Key": "one", **headers})
            return [(event.id, event.json) for event in stream]

        seen = asked("?view=committed")
        want = ["begin", "attempt 2", "between", "inside", "done"]
        self.assertEqual(want, [what for _, what in seen])
        self.assertEqual(want[:1] + ["attempt 1"] + want[1:], [what for _, what in asked("")])
        self.assertEqual(seen[1:], asked("?view=committed", **{"Last-Event-ID": str(seen[0][0])}))
        refused = cell.call("POST", "/request?view=final", {"method": "work"})
        self.assertEqual((400, 1), (refused.status, len(cell.runs())))
        self.assertIn("committed", refused.json["error"])

    def test_what_is_told_is_told_once_and_for_good_whatever_dies_in_between(self):
        cell, run = self.begin(AGENT, "work")
        seen, after = [], 0

        def read(count):  # As a client whose connection breaks does.
            nonlocal after
            stream = stream_of(cell, run, after)
            for _, event in zip(range(count), stream):
                seen.append(event.json)
                after = event.id
            stream.close()

        began = cell.dir / "work/began"
        harness.eventually("the gated step is executed", lambda: harness.text_of(began) == "x")
        read(7)  # All up to the second step, which has not ended.
        self.assertEqual(("stream", "between"), (seen[-1]["type"], seen[-1]["data"]))
        os.kill(cell.agent_pid(), signal.SIGKILL)

        def said_inside():
            return [event["data"] for event in cell.call("GET", "/events?limit=100").json["events"]].count("inside")

        # What it said is on disk, not only that it runs.
        harness.eventually("it is executed again", lambda: began.read_text() == "xx" and said_inside() == 2)
        self.daemon.restart()
        harness.eventually("and again", lambda: began.read_text() == "xxx")
        (cell.dir / "work/gate").touch()
        read(100)
        want = ["begin", "attempt 2", 2, {"text": "in 2\n"}, "between", "inside", {"text": "at the end\n"}]
        self.assertEqual(want, said(seen))
        self.assertEqual(["flaky", "gated"], [e["data"]["name"] for e in seen if e["type"] == "step.completed"][:2])
        self.assertEqual([], [e for e in seen if e["type"] in ("step.started", "step.retry", "reset", "step.interrupted")])
        self.assertEqual("run.completed", seen[-1]["type"])
        # It is the live view with something left out, in one stream, in a list, and in pieces.
        live = [event.json for event in cell.events(run)]
        self.assertEqual([event for event in live if event in seen], seen)
        self.assertGreaterEqual([e["type"] for e in live].count("reset"), 2)
        gated, = [event["data"]["ordinal"] for event in live if event["data"] and event["type"] == "step.completed"
                  and event["data"]["name"] == "gated"]
        self.assertEqual([gated] * 3, [event["step"] for event in live if event["data"] == "inside"])
        self.assertEqual(seen, [event.json for event in stream_of(cell, run)])
        listed, place = [], 0
        for _ in range(100):
            page = cell.call("GET", f"/events?view=committed&limit=2&after={place}").json
            listed, place = listed + page["events"], page["last_seq"]
            if not page["more"]:
                break
        mine = [{key: value for key, value in event.items() if key != "run"} for event in listed if event.get("run")]
        self.assertEqual(seen, mine)
        self.assertEqual(listed[-2:], cell.call("GET", "/events?view=committed&tail=2").json["events"])

    def test_what_is_behind_a_step_that_may_begin_again_waits_for_it(self):
        cell, run = self.begin(AGENT, "two")
        live = cell.events(run)
        next(event for event in live if event.json["data"] == "fast")
        live.close()

        def listed():
            return [event["type"] for event in cell.call("GET", "/events?view=committed").json["events"]]

        self.assertEqual(["run.started"], listed())
        view = cell.call("GET", f"/runs/{run}?view=committed").json
        self.assertEqual([[], ["slow"]], [[s["name"] for s in each["steps"]] for each in (view, cell.run(run))])
        (cell.dir / "work/gate").touch()
        events = [event.type for event in stream_of(cell, run)]
        self.assertEqual(["run.started", "stream", "stream", "step.completed", "run.completed"], events)
        self.assertEqual(events, listed())

    def test_a_paused_run_tells_that_it_is_and_who_is_asked(self):
        cell, run = self.begin(AGENT, "asks")
        live = cell.events(run)
        next(event for event in live if event.type == "stdout")
        live.close()
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/pause").status)
        types = [e["type"] for e in cell.call("GET", "/events?view=committed").json["events"]]
        self.assertEqual(["run.started", "step.started", "run.paused"], types)
        view = cell.call("GET", f"/runs/{run}/await?timeout=0&view=committed").json
        self.assertEqual(["ship"], [step["name"] for step in view["steps"]])

    def test_another_view_is_refused_by_name(self):
        cell, run = self.begin(AGENT, "two")
        for path in ("/events", f"/runs/{run}", f"/runs/{run}/await", f"/runs/{run}/events"):
            answer = cell.call("GET", path + "?view=all")
            self.assertEqual((400, "invalid_query"), (answer.status, answer.json["code"]), path)
            self.assertIn('"view" must be live or committed, not "all"', answer.json["error"])
