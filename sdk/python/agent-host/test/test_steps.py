import json
import time
import unittest

from fake_daemon import agent, host, plain


class StepsTest(unittest.TestCase):
    def test_an_attempt_that_fails_is_recorded_with_the_time_of_the_next_one(self):
        body = '''
            attempts = []
            def flaky(s):
                attempts.append(s.attempt)
                if s.attempt < 3:
                    raise ValueError("attempt %d" % s.attempt)
                return "done"
            value = {a}ctx.step("flaky", flaky, retries=
                {{"max_attempts": 3, "delay": 8, "backoff": "linear", "jitter": False}})
            return [value, attempts]'''
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source) as daemon:
                self.assertEqual(["done", [1, 2, 3]], daemon.ended().value)
                failed = daemon.of("failed")
                self.assertEqual([(1, 1, 8), (1, 2, 16)], [(f["o"], f["n"], f["delay"]) for f in failed])
                self.assertEqual("attempt 2", json.loads(failed[1]["body"])["message"])

    def test_the_next_attempt_begins_once_it_is_on_disk_that_one_failed(self):
        body = '''
            def flaky(s):
                ctx.log(s.attempt)
                if s.attempt < 3:
                    raise ValueError("no")
                return s.attempt
            return {a}ctx.step("flaky", flaky, retries={{"max_attempts": 3, "delay": 0}})'''
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source) as daemon:
                daemon.keeps_begins = True
                daemon.run()
                for n in (1, 2):
                    daemon.next(t="failed", n=n)
                    daemon.idle()
                    self.assertEqual(n, len(daemon.of("event")))  # No other attempt has said anything.
                    daemon.send({"t": "began", "run": "run_1", "o": 1})
                self.assertEqual(3, daemon.end().value)

    def test_of_an_error_so_much_is_recorded_and_the_code_is_given_no_more(self):
        body = '''
            def fails(s):
                raise ValueError("m" * 70_000)
            kept = {a}ctx.step("value", lambda s: ValueError("m" * 70_000))
            try:
                {a}ctx.step("s", fails)
            except ValueError as error:
                return [len(str(kept)), str(error)]'''
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source) as daemon:
                kept, message = daemon.ended().value
                self.assertEqual((70_000, "m" * 65_536 + "… (4464 characters more)"), (kept, message))

    def test_attempts_go_on_where_the_last_process_left_them_and_not_before_they_are_due(self):
        with host(agent('''
            import time
            return await ctx.step("flaky", lambda s: [s.attempt, s.last_progress,
                time.time() * 1000 >= params["due"] - 1], retries=5)''')) as daemon:
            due = int(time.time() * 1000) + 200
            before = {"tries": 3, "retry_at": due, "started_at": due - 1000, "progress": {"job": 7}}
            daemon.run(params={"due": due}, replay=[[1, "step", "flaky", "", "open", None, [1, 0], before]])
            self.assertEqual([4, {"job": 7}, True], daemon.end().value)

    def test_delays_grow_up_to_their_limit_and_jitter_takes_off_at_most_half(self):
        with host(agent('''
            def fails(s):
                if s.attempt < 7:
                    raise ValueError("x")
            await ctx.step("s", fails, retries={"max_attempts": 9, "delay": 1, "max_delay": "10ms"})''')
                  ) as daemon:
            self.assertTrue(daemon.ended().ok)
            delays = [frame["delay"] for frame in daemon.of("failed")]
            self.assertEqual(6, len(delays))
            for number, delay in enumerate(delays):
                full = min(2 ** number, 10)
                self.assertTrue(full // 2 <= delay <= full, delays)

    def test_an_error_may_say_that_no_attempt_follows_or_when(self):
        with host(agent('''
            count = {"no": 0, "after": 0}
            def no():
                count["no"] += 1
                raise ctx.errors.NonRetryableError("bad key")
            def after():
                count["after"] += 1
                if count["after"] == 1:
                    raise ctx.errors.RetryAfterError("busy", "0.02s")
                return "then"
            try:
                await ctx.step("no", no, retries=5)
            except ctx.errors.NonRetryableError as error:
                told = [str(error), error.code]
            return {"count": count, "no": told, "after": await ctx.step("after", after, retries=1)}''')
                  ) as daemon:
            self.assertEqual({"count": {"no": 1, "after": 2}, "no": ["bad key", "non_retryable"],
                              "after": "then"}, daemon.ended().value)
            self.assertEqual([20], [frame["delay"] for frame in daemon.of("failed")])

    def test_an_error_that_names_no_time_of_its_own_leaves_that_to_the_retries(self):
        with host(agent('''
            def fails(s):
                if s.attempt == 3:
                    return "third"
                error = ctx.errors.RetryAfterError("later", 1)
                error.delay = None if s.attempt == 1 else float("nan")
                raise error
            return await ctx.step("s", fails, retries={"max_attempts": 3, "delay": 1})''')) as daemon:
            self.assertEqual("third", daemon.ended().value)

    def test_a_limit_of_time_holds_for_an_attempt_and_for_all_of_them(self):
        body = '''
            import time, asyncio
            codes = []
            retries = {{"max_attempts": 1000, "delay": 1, "backoff": "constant"}}
            for name, options in (("attempt", {{"timeout": "5ms", "retries": {{"max_attempts": 2, "delay": 1}}}}),
                                  ("total", {{"timeout": {{"attempt": 5, "total": 60}}, "retries": retries}})):
                try:
                    {a}ctx.step(name, lambda: {sleep}(0.5), **options)
                except ctx.errors.StepTimeoutError as error:
                    codes.append(error.code)
            return codes'''
        for source in (agent(body.format(a="await ", sleep="asyncio.sleep")),
                       plain(body.format(a="", sleep="time.sleep"))):
            with host(source) as daemon:
                self.assertEqual(["step_timeout"] * 2, daemon.ended().value)
                self.assertEqual(1, len([f for f in daemon.of("failed") if f["o"] == 1]))

    def test_the_limit_of_all_attempts_counts_from_the_first_one_in_whatever_process_it_was(self):
        with host(agent('''
            def fails(s):
                raise ValueError("attempt %d" % s.attempt)
            try:
                await ctx.step("s", fails, timeout={"total": "1h"}, retries=100)
            except ctx.errors.StepTimeoutError as error:
                return str(error)''')) as daemon:
            before = {"tries": 4, "started_at": time.time() * 1000 - 3_600_000}
            daemon.run(replay=[[1, "step", "s", "", "open", None, [1, 0], before]])
            # The crash took all of it: what may cost money is not begun any more.
            self.assertEqual('step "s" took longer than 3600000 ms in all', daemon.end().value)
            self.assertEqual([], daemon.of("failed"))

    def test_what_lost_a_race_is_told_when_the_method_ends(self):
        with host(agent('''
            def slow(s):
                s.signal.wait()
                open(ctx.work_dir + "/" + s.signal.reason.code, "w").close()
            steps = [ctx.step("slow", lambda s: asyncio.to_thread(slow, s)), ctx.step("quick", lambda: 1)]
            done, rest = await asyncio.wait(steps, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()''')) as daemon:
            self.assertEqual(1, daemon.ended().value)
            daemon.until("it is told", (daemon.work / "canceled").exists)

    def test_a_step_that_must_not_be_executed_twice_waits_until_its_start_is_on_disk(self):
        with host(agent('''
            def pay():
                ctx.db.set("paid", 1)
                return "paid"
            return await ctx.step("pay", pay, on_interrupt="fail")''')) as daemon:
            order, frames = [], []
            daemon.answer = lambda op, arguments: order.append(op)
            daemon.began = frames.append
            began = type(daemon).began
            daemon.run()
            daemon.next("cmd")
            daemon.idle()  # It has had every chance to begin.
            order.append("began")
            began(daemon, frames[0])
            self.assertEqual("paid", daemon.end().value)
            self.assertEqual(["began", "db.set"], order)
            self.assertEqual("fail", daemon.of("cmd")[0]["pol"])

    def test_progress_is_told_waited_for_and_given_to_the_next_attempt(self):
        body = '''
            {d}def job(s):
                if s.attempt == 1:
                    {a}s.progress({{"id": 5}})
                    raise ValueError("again")
                return s.last_progress
            return {a}ctx.step("job", job, retries={{"max_attempts": 2, "delay": 1}})'''
        for source in (agent(body.format(a="await ", d="async ")), plain(body.format(a="", d=""))):
            with host(source) as daemon:
                self.assertEqual({"id": 5}, daemon.ended().value)
                self.assertEqual({"id": 5}, json.loads(daemon.of("progress")[0]["body"]))

    def test_what_an_attempt_makes_of_the_progress_it_is_given_no_other_attempt_sees(self):
        with host(agent('''
            def job(s):
                s.last_progress["seen"].append(s.attempt)
                if s.attempt < 4:
                    raise ValueError("again")
                return s.last_progress
            return await ctx.step("job", job, retries={"max_attempts": 4, "delay": 1})''')) as daemon:
            before = {"started_at": 1, "tries": 2, "progress": {"seen": []}}
            daemon.run(replay=[[1, "step", "job", "", "open", None, [1, 0], before]])
            self.assertEqual({"seen": [4]}, daemon.end().value)

    def test_an_attempt_that_is_over_reports_nothing(self):
        with host(agent('''
            attempts = []
            async def slow(s):
                attempts.append(s)
                if s.attempt == 1:
                    await asyncio.sleep(100)
                attempts[0].progress("nobody looks at it")
                try:
                    await attempts[0].progress("late")
                except ctx.errors.Error as error:
                    return error.code
            return await ctx.step("slow", slow, timeout=500, retries={"max_attempts": 9, "delay": 1})''')) as daemon:
            daemon.run()
            self.assertEqual("step_ended", daemon.end().value)
            self.assertEqual([], daemon.of("progress"))
            self.assertEqual("", daemon.stderr)

    def test_a_step_may_begin_and_end_in_different_places(self):
        body = '''
            step = {a}ctx.begin_step("message")
            seen = [step.name, step.done]
            if not step.done:
                {a}ctx.complete_step(step, {{"text": "hi"}})
            try:
                {a}ctx.complete_step(step, 1)
            except ctx.errors.Error as error:
                twice = error.code
            return [*seen, step.value, step.done, twice]'''
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source) as daemon:
                end = [{"text": "hi"}, True, "step_ended"]
                self.assertEqual(["message", False, *end], daemon.ended().value)
                daemon.run(id="again", replay=daemon.recorded())
                self.assertEqual(["message", True, *end], daemon.end("again").value)

    def test_what_is_called_between_the_begin_and_the_end_of_a_step_is_found_again_at_once(self):
        body = '''
            for _ in range(20):
                step = {a}ctx.begin_step("message")
                between = [{a}ctx.step("a", lambda: 1), ctx.now() > 0, {a}ctx.shell("x")]
                if not step.done:
                    {a}ctx.complete_step(step, {{"text": "hi"}})
            return [step.value, between, {a}ctx.step("b", lambda: 2)]'''
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source) as daemon:
                daemon.answer = lambda op, arguments: op
                first = daemon.ended().value
                self.assertEqual([{"text": "hi"}, [1, True, "shell"], 2], first)
                begun = time.monotonic()
                daemon.run(id="again", replay=daemon.recorded())
                self.assertEqual(first, daemon.end("again").value)
                self.assertEqual([], daemon.of("mismatch"))
                if "async def" in source:  # In a thread it may be computing still: it waits a second each.
                    self.assertLess(time.monotonic() - begun, 10)

    def test_steps_of_one_name_get_numbers(self):
        with host(agent('''
            names = []
            for name in "abaa":
                await ctx.step(name, lambda s: names.append(s.name))
            await ctx.complete_step(await ctx.begin_step("b"), 0)
            return names''')) as daemon:
            self.assertEqual(["a", "b", "a#2", "a#3"], daemon.ended().value)
            self.assertEqual(["a", "b", "a#2", "a#3", "b#2"], [f["n"] for f in daemon.of("cmd")])

    def test_a_function_gets_the_step_where_it_must_be_given_something(self):
        with host(agent('''
            import functools
            class Body:
                def method(self, s): return s.name
                def __call__(self, s): return "called " + s.name
            async def body(s): return s.attempt
            def two(x, s): return x + s.attempt
            forms = [lambda: 0, lambda s: s.attempt, lambda i=5: i, lambda s, i=5: s.attempt + i, body,
                     Body().method, Body(), functools.partial(two, 10), lambda *all: len(all)]
            return [await ctx.step("s", form) for form in forms]''')) as daemon:
            self.assertEqual([0, 1, 5, 6, 1, "s#6", "called s#7", 11, 0], daemon.ended().value)

    def test_an_agents_own_class_comes_back_also_where_python_or_ctx_has_one_of_that_name(self):
        kinds = "Error", "NonRetryableError", "TimeoutError", "ConnectionError"
        classes = "".join(f"class {kind}(Exception): pass\n" for kind in kinds)
        with host(f'''
import builtins, json
{classes}
class Other:
    class KeyError(Exception): pass
async def main(ctx, params):
    seen = []
    for kind in ({", ".join(kinds)}, builtins.TimeoutError, ctx.errors.NonRetryableError, Other.KeyError):
        def fails():
            raise kind("x")
        try:
            await ctx.step("s", fails)
        except kind:
            seen.append("it")
        except ctx.errors.Error as error:
            seen.append(error.name)
            def again():
                raise error
            try:
                await ctx.step("again", again)
            except ctx.errors.Error as twice:
                seen.append(twice.name)
    return seen
''') as daemon:
            first = daemon.ended().value
            self.assertEqual(["it"] * 6 + ["KeyError"] * 2, first)
            daemon.run(id="again", replay=daemon.recorded())
            self.assertEqual(first, daemon.end("again").value)

    def test_a_group_of_errors_comes_back_with_all_that_is_in_it(self):
        with host('''
import asyncio
class Own(ExceptionGroup):
    def __new__(cls, number):
        return super().__new__(cls, "own", [ValueError(number)])
def fails(error):
    raise error
async def main(ctx):
    seen = []
    many = ExceptionGroup("many", [ValueError("v"), ExceptionGroup("inner", [KeyError("k")]), OSError(2, "no")])
    for group in many, Own(1), BaseExceptionGroup("base", [ctx.errors.CancelledError()]):
        try:
            await ctx.step("s", lambda: fails(group))
        except* ValueError as values:
            seen.append([type(values).__name__, str(values), str(values.exceptions[0])])
        except* KeyError as keys:
            seen.append([str(keys), str(keys.exceptions[0])])
        except* (OSError, asyncio.CancelledError) as others:
            seen.append([type(each).__name__ for each in others.exceptions])
    try:
        await ctx.step("s", lambda: fails(Own(2)))
    except Own as own:
        seen.append(str(own))
    value = await ctx.step("value", lambda: many)
    seen.append([type(each).__name__ for each in value.exceptions])
    return seen
async def raises():
    raise ExceptionGroup("many", [ValueError("v"), ExceptionGroup("inner", [KeyError("k")])])
''') as daemon:
            first = daemon.ended()
            self.assertEqual([["ExceptionGroup", "many (1 sub-exception)", "v"],
                              ["many (1 sub-exception)", "inner (1 sub-exception)"], ["FileNotFoundError"],
                              ["ExceptionGroup", "own (1 sub-exception)", "1"], ["CancelledError"],
                              "own (1 sub-exception)", ["ValueError", "ExceptionGroup", "FileNotFoundError"]], first.value)
            ended = daemon.ended("raises", id="raises").value
            self.assertEqual(["ValueError", "ExceptionGroup"], [each["name"] for each in ended["errors"]])
            daemon.run(id="again", replay=daemon.recorded())
            self.assertEqual(first.value, daemon.end("again").value)

    def test_what_a_plain_function_raises_ends_it_whatever_it_is(self):
        with host('''
def fails(ctx): next(iter([]))
def steps(ctx): ctx.step("s", lambda: next(iter([])))
''') as daemon:
            for method in ("fails", "steps"):
                error = daemon.ended(method, {}, method).value
                self.assertEqual(("RuntimeError", "the function raised StopIteration"),
                                 (error["name"], error["message"]))

    def test_what_is_open_at_the_end_and_was_never_waited_for_fails_the_run_and_is_named(self):
        with host('''
import asyncio
async def forgets(ctx):
    ctx.step("lost", lambda: asyncio.sleep(100))
    ctx.shell("sleep 9")
async def begins(ctx): await ctx.begin_step("half")
async def spawns(ctx): ctx.spawn("child")
async def asks(ctx): ctx.approve("deploy", timeout="1h", on_timeout=None)
async def fails(ctx):
    ctx.step("bad", lambda: 1 / 0)
    await ctx.step("good", lambda: 1)
async def looks(ctx):
    seen = []
    bad = ctx.step("bad", lambda: 1 / 0)
    await ctx.step("good", lambda: 1)  # The other has failed meanwhile.
    try:
        await bad
    except ZeroDivisionError:
        seen.append("bad")
    return seen
async def races(ctx):
    steps = [ctx.step("quick", lambda: 1), ctx.sleep("1h")]
    done, rest = await asyncio.wait(steps, return_when=asyncio.FIRST_COMPLETED)
    return done.pop().result()
def plainly(ctx): ctx.begin_step("half")
''') as daemon:
            forgot = daemon.ended("forgets", {}, "forgets")
            self.assertEqual("forgotten_await", forgot.value["code"])
            self.assertIn('"lost", "sleep 9" were open', forgot.value["message"])
            for method in ("begins", "spawns", "asks", "fails", "plainly"):
                ended = daemon.ended(method, {}, method)
                self.assertEqual("forgotten_await", ended.value["code"], method)
            self.assertEqual(["bad"], daemon.ended("looks", {}, "looks").value)
            self.assertEqual(1, daemon.ended("races", {}, "races").value)
            self.assertEqual("", daemon.stderr)

    def test_options_that_are_none_are_refused_and_say_what_would_be_right(self):
        with host(agent('''
            wrong = [{"retries": -1}, {"retries": {"max_attempts": 0}}, {"retries": {"tries": 1}},
                     {"retries": {"max_attempts": 2, "backoff": "cubic"}}, {"timeout": "soon"},
                     {"timeout": 0}, {"timeout": {"each": 1}}, {"on_interrupt": "panic"},
                     {"fs": "atomic"}, {"retries": "two"}, {"retries": 1.5}]
            messages = []
            for options in wrong:
                try:
                    await ctx.step("s", lambda: 1, **options)
                except ctx.errors.Error as error:
                    messages.append(str(error))
            return messages''')) as daemon:
            messages = daemon.ended().value
            self.assertEqual(11, len(messages))
            self.assertIn("constant, linear, exponential", messages[3])
            self.assertIn('"10s" or "5m", not "soon"', messages[4])
            self.assertIn('unknown option "fs"', messages[8])
            self.assertEqual([], daemon.of("cmd"))

    def test_with_a_full_disk_steps_ask_before_they_are_executed_and_what_is_not_kept_is_an_error(self):
        error = json.dumps({"name": "JournalFullError", "message": "full", "code": "journal_full"}).encode()
        with host(agent('''
            ran = []
            async def step(name, **options):
                try:
                    return await ctx.step(name, lambda: ran.append(name) or len(ran), **options)
                except ctx.errors.JournalFullError as full:
                    return full.code
            undo = lambda s, value: None
            values = [await step("refused"), await step("begun"), await step("lost", rollback=undo), await step("plain")]
            raise ValueError(repr([values, ran]))''')) as daemon:
            daemon.keeps_acks = daemon.keeps_begins = True

            def tell(kind, o, body=b"", **more):
                daemon.send({"t": kind, "run": "run_1", "o": o, **more}, body)

            daemon.send({"t": "room", "steps": 0, "n": 1})
            daemon.run()
            self.assertTrue(daemon.next(t="cmd", o=1)["ask"])
            tell("refused", 1, error)
            self.assertFalse(daemon.next(t="done", o=1)["ok"])
            tell("ack", 1)
            self.assertTrue(daemon.next(t="cmd", o=2)["ask"])
            daemon.idle()
            self.assertEqual(1, len(daemon.of("done")))
            tell("began", 2)
            daemon.next(t="done", o=2)
            tell("ack", 2)
            daemon.next(t="cmd", o=3)
            tell("began", 3)
            daemon.next(t="done", o=3)
            daemon.send({"t": "room", "steps": 1, "n": 2})
            daemon.next(t="room", n=2)
            tell("ack", 3, error, ok=False)
            self.assertNotIn("ask", daemon.next(t="cmd", o=4))
            daemon.next(t="done", o=4)
            tell("ack", 4)
            values = ["journal_full", 1, "journal_full", 3]
            self.assertEqual(repr([values, ["begun", "lost", "plain"]]), daemon.end().value["message"])
            self.assertEqual([], daemon.of("rollback"))  # What was not kept is no step.

    def test_what_is_not_kept_after_its_run_has_failed_or_was_cancelled_is_not_undone(self):
        error = json.dumps({"name": "JournalFullError", "message": "full", "code": "journal_full"}).encode()
        for way in "failed", "cancelled":
            with self.subTest(way), host(agent('''
                def step(name):
                    return ctx.step(name, lambda: 1, rollback=lambda s, value: ctx.log("undone", name))
                steps = step("kept"), step("lost")
                if params["way"] == "failed":
                    await asyncio.sleep(0.1)
                    raise ValueError("it")
                await asyncio.gather(*steps, ctx.sleep("1h"))''')) as daemon:
                daemon.keeps_acks = True
                daemon.run(params={"way": way})
                daemon.next(t="done", o=2)
                if way == "cancelled":
                    daemon.send({"t": "cancel", "run": "run_1", "rollback": {"grace": 1000}})
                time.sleep(0.2)
                daemon.idle()
                daemon.send({"t": "ack", "run": "run_1", "o": 1})
                daemon.idle()
                self.assertEqual([], daemon.of("rollback", "end"))
                daemon.keeps_acks = False
                daemon.send({"t": "ack", "run": "run_1", "o": 2, "ok": False}, error)
                self.assertEqual({"done": ["kept"]}, daemon.end().value["rollback"])

    def test_that_a_step_may_begin_may_come_before_its_task_has_begun(self):
        source = """
import asyncio, fcntl, struct, termios, time

def waiting():
    return struct.unpack("i", fcntl.ioctl(4, termios.FIONREAD, bytes(4)))[0]

async def main(ctx, params):
    ctx.stream("here")
    was_there = False
    while not (was_there and waiting()):  # What was there in the turn before is read in this one, behind us.
        was_there = waiting() > 0
        await asyncio.sleep(0)
    size = waiting()
    step = ctx.step("s", lambda: 1, on_interrupt="fail")
    while waiting() == size:
        time.sleep(.001)
    return await step
"""
        with host(source) as daemon:
            daemon.run()
            daemon.next(t="event")
            while not daemon.of("cmd"):  # A ping that came in the midst of a turn was read before it was seen.
                daemon.pings += 1
                daemon.send({"t": "ping", "n": daemon.pings})
                daemon.until("it was read", lambda: daemon.of("cmd") or daemon.pings == len(daemon.of("pong")))
            self.assertEqual(1, daemon.end().value)

    def test_a_few_steps_are_begun_without_asking_as_many_as_there_are_places_for(self):
        with host(agent('''
            gate = asyncio.Event()
            async def wait(s): await gate.wait()
            first = [ctx.step(name, wait) for name in ("a", "b", "c", "x" * 201, "d")]
            asyncio.get_running_loop().call_later(0.02, gate.set)
            await asyncio.gather(*first)
            await ctx.step("e", wait)''')) as daemon:
            daemon.send({"t": "room", "steps": 3, "n": 1})
            daemon.run()
            asked = [daemon.next(t="cmd", o=o).get("ask") for o in range(1, 6)]
            self.assertEqual([None, None, None, True, True], asked)
            for o in (4, 5):
                daemon.send({"t": "began", "run": "run_1", "o": o})
            self.assertIsNone(daemon.next(t="cmd", o=6).get("ask"))  # The ends of the others are recorded.
            self.assertTrue(daemon.end().ok)

    def test_the_places_of_a_run_that_is_over_are_free_again(self):
        with host(agent('''
            async def wait(s): await asyncio.Event().wait()
            slow, fast = ctx.step("slow", wait), ctx.step("fast", lambda: 1)
            await fast
            raise ValueError("over")''')) as daemon:
            daemon.send({"t": "room", "steps": 2, "n": 1})
            for run in ("run_1", "run_2", "run_3"):
                daemon.run(id=run)
                asked = [daemon.next(t="cmd", run=run, o=o).get("ask") for o in (1, 2)]
                self.assertEqual([None, None], asked)
                daemon.end(run)

    def test_a_step_that_ends_elsewhere_is_begun_once_that_may_be(self):
        error = json.dumps({"name": "JournalFullError", "message": "full", "code": "journal_full"}).encode()
        with host(agent('''
            async def code(work):
                try:
                    return await work
                except ctx.errors.JournalFullError as full:
                    return full.code
            refused = await code(ctx.begin_step("refused"))
            step = await ctx.begin_step("begun")
            raise ValueError(repr([refused, step.done, await code(ctx.complete_step(step, 1))]))''')) as daemon:
            daemon.keeps_acks = daemon.keeps_begins = True
            daemon.send({"t": "room", "steps": 0, "n": 1})
            daemon.run()
            self.assertTrue(daemon.next(t="cmd", o=1)["ask"])
            daemon.send({"t": "refused", "run": "run_1", "o": 1}, error)
            self.assertFalse(daemon.next(t="done", o=1)["ok"])
            daemon.send({"t": "ack", "run": "run_1", "o": 1})
            daemon.next(t="cmd", o=2)
            daemon.idle()
            self.assertEqual(1, len(daemon.of("done")))
            daemon.send({"t": "began", "run": "run_1", "o": 2})
            daemon.next(t="done", o=2)
            daemon.send({"t": "ack", "run": "run_1", "o": 2, "ok": False}, error)
            self.assertEqual(repr(["journal_full", False, "journal_full"]), daemon.end().value["message"])
