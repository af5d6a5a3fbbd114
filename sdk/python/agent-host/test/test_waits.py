import json
import unittest

from fake_daemon import Refused, agent, host, plain
from cellar_agent.values import fingerprint


def late():
    return Refused("late", "wait_timeout", "WaitTimeoutError")


def answering(daemon, answer):
    """Lets answer(frame) say what comes of a command; None for nothing."""
    plain_take = daemon.take

    def take(frame):
        plain_take(frame)
        value = answer(frame) if frame["t"] == "cmd" else None
        if value is not None:
            daemon.reply(frame, value)

    daemon.take = take


class WaitsTest(unittest.TestCase):
    def test_what_is_waited_for_is_asked_of_the_daemon_under_numbered_names(self):
        body = '''
            import datetime
            day = datetime.datetime(1970, 1, 2, tzinfo=datetime.timezone.utc)
            {a}ctx.sleep("10ms"); {a}ctx.sleep("rest", "2m"); {a}ctx.sleep_until(day)
            {a}ctx.sleep(datetime.timedelta(seconds=3)); {a}ctx.sleep(-5); {a}ctx.sleep_until("at", 7.4)
            return [{a}ctx.wait_for_event("merged", match={{"pr": 7}}, timeout="1h"),
                    {a}ctx.wait_for_event("merged", type="closed"),
                    {a}ctx.approve("go", prompt="Go?", data=[1])]'''
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source) as daemon:
                answering(daemon, lambda f: {"took": json.loads(f["body"])})
                value = daemon.ended().value
                asked = [json.loads(frame["body"]) for frame in daemon.of("cmd")]
                self.assertEqual([{"ms": 10}, {"ms": 120_000}, {"until": 86_400_000}, {"ms": 3000},
                                  {"ms": 0}, {"until": 7}], asked[:6])
                self.assertEqual([
                    {"took": {"type": "merged", "match": {"pr": 7}, "timeout": 3_600_000}},
                    {"took": {"type": "closed"}},
                    {"took": {"prompt": "Go?", "data": [1]}, "by": None, "comment": None}], value)
                self.assertEqual(["", "rest", "", "", "", "at", "merged", "merged#2", "go"],
                                 [frame["n"] for frame in daemon.of("cmd")])

    def test_a_wait_that_ended_too_late_raises_or_gives_what_on_timeout_says(self):
        with host(agent('''
            try:
                await ctx.wait_for_event("a", timeout=1)
            except ctx.errors.WaitTimeoutError as error:
                told = error.code
            refused = await ctx.approve("b", timeout=1, on_timeout={"approved": False})
            return [told, refused, await ctx.approve("c", timeout=1, on_timeout=None)]''')) as daemon:
            answering(daemon, lambda f: late())
            self.assertEqual(["wait_timeout", {"approved": False}, None], daemon.ended().value)

    def test_other_runs_are_begun_once_and_their_results_waited_for(self):
        body = '''
            child = {a}ctx.spawn("review", {{"file": 1}})
            bad = {a}ctx.spawn("review")
            try:
                {a}bad.result()
            except ValueError as error:
                told = str(error)
            return [child.id, {a}child.result(), told]'''
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source) as daemon:
                def answer(frame):
                    asked = json.loads(frame["body"])
                    if frame["k"] == "spawn":
                        return {"run": f"run_of_{frame['n']}"}
                    return "fine" if asked["run"] == "run_of_review" else Refused("bad", None, "ValueError")
                answering(daemon, answer)
                first = daemon.ended().value
                self.assertEqual(["run_of_review", "fine", "bad"], first)
                self.assertEqual([{"method": "review", "params": {"file": 1}},
                                  {"method": "review", "params": {}}],
                                 [json.loads(f["body"]) for f in daemon.of("cmd") if f["k"] == "spawn"])
                daemon.run(id="again", replay=daemon.recorded())
                self.assertEqual(first, daemon.end("again").value)
                self.assertEqual([], [f for f in daemon.of("cmd") if f["run"] == "again"])

    def test_a_child_is_begun_under_the_id_that_it_is_given_also_on_replay(self):
        body = '''
            return ({a}ctx.spawn("review", {{"file": 1}}, id=params.get("id"))).id'''
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source) as daemon:
                answering(daemon, lambda f: {"run": "run_9"})
                self.assertEqual("run_9", daemon.ended("main", {"id": "x"}, "a").value)
                self.assertEqual("run_9", daemon.ended("main", {}, "b").value)
                asked = {"method": "review", "params": {"file": 1}}
                self.assertEqual([{**asked, "id": "x"}, asked], [json.loads(f["body"]) for f in daemon.of("cmd")])
                daemon.run(params={"id": "x"}, id="again", replay=daemon.recorded("a"))
                self.assertEqual("run_9", daemon.end("again").value)
                daemon.run(params={"id": "y"}, id="other", replay=daemon.recorded("a"))
                daemon.next("mismatch")
                self.assertEqual(2, len(daemon.of("cmd")))

    def test_a_wait_whose_match_is_no_dict_is_refused_and_one_with_none_or_an_empty_one_takes_any(self):
        body = '''
            codes = []
            for match in (7, "x", [7], None, True, {{7}}):
                try:
                    {a}ctx.wait_for_event("a", match=match)
                except ctx.errors.Error as error:
                    codes.append(error.code)
            return [codes, {a}ctx.wait_for_event("a"), {a}ctx.wait_for_event("a", match={{}}),
                    {a}ctx.wait_for_event("a", match={{"pr": None}})]'''
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source) as daemon:
                answering(daemon, lambda f: json.loads(f["body"]))
                codes, *taken = daemon.ended().value
                self.assertEqual([*["invalid_wait"] * 5, "not_serialisable"], codes)
                self.assertEqual([{"type": "a"}, {"type": "a", "match": {}}, {"type": "a", "match": {"pr": None}}], taken)

    def test_a_wait_with_an_odd_match_that_is_recorded_goes_on_as_it_was(self):
        with host(agent("""
            return [await ctx.wait_for_event("a", match=[7]), await ctx.wait_for_event("a", match=None)]""")) as daemon:
            daemon.run(replay=[[1, "wait", "a", fingerprint(b'{"type":"a","match":[7]}'), "ok", 1],
                               [2, "wait", "a#2", fingerprint(b'{"type":"a"}'), "open"]])
            daemon.reply(daemon.next("cmd"), 2)
            self.assertEqual([1, 2], daemon.end().value)

    def test_waits_that_can_never_be_are_refused_by_name(self):
        with host(agent('''
            wrong = [lambda: ctx.wait_for_event(""), lambda: ctx.wait_for_event("a", kind=1),
                     lambda: ctx.wait_for_event("a", type=5), lambda: ctx.approve("a", prompt=5),
                     lambda: ctx.wait_for_event("a", timeout="soon"),
                     lambda: ctx.approve("a", data="x" * 70_000), lambda: ctx.sleep_until("never"),
                     lambda: ctx.sleep("soon"), lambda: ctx.sleep(None), lambda: ctx.spawn(""),
                     lambda: ctx.step("s", lambda: ctx.wait_for_event("a")),
                     lambda: ctx.step("s", lambda: ctx.spawn("a")), lambda: ctx.spawn("a", id=""),
                     lambda: ctx.spawn("a", id=7), lambda: ctx.spawn("a", id="é" * 129)]
            codes = []
            for call in wrong:
                try:
                    await call()
                except ctx.errors.Error as error:
                    codes.append(error.code)
            return codes''')) as daemon:
            self.assertEqual([*["invalid_wait"] * 4, "invalid_time", "too_large", *["invalid_time"] * 3,
                              "invalid_spawn", "nested_wait", "nested_spawn", *["invalid_spawn"] * 3], daemon.ended().value)
