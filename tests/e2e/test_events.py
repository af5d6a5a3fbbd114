"""The events of a cell: one sequence over its runs and itself, that goes on where a client left it."""
import random

import harness

AGENT = """module.exports = {
  async work(ctx, { n }) {
    ctx.stream({ n });
    await ctx.step('double', async () => n * 2);
    return ctx.shell('echo ' + n).stdout;
  },
};"""


def listed(cell, query=""):
    answer = cell.call("GET", "/events" + query)
    assert answer.status == 200, answer
    return answer.json


def types(events):
    return [event["type"] for event in events]


class EventsTest(harness.CellTest):
    def test_a_cell_tells_what_happens_in_it_and_to_it_in_one_order(self):
        cell = self.cell("order", agent=AGENT)
        self.assertEqual(200, cell.request("work", {"n": 1}).status)
        first, = cell.call("GET", "/runs").json["runs"]
        cell.call("POST", "/pause")
        cell.exec("true")
        cell.call("POST", "/hibernate")
        cell.request("work", {"n": 2})
        second = cell.call("GET", "/runs").json["runs"][0]
        want = ["run.started", "stream", "step.started", "step.completed", "step.started", "stdout", "step.completed",
                "run.completed"]
        told = harness.eventually("all is told", lambda: (
            lambda all: all["events"] if types(all["events"]).count("run.completed") == 2 else None)(listed(cell)))
        self.assertEqual(sorted(event["seq"] for event in told), [event["seq"] for event in told])
        for run in first, second:
            mine = [event for event in told if event.get("run") == run["id"]]
            self.assertEqual(want, types(mine))
            alone = [{key: value for key, value in event.items() if key != "run"} for event in mine]
            self.assertEqual(alone, [event.json for event in cell.events(run["id"])])
        own = [event for event in told if "run" not in event]
        self.assertEqual(["cell.paused", "cell.resumed", "cell.hibernated", "cell.resumed"], types(own))
        self.assertEqual(["asked", "asked"], [event["data"]["reason"] for event in (own[0], own[2])])
        self.assertEqual(["memory", "disk"], [event["data"]["from"] for event in (own[1], own[3])])
        self.assertEqual([], own[1]["data"]["processes"]["lost"])
        self.assertEqual({"command", "domain", "lost_by", "pid"}, set(own[3]["data"]["processes"]["lost"][0]))

    def test_pages_tails_and_types(self):
        cell = self.cell("pages", agent=AGENT)
        cell.request("work", {"n": 1})
        cell.call("POST", "/pause")
        harness.eventually("the pause is told", lambda: listed(cell, "?types=cell.*")["events"])
        whole = listed(cell)
        self.assertEqual([False, False], [whole["more"], whole["stale"]])
        pages, after = [], 0
        for _ in range(100):
            page = listed(cell, f"?limit=2&after={after}")
            pages, after = pages + page["events"], page["last_seq"]
            self.assertLessEqual(len(page["events"]), 2)
            if not page["more"]:
                break
        self.assertEqual(whole["events"], pages)
        self.assertEqual(whole["events"][-3:], listed(cell, "?tail=3")["events"])
        self.assertEqual([], listed(cell, "?tail=0")["events"])
        some = listed(cell, "?types=cell.*,stream")["events"]
        self.assertEqual(["stream", "cell.paused"], types(some))
        self.assertEqual(some[-1:], listed(cell, "?types=cell.*,stream&tail=1")["events"])

    def test_a_stream_says_where_it_begins_before_anything_happens(self):
        cell = self.cell("place", agent=AGENT)
        cell.request("work", {"n": 1})
        last = listed(cell, "?limit=1000")["last_seq"]
        for query, least, most in (("?tail=0", last, last + 10), ("?after=2", 2, 2), ("", 0, 0)):
            stream = self.daemon.stream("GET", cell.path + "/events" + query)
            retry, id, end = (stream.response.readline().decode() for _ in range(3))
            self.assertEqual(("retry: 1000\n", "id: ", "\n"), (retry, id[:4], end))
            self.assertIn(int(id[4:]), range(least, most + 1), query)
            stream.close()

    def test_a_stream_that_is_cut_anywhere_goes_on_without_a_gap_or_a_repetition(self):
        cell = self.cell("cuts", agent=AGENT)
        seed = random.randrange(1 << 32)
        dice, seen, after = random.Random(seed), [], 0
        with self.subTest(seed=seed):
            for n in range(8):
                cell.request("work", {"n": n})
                if n == 3:
                    self.daemon.restart()
                stream = self.daemon.stream("GET", cell.path + "/events", headers={"Last-Event-ID": str(after)})
                for event in stream:
                    seen.append(event.json)
                    after = event.id
                    if dice.random() < 0.2 or len(seen) >= 8 * (n + 1):
                        break
                stream.close()
            whole = listed(cell, "?limit=1000")["events"]
            self.assertEqual(whole[:len(seen)], seen)

    def test_who_watches_a_cell_does_not_keep_it_awake_and_sees_it_fall_asleep_and_end(self):
        cell = self.cell("watched", agent=AGENT, idle_timeout_s=1)
        stream = iter(self.daemon.stream("GET", cell.path + "/events?tail=0"))
        event = next(stream)
        self.assertEqual(("cell.paused", {"reason": "idle"}), (event.type, event.json["data"]))
        self.assertEqual([], cell.get()["idle"]["blockers"])
        cell.exec("true")
        self.assertEqual("cell.resumed", next(stream).type)
        cell.call("DELETE", "")
        self.assertEqual([], [event.type for event in stream if event.type != "cell.paused"])

    def test_wrong_requests_are_told_what_is_wrong(self):
        cell = self.cell("wrong", agent=AGENT)
        for query, words in (("?after=x", "after"), ("?after=999999", "no event 999999"), ("?limit=0", "limit"), ("?limit=1001", "limit"),
                             ("?tail=1001", "tail"), ("?types=", "types"), ("?types=a,,b", "types"),
                             ("?types=" + ",".join("t" * 33), "32 types")):
            answer = cell.call("GET", "/events" + query)
            self.assertEqual(400, answer.status, query)
            self.assertIn(words, answer.json["error"])
        self.assertEqual(404, self.daemon.call("GET", "/api/v1/cells/nobody--s/events").status)
