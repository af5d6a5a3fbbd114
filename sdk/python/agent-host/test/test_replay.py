import json
import os
import time
import unittest

from fake_daemon import Refused, agent, host, plain

EVERYTHING = '''
    import random, datetime
    ctx.stream({{"begin": 1}})
    ctx.log("begins")
    store, db = ctx.store, ctx.db
    files = [store.write("f", "written"), store.write("bytes", b"\\x00\\xff"), list(store.read("bytes", None)),
             store.read("f"), store.read("none"), store.exists("f"), store.list(), store.delete("f")]
    chance = [ctx.now(), ctx.random(), ctx.uuid()]
    asked = [db.set("k", 1), db.get("k"), db.delete("k"), db.keys(), ctx.search.query("q"),
             ctx.search.index("p", "t"), ctx.journal.step("a", "b"), ctx.journal.entries(),
             ctx.journal.clear()]
    commands = [{a}ctx.shell("a"), {a}ctx.shell(["b", "c"]), {a}ctx.sleep(1)]
    def date():
        return {{"deep": [1, datetime.datetime.fromtimestamp(0, datetime.timezone.utc)]}}
    steps = [{a}ctx.step("one", date), {a}ctx.step("two", lambda: None),
             {a}ctx.step("random", lambda: random.random())]
    steps[0]["deep"][1] = steps[0]["deep"][1].isoformat()
    return {{"files": files, "chance": chance, "asked": asked, "commands": commands, "steps": steps}}'''
FORMS = (agent(EVERYTHING.format(a="await ")), plain(EVERYTHING.format(a="")))


def from_op(op, arguments):
    return {"from": op}


class ReplayTest(unittest.TestCase):
    def test_a_replay_gives_the_same_result_says_nothing_and_does_nothing(self):
        for source in FORMS:
            with host(source) as daemon:
                daemon.answer = from_op
                first = daemon.ended()
                self.assertTrue(first.ok, first)
                self.assertEqual([{"deep": [1, "1970-01-01T00:00:00+00:00"]}, None], first.value["steps"][:2])
                replay = daemon.recorded()
                self.assertEqual(28, len(replay))
            with host(source) as daemon:
                daemon.run(replay=replay, attempt=2)
                self.assertEqual(first.value, daemon.end().value)
                self.assertEqual(["hello", "end"], daemon.types())
                self.assertEqual([], os.listdir(daemon.work))  # What was written is not written again.

    def test_a_run_knows_whether_it_is_replaying_until_it_has_all_that_is_recorded_and_not_in_a_step(self):
        body = '''
            seen = [ctx.run.is_replaying]
            ctx.now()
            seen.append(ctx.run.is_replaying)
            for name in "ab":
                {a}ctx.step(name, lambda: seen.append(name + str(ctx.run.is_replaying)))
                seen.append(ctx.run.is_replaying)
            return seen'''
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source) as daemon:
                def seen(id, *replay):
                    daemon.run(id=id, replay=replay)
                    return daemon.end(id).value

                self.assertEqual([False, False, "aFalse", False, "bFalse", False], seen("live"))
                now, a, b = daemon.recorded("live")
                begun = [*a[:4], "open", None, [4, 0]]
                self.assertEqual([True, False, "aFalse", False, "bFalse", False], seen("one", now))
                self.assertEqual([True, True, "aFalse", False, "bFalse", False], seen("open", now, begun))
                self.assertEqual([True, True, False, "bFalse", False], seen("two", now, a))
                self.assertEqual([True, True, True, False], seen("all", now, a, b))

    def test_a_replay_that_ends_anywhere_goes_on_from_there(self):
        for source in FORMS:
            with host(source) as daemon:
                daemon.answer = from_op
                daemon.ended()
                replay = daemon.recorded()
                for length in range(len(replay) + 1):
                    (daemon.work / "bytes").write_text("as the first attempt left it")
                    id = f"until_{length}"
                    daemon.run(id=id, replay=replay[:length])
                    self.assertTrue(daemon.end(id).ok, id)
                    first = next((f["o"] for f in daemon.numbered() if f["run"] == id), None)
                    self.assertEqual(None if length == len(replay) else length + 1, first)

    def test_errors_are_the_same_after_a_replay_class_text_stack_and_code(self):
        source = '''
import asyncio
class Mine(Exception):
    code = "E1"
async def main(ctx):
    seen = []
    def fails(error):
        raise error
    async def keep(call):
        try:
            await call()
        except Exception as error:
            seen.append([type(error).__name__, str(error), getattr(error, "stack", None),
                         getattr(error, "code", None)])
    await keep(lambda: ctx.step("bad", lambda: fails(Mine("no"))))
    await keep(lambda: ctx.step("key", lambda: {}["k"]))
    await keep(lambda: ctx.step("odd", lambda: object()))
    await keep(lambda: ctx.step("other", lambda: fails(asyncio.QueueFull("full"))))
    await keep(lambda: ctx.shell("x"))
    return seen
'''
        with host(source) as daemon:
            daemon.answer = lambda op, arguments: Refused("no such command", "not_found")
            first = daemon.ended().value
            replay = daemon.recorded()
            self.assertEqual([("Mine", "no", "E1"), ("KeyError", "'k'", None),
                              ("NonSerializableError", first[2][1], "not_serialisable"),
                              ("Error", "full", None), ("Error", "no such command", "not_found")],
                             [(name, text, code) for name, text, _, code in first])
            self.assertRegex(first[0][2], r'^Traceback[^\n]*\n  File ".*agent\.py"')
        with host(source) as daemon:
            daemon.agent.write_text(source)
            daemon.run(replay=replay)
            self.assertEqual(first, daemon.end().value)
            self.assertEqual(["hello", "end"], daemon.types())

    def test_what_was_interrupted_is_executed_again_with_its_ordinal_what_is_before_it_is_not(self):
        with host(agent('''
            said = []
            await ctx.step("one", lambda: said.append("one"))
            await ctx.step("two", lambda s: said.append(s.idempotency_key))
            said += [await ctx.shell("later"), await ctx.sleep(5)]
            return said''')) as daemon:
            daemon.answer = lambda op, arguments: op
            said = daemon.ended().value
            self.assertEqual(["one", said[1], "shell", "sleep"], said)
            one, two = daemon.recorded()[:2]
            daemon.run(attempt=2, replay=[[*one[:4], "ok", None], [*two[:4], "open"]])
            again = json.loads(daemon.next("end", a=2)["body"])
            self.assertEqual([2, 3, 4], [f["o"] for f in daemon.of("cmd") if f["a"] == 2])
            self.assertEqual(said[1:], again)  # The key is the same.

    def test_code_that_asks_for_something_else_is_told_both_sides_and_never_settles(self):
        others = {'{a}ctx.step("other", lambda: 1)': {"k": "step", "n": "other", "fp": ""},
                  'ctx.log("other")': {"k": "event", "n": "log", "fp": ""},
                  '{a}ctx.sleep(1)': {"k": "sleep", "n": ""},
                  '{a}ctx.shell("recorded")': {"k": "shell", "n": "recorded"},
                  'ctx.db.get("recorded")': {"k": "db.get", "n": "recorded"},
                  'ctx.now()': {"k": "now", "n": ""}}
        before = '''
            before = [ctx.store.exists("a"), {a}ctx.step("one", lambda: 1)]
            ctx.stream({{"at": 3}})
            try:
                %s
            except Exception:
                pass
            ctx.stream("no")
            return "no"'''
        for form, a in ((agent, "await "), (plain, "")):
            for code, expected in others.items():
                with self.subTest(code, form=form.__name__), host(form((before % code).format(a=a))) as daemon:
                    daemon.answer = lambda op, arguments: 0
                    fp = self.fingerprint(daemon)
                    daemon.run(id="b", replay=[
                        [1, "store.exists", "a", fp, "ok", True], [2, "step", "one", "", "ok", 1],
                        [3, "event", "stream", "", "ok"], [4, "step", "recorded", "", "ok", 4]])
                    mismatch = daemon.next("mismatch")
                    self.assertEqual(4, mismatch["o"])
                    detail = json.loads(mismatch["body"])
                    got = detail.pop("got")
                    self.assertEqual({**got, **expected}, got)
                    self.assertEqual({"expected": {"k": "step", "n": "recorded", "fp": ""},
                                      "matched": [{"o": 1, "k": "store.exists", "n": "a"},
                                                  {"o": 2, "k": "step", "n": "one"},
                                                  {"o": 3, "k": "event", "n": "stream"}]}, detail)
                    daemon.idle()
                    self.assertEqual(["mismatch"], [f["t"] for f in daemon.frames if f.get("run") == "b"])

    def fingerprint(self, daemon):
        """That of ctx.store.exists("a"), from a run of its own."""
        daemon.run(id="fp")
        return daemon.next("value", run="fp")["fp"]

    def test_other_arguments_are_a_mismatch_and_only_the_last_five_that_fitted_are_told(self):
        with host(agent('for i in range(8): ctx.db.get(params["key"] + str(i))')) as daemon:
            daemon.answer = lambda op, arguments: 1
            daemon.ended("main", {"key": "k"})
            replay = daemon.recorded()
            replay[6] = [7, "db.get", "k6", "another", "ok", 1]
            daemon.run(params={"key": "k"}, id="b", replay=replay)
            detail = json.loads(daemon.next("mismatch")["body"])
            expected, got = detail["expected"], detail["got"]
            self.assertEqual(["k6", "k6", False], [expected["n"], got["n"], expected["fp"] == got["fp"]])
            self.assertEqual([2, 3, 4, 5, 6], [entry["o"] for entry in detail["matched"]])

    def test_code_that_catches_everything_does_not_keep_the_process_after_a_mismatch(self):
        body = '''
            while True:
                try:
                    {a}ctx.step("other", lambda: 1)
                except BaseException:
                    pass'''
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source) as daemon:
                daemon.run(replay=[[1, "step", "one", "", "ok", 1]])
                daemon.next("mismatch")
                daemon.idle()
                self.assertEqual(1, len(daemon.of("mismatch")))

    def test_a_setup_that_is_recorded_is_gone_through_again_and_said_nothing_of(self):
        source = '''
def setup(ctx): ctx.db.set("a", 1)
def main(ctx): return ctx.db.get("a")
'''
        with host(source) as daemon:
            daemon.answer = lambda op, arguments: 5
            daemon.run(setup=True)
            daemon.end()
            replay = daemon.recorded()
            self.assertEqual([[1, "db.set"], [2, "setup"], [3, "db.get"]], [entry[:2] for entry in replay])
            before = len(daemon.frames)
            daemon.run(id="again", setup=True, replay=replay)
            self.assertEqual(5, daemon.end("again").value)
            self.assertEqual(before + 1, len(daemon.frames))

    def test_code_that_waits_for_a_time_of_its_own_is_waited_for_and_other_code_is_not(self):
        # It waited for the sleep while its own time went on; the step was called when that was over.
        body = '''
            from cellar_agent import replay
            replay.STALL_S = 0.1
            slept = ctx.sleep("1d")
            try:
                async with asyncio.timeout({own}):
                    await (asyncio.shield(slept) if {own} else asyncio.Event().wait())
            except TimeoutError:
                await ctx.step("late", lambda: 1)
            return await slept'''
        with host(agent(body.format(own=0.1))) as daemon:
            daemon.run()
            daemon.next("done")
            daemon.reply(daemon.next("cmd", k="sleep"), "slept")
            self.assertEqual("slept", daemon.end().value)
            replay = daemon.recorded()
        with host(agent(body.format(own=0.8))) as daemon:
            daemon.run(replay=replay)
            self.assertEqual("slept", daemon.end().value)
            daemon.frames.clear()
        with host(agent(body.format(own=None))) as daemon:
            daemon.run(replay=replay)
            self.assertEqual(2, daemon.next("mismatch")["o"])

    def test_code_that_no_longer_fits_is_told_whatever_goes_on_beside_it(self):
        body = '''
            from cellar_agent import replay
            replay.STALL_S, replay.OWN_TIME_MARGIN_S, replay.OWN_TIME_MAX_S = 0.3, 0.05, 0.3
            async def beat():
                while True:
                    await asyncio.sleep(params["beat"])
            async def spin():
                while params["beat"] == 0.01:
                    await asyncio.sleep(0)
            async def one(): # Both have begun before one of them ends.
                return 1
            tasks = [asyncio.create_task(beat()), asyncio.create_task(spin())]
            if params["now"]:
                gone = ctx.step("gone", one)
                await asyncio.Event().wait()
            await asyncio.gather(ctx.step("gone", one), ctx.step("other", one))'''
        with host(agent(body)) as daemon:
            daemon.ended(params={"beat": 1, "now": False})
            replay = daemon.recorded()
            for beat in 0.07, 0.01, 3600:
                with self.subTest(beat):
                    daemon.frames.clear()
                    daemon.run(id=f"{beat}", replay=replay, params={"beat": beat, "now": True})
                    for _ in range(10):  # What the daemon asks meanwhile does not put it off.
                        time.sleep(0.1)
                        daemon.send({"t": "ping", "n": 1})
                    self.assertEqual(2, daemon.next("mismatch")["o"])

    def test_times_one_after_the_other_are_waited_for(self):
        body = '''
            from cellar_agent import replay
            replay.STALL_S, replay.OWN_TIME_MARGIN_S = 0.1, 0.05
            gone = ctx.step("gone", lambda: 1)
            for _ in range(4 if params["now"] else 0):
                await asyncio.sleep(0.2)
            return await ctx.step("other", lambda: 2)'''
        self.is_the_same_where_it_takes_time(body)

    def test_a_time_that_is_just_over_is_waited_for(self):
        body = '''
            import time
            from cellar_agent import replay
            replay.STALL_S, replay.OWN_TIME_MARGIN_S = 0.2, 0.2
            gone = ctx.step("gone", lambda: 1)
            if params["now"]:
                asyncio.get_running_loop().call_later(0.15, time.sleep, 0.1)  # Both are due behind that.
                await asyncio.sleep(0.199)
            return await ctx.step("other", lambda: 2)'''
        self.is_the_same_where_it_takes_time(body)

    def is_the_same_where_it_takes_time(self, body):
        with host(agent(body)) as daemon:
            first = daemon.ended(params={"now": False}).value
            daemon.run(id="again", replay=daemon.recorded(), params={"now": True})
            daemon.next(lambda frame: frame["t"] in ("end", "mismatch") and frame["run"] == "again")
            self.assertEqual([], daemon.of("mismatch"))
            self.assertEqual(first, daemon.end("again").value)

    def test_sets_and_what_waits_have_the_same_order_in_every_process(self):
        source = agent('''
            words = {"apple", "pear", "plum", "fig", "cherry"}
            for word in words:
                ctx.now() if word == "fig" else ctx.db.get(word)
            waiting = [ctx.step(name, lambda name=name: name) for name in "abcdef"]
            done, _ = await asyncio.wait(waiting)
            for step in done:
                await ctx.step("of " + step.result(), lambda: 1)
            tasks = [asyncio.create_task(asyncio.sleep(0, name)) for name in "abcdef"]
            done, _ = await asyncio.wait(tasks)
            for task in done:
                await ctx.step("task " + task.result(), lambda: 1)
            async def began(name):
                return await ctx.step("began " + name, lambda: name)
            return [await one for one in asyncio.as_completed([began(name) for name in "abcdef"])]''')
        with host(source) as daemon:
            daemon.answer = lambda op, arguments: 1
            first = daemon.ended()
            self.assertTrue(first.ok, first)
            replay = daemon.recorded()
        for _ in range(3):
            with host(source) as daemon:
                daemon.run(replay=replay)
                ended = daemon.next("end", "mismatch")
                self.assertEqual(("end", first.value), (ended["t"], json.loads(ended["body"])))
