import json
import os
import unittest

from fake_daemon import Refused, agent, host, plain

OLD = '''
    a = {a}ctx.step("a", lambda: 1)
    b = {a}ctx.step("b", lambda: 2)
    return [a, b, {a}ctx.shell("rest")]'''
NEW = '''
    a = {a}ctx.step("a", lambda: 1)
    way = ctx.get_version("flow", 2)
    if way >= 2:
        {a}ctx.step("checked", lambda: 0)
    ctx.removed("b")
    return [a, way, {a}ctx.shell("rest")]'''
FORMS = tuple((make(OLD.format(a=a)), make(NEW.format(a=a))) for make, a in ((agent, "await "), (plain, "")))


def done(op, arguments):
    return "done"


def record_of(source, *until, **fields):
    """What a run of `source` has recorded when it came to an end, or to such a frame."""
    with host(source) as daemon:
        daemon.answer = done
        daemon.run()
        daemon.next(*until or ("end",), **fields)
        return daemon.recorded()


class VersionsTest(unittest.TestCase):
    def test_old_and_new_runs_go_their_own_ways_through_the_same_code(self):
        for old_source, new_source in FORMS:
            old = record_of(old_source, "cmd", k="shell")
            old[2][4:6] = ["open", None]  # It was under way.
            with host(new_source) as daemon:
                daemon.answer = done
                daemon.run(replay=old)
                self.assertEqual([1, 0, "done"], daemon.end().value)
                self.assertEqual(["hello", "cmd", "end"], daemon.types())
                self.assertEqual([1, 2, "done"], daemon.ended(id="new").value)
                daemon.run(id="again", replay=daemon.recorded("new"))
                self.assertEqual([1, 2, "done"], daemon.end("again").value)

    def test_what_was_open_and_is_removed_is_given_up_but_for_a_trial(self):
        for old_source, new_source in FORMS:
            old = record_of(old_source)
            old[1] = [2, "step", "b", "", "open", None]
            with host(new_source) as daemon:
                daemon.run(id="trial", replay=old, trial=True)
                daemon.next("trial")
                daemon.run(replay=old)
                given = daemon.next("done")
                error = json.loads(given["body"])
                self.assertEqual(("run_1", 2, False, "removed"), (given["run"], given["o"], given["ok"], error["code"]))
                daemon.run(id="again", replay=[old[0], [2, "step", "b", "", "error", error], old[2]])
                self.assertEqual([1, 0, old[2][5]], daemon.end("again").value)
                self.assertEqual(1, daemon.types().count("done"))

    def test_each_call_of_what_was_called_several_times_may_be_removed(self):
        old = record_of(agent('''
            for i in range(3):
                await ctx.step("a", lambda: i)
                await ctx.shell("a")
            return await ctx.step("a", lambda: "last")'''))
        with host(agent('''
            first = await ctx.step("a", lambda: 0)
            for i in range(2):
                ctx.removed("b")
                ctx.removed("a")
                ctx.removed("a")
            ctx.removed("a")
            return [first, await ctx.step("a", lambda: "no")]''')) as daemon:
            daemon.run(replay=old)
            self.assertEqual([0, "last"], daemon.end().value)

    def test_a_trial_compares_and_executes_nothing(self):
        for (old_source, new_source), make in zip(FORMS, (agent, plain)):
            old = record_of(old_source)
            first_open = [[1, "step", "a", "", "open", None, [1, 0]], old[1]]
            executes = new_source.replace('"checked", lambda: 0', '"checked", lambda: open("executed", "w")')
            cases = [
                (old_source, old, None), (new_source, old, None), (executes, old[:1], None), (new_source, [], None),
                (make("return 1"), [], None), (make("return 1"), old, "before it has done"),
                (make('raise ValueError("lost")'), old, "lost"), ("syntax error", old, "syntax"),
                ("syntax error", [], "syntax"), ("def other(ctx, params): ...", [], "no method"),
                ("syntax error", [*old, [9, "rollback", "failed", "", "ok", {"name": "Error", "message": "no"}]], "syntax"),
                (make(("await " if make is agent else "") + 'ctx.step("other", lambda: 1)'), old, "other"),
                (agent('await asyncio.gather(*[ctx.step(n, lambda: 1) for n in "ab"])'), first_open, None),
                (agent('a = await ctx.begin_step("a")\nawait ctx.step("b", lambda: 1)\nawait ctx.complete_step(a, 1)'),
                 first_open, None),
            ]
            for source, replay, expected in cases:
                with self.subTest(source=source), host(source) as daemon:
                    daemon.run(id="trial", replay=replay, trial=True)
                    told = daemon.next("trial", "mismatch")
                    daemon.idle()
                    self.assertEqual(["hello", told["t"]], [t for t in daemon.types() if t != "pong"])
                    self.assertEqual(expected is None, told["t"] == "trial" and told["ok"], told["body"])
                    if expected is not None:
                        self.assertIn(expected, told["body"].decode().lower())
                    self.assertEqual([], os.listdir(daemon.work))

    def test_a_trial_looks_behind_what_raised_and_has_no_record(self):
        body = '''
            try:
                got = {call}
            except Exception:
                got = "none"
            ctx.log("read")
            return [got, await ctx.step("b", lambda: 1)]'''
        cases = [('ctx.store.read("..")', "True"), ('ctx.db.get("k")', "ctx.db.get"),
                 ('ctx.store.write("..", "x")', "ctx.store.write")]
        for call, expected in cases:
            source = agent(body.format(call=call))
            with host(source) as daemon:
                daemon.answer = lambda op, arguments: Refused("down", "down")
                self.assertEqual(["none", 1], daemon.ended().value)
                replay = daemon.recorded()
                self.assertEqual([2, 3], [o for o, *_ in replay])
            other = "ctx." if "ctx" in expected else '"n":"c"'
            for tried, told in ((source, expected), (source.replace('"b"', '"c"'), other)):
                with self.subTest(tried), host(tried) as daemon:
                    daemon.run(id="trial", replay=replay, trial=True)
                    frame = daemon.next("trial", "mismatch")
                    self.assertIn(told, f"{frame.get('ok')} {frame['body'].decode()}")
                    daemon.idle()
                    self.assertEqual(["hello", frame["t"]], [t for t in daemon.types() if t != "pong"])

    def test_a_version_is_tried_with_a_run_that_was_rolled_back(self):
        trip = agent('''
            await ctx.step("car", lambda: 1, rollback=lambda: 0)
            await ctx.step("flight", lambda: 1, rollback=lambda: 0)
            raise ValueError("no seat")''')
        replay = record_of(trip)
        self.assertEqual(5, len(replay))
        cases = [(trip, None), (trip.replace("flight", "FLIGHT"), "FLIGHT"),
                 (trip.replace('raise ValueError("no seat")', "return 1"), "before it has done"),
                 (trip.replace('"flight", lambda: 1, rollback=lambda: 0', '"flight", lambda: 1'), "rollback")]
        for source, expected in cases:
            with self.subTest(source=source), host(source) as daemon:
                daemon.run(id="trial", replay=replay, trial=True)
                told = daemon.next("trial", "mismatch")
                self.assertEqual(expected is None, told["t"] == "trial" and told["ok"], told["body"])
                self.assertIn(expected or "", told["body"].decode())

    def test_a_run_goes_on_with_a_state_and_an_empty_history(self):
        body = '''
            step = {a}ctx.step("count", lambda: params["n"] + 1)
            if step < 3:
                return {a}ctx.continue_as({{"n": step}})
            return [ctx.run.id, step]'''
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source) as daemon:
                daemon.run(params={"n": 1})
                frame = daemon.next("continue")
                self.assertEqual((2, b'{"n":2}'), (frame["o"], frame["body"]))
                daemon.idle()
                self.assertEqual([], daemon.of("end"))
                daemon.run(params={"n": 2}, attempt=2, base=frame["o"])
                self.assertEqual(["run_1", 3], daemon.end().value)
                self.assertEqual(3, daemon.of("cmd")[1]["o"])

    def test_what_is_no_version_or_not_at_its_place_is_refused(self):
        with host(agent('''
            codes = []
            async def note(call):
                try:
                    await asyncio.ensure_future(call())
                except ctx.errors.Error as error:
                    codes.append(error.code)
            async def plainly(call):
                call()
            for call in (lambda: ctx.get_version("", 1), lambda: ctx.get_version("v", 0),
                         lambda: ctx.get_version("v", True), lambda: ctx.removed(7)):
                await note(lambda: plainly(call))
            await note(lambda: ctx.step("s", lambda: ctx.get_version("v", 1)))
            await note(lambda: ctx.step("s", lambda: ctx.removed("v")))
            await note(lambda: ctx.step("s", lambda: ctx.continue_as(1)))
            left = ctx.shell("lost")
            await note(lambda: plainly(lambda: ctx.continue_as(1)))
            left.add_done_callback(lambda done: 0)
            return codes''')) as daemon:
            version = "invalid_version"
            self.assertEqual([version] * 4 + ["nested_version"] * 2 + ["nested_continue", "forgotten_await"],
                             daemon.ended().value)
