import json
import platform
import re
import unittest

from fake_daemon import NOTHING, Refused, agent, encode, host, plain

FOREVER = 'await ctx.sleep("1h")'
# How an attempt is told that its run goes on elsewhere: it is forgotten, or its next attempt is here.
LEFT = (lambda daemon: daemon.send({"t": "forget", "run": "run_1"}), lambda daemon: daemon.run("idles", attempt=2))
SAYS = '''
import os, threading

def say(*words):
    with open(os.environ["CELLAR_WORK_DIR"] + "/log", "a") as file:
        file.write(" ".join(words) + "\\n")

async def idles(ctx):
    await ctx.wait_for_event("never")

'''


def said(daemon):
    log = daemon.work / "log"
    return log.read_text().splitlines() if log.exists() else []


class RunsTest(unittest.TestCase):
    def test_the_first_frame_says_which_protocol_and_which_python_this_is(self):
        with host("") as daemon:
            hello = daemon.frames[0]
            self.assertEqual((1, platform.python_version()), (hello["v"], hello["python"]))

    def test_a_result_is_given_only_when_it_is_on_disk(self):
        for form in ("", "await "):
            body = f'''
                value = {form}ctx.step("one", lambda: 1)
                ctx.stream({{"saw": value}})
                return value'''
            with host(agent(body) if form else plain(body)) as daemon:
                daemon.keeps_acks = True
                daemon.run()
                done = daemon.next("done")
                daemon.idle()  # It has had every chance to go on.
                self.assertEqual([], daemon.of("event"))
                daemon.send({"t": "ack", "run": "run_1", "o": done["o"]})
                self.assertEqual(1, daemon.end().value)

    def test_ordinals_are_taken_at_the_call_in_whatever_order_things_end(self):
        with host(agent('''
            steps = [ctx.step(name, lambda name=name: name) for name in "cba"]
            return await asyncio.gather(*steps)''')) as daemon:
            daemon.keeps_acks = True
            daemon.run()
            daemon.next("done", o=3)
            self.assertEqual([(1, "c"), (2, "b"), (3, "a")], [(f["o"], f["n"]) for f in daemon.of("cmd")])
            for o in (3, 1, 2):
                daemon.send({"t": "ack", "run": "run_1", "o": o})
            self.assertEqual(["c", "b", "a"], daemon.end().value)

    def test_everything_of_asyncio_takes_what_ctx_gives(self):
        with host(agent('''
            async with asyncio.TaskGroup() as group:
                one = group.create_task(ctx.step("one", lambda: 1))
                two = group.create_task(ctx.shell("two"))
            done, rest = await asyncio.wait([ctx.step("three", lambda: 3), ctx.sleep("1h")],
                                            return_when=asyncio.FIRST_COMPLETED)
            three = done.pop().result()
            four = await asyncio.wait_for(ctx.step("four", lambda: 4), 10)
            try:
                async with asyncio.timeout(0.001):
                    await ctx.sleep("1h")
            except TimeoutError:
                five = 5
            six = await asyncio.shield(ctx.step("six", lambda: 6))
            seven = [await each for each in asyncio.as_completed([ctx.step("seven", lambda: 7)])]
            eight = await asyncio.create_task(ctx.step("eight", lambda: 8))
            return [one.result(), two.result(), three, four, five, six, *seven, eight, len(rest)]''')
                  ) as daemon:
            daemon.answer = lambda op, arguments: 2 if op == "shell" else NOTHING
            ended = daemon.ended()
            self.assertEqual([1, 2, 3, 4, 5, 6, 7, 8, 1], ended.value, ended)

    def test_a_step_retries_has_a_limit_of_time_and_a_key_of_its_own_for_all_attempts(self):
        with host(agent('''
            keys = []
            def flaky(s):
                keys.append(s.idempotency_key)
                if s.attempt < 3:
                    raise ValueError("again")
                return s.attempt
            retries = {"max_attempts": 3, "delay": 1}
            values = [await ctx.step("flaky", flaky, retries=retries) for _ in range(2)]
            seen = []
            async def slow(s):
                s.signal.on_abort(lambda reason: seen.append(reason.code))
                try:
                    await asyncio.sleep(100)
                except asyncio.CancelledError:
                    seen.append("stopped")
                    raise
            try:
                await ctx.step("slow", slow, timeout=5)
            except ctx.errors.StepTimeoutError as error:
                late = error.code
            await asyncio.sleep(0)
            try:
                await ctx.step("all", lambda: 1 / 0, retries={"max_attempts": 2, "delay": 1})
            except ZeroDivisionError as error:
                all = str(error)
            return [values, len(keys), len(set(keys)), late, seen, all]''')) as daemon:
            self.assertEqual([[3, 3], 6, 2, "step_timeout", ["step_timeout", "stopped"],
                              "division by zero"], daemon.ended().value)

    def test_a_step_inside_a_step_is_refused_and_all_else_in_a_step_is_part_of_it(self):
        inner = '''
            def outer():
                try:
                    {a}ctx.step("inner", lambda: 1)
                except ctx.errors.Error as error:
                    nested = [error.code, str(error)]
                ctx.stream("inside")
                ctx.log("inside")
                {a}ctx.sleep(1)
                return [nested, type(ctx.now()).__name__, type(ctx.random()).__name__, len(ctx.uuid()),
                        ctx.db.get("k"), {a}ctx.shell("a")]
            return {a}ctx.step("outer", outer)'''
        sources = [agent(inner.format(a="await ").replace("def outer", "async def outer")),
                   plain(inner.format(a="")),
                   # In a thread of its own the same ctx blocks.
                   agent(inner.format(a="").replace('ctx.step("outer", outer)',
                                                    'await ctx.step("outer", lambda: '
                                                    'asyncio.to_thread(outer))'))]
        for source in sources:
            with self.subTest(source), host(source) as daemon:
                daemon.answer = lambda op, arguments: op
                ended = daemon.ended()
                self.assertTrue(ended.ok, ended)
                self.assertEqual("nested_step", ended.value[0][0])
                self.assertIn('step "inner" is inside another step', ended.value[0][1])
                self.assertEqual(["int", "float", 36, "db.get", "shell"], ended.value[1:])
                inside = [(f["t"], f["o"]) for f in daemon.of("event", "call", "cmd", "value")[1:]]
                self.assertEqual([("event", 0), ("event", 0), ("call", 0), ("cmd", 0)], inside)
                where = [(f["in"], f["try"]) for f in daemon.of("event", "cmd")[1:]]
                self.assertEqual([(1, 1)] * 3, where)

    # ---- cancelling ----

    def test_cancelling_aborts_the_signal_ends_what_waits_and_refuses_what_follows(self):
        with host(agent('''
            seen = []
            ctx.signal.on_abort(lambda reason: seen.append("aborted " + reason.code))
            async def body():
                try:
                    await asyncio.sleep(1000)
                finally:
                    seen.append("stopped")
            waits = [ctx.sleep("1h"), ctx.shell("x"), ctx.step("s", body)]
            told = await asyncio.gather(*waits, return_exceptions=True)
            seen += [type(error).__name__ for error in told]
            for call in (ctx.now, lambda: ctx.db.get("k"), lambda: ctx.shell("x"), lambda: ctx.log(""),
                         lambda: ctx.store.list(), lambda: ctx.step("t", lambda: 1),
                         lambda: ctx.fetch("http://127.0.0.1/")):
                try:
                    value = call()
                    await value
                except ctx.errors.CancelledError as error:
                    seen.append(error.code)
            return seen''')) as daemon:
            daemon.run()
            daemon.next(n="s")
            daemon.idle()
            before = len(daemon.frames)
            daemon.send({"t": "cancel", "run": "run_1"})
            self.assertEqual(["aborted canceled", "stopped", *["CancelledError"] * 3, *["canceled"] * 7],
                             daemon.end().value)
            self.assertEqual(before + 1, len(daemon.frames))

    def test_a_cancelled_run_that_lets_go_ends_as_one(self):
        bodies = [agent(FOREVER), plain('ctx.sleep("1h")'),
                  agent('''
                      async with asyncio.TaskGroup() as group:
                          for _ in range(2):
                              group.create_task(ctx.sleep("1h"))
                      ctx.now()'''),
                  agent('''
                      try:
                          await ctx.sleep("1h")
                      except Exception:
                          return "swallowed"''')]
        for source in bodies:
            with self.subTest(source), host(source) as daemon:
                daemon.run()
                daemon.next("cmd")
                daemon.idle()
                daemon.send({"t": "cancel", "run": "run_1"})
                ended = daemon.end()
                self.assertEqual((False, "canceled", "CancelledError"),
                                 (ended.ok, ended.code, ended.value["name"]))

    def test_a_step_whose_result_is_not_acknowledged_yet_is_ended_by_a_cancel(self):
        with host(agent('''
            try:
                await ctx.step("s", lambda: 1)
            except ctx.errors.CancelledError as error:
                return error.code''')) as daemon:
            daemon.keeps_acks = True
            daemon.run()
            daemon.next("done")
            daemon.send({"t": "cancel", "run": "run_1"})
            self.assertEqual("canceled", daemon.end().value)

    def test_a_plain_step_does_not_hold_up_the_cancel_of_its_run(self):
        with host(plain('''
            import threading
            began = threading.Event()
            def body(s):
                ctx.stream("began")
                ended = s.signal.wait(30)
                ctx.run.seen = ended
            try:
                ctx.step("s", body)
            except ctx.errors.CancelledError as error:
                return error.code''')) as daemon:
            daemon.run()
            daemon.next("event")
            daemon.send({"t": "cancel", "run": "run_1"})
            self.assertEqual("canceled", daemon.end().value)

    def test_output_without_an_end_is_written_whole_and_a_cancel_gets_through_it(self):
        with host(agent('''
            while True:
                print("x" * 10_000)
                ctx.stream("y" * 10_000)
                await asyncio.sleep(0)''')) as daemon:
            daemon.run()
            daemon.until("much is said", lambda: len(daemon.frames) > 100 and
                         daemon.stdout_bytes > 1_000_000)
            daemon.send({"t": "cancel", "run": "run_1"})
            self.assertEqual("canceled", daemon.end().code)
            self.assertEqual({10_002}, {len(frame["body"]) for frame in daemon.of("event")})

    # ---- more than one run, and what comes after one ----

    def test_two_runs_at_once_keep_to_themselves(self):
        body = '''
            first = {a}ctx.step("a-%d" % params["n"], lambda: params["n"])
            {a}ctx.sleep(1)
            return [first, ctx.run.id]'''
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source) as daemon:
                daemon.run(params={"n": 1}, id="r1")
                daemon.run(params={"n": 2}, id="r2")
                asleep = [daemon.next(run=id, k="sleep") for id in ("r1", "r2")]
                for frame in reversed(asleep):
                    daemon.reply(frame, None)
                self.assertEqual([[1, "r1"], [2, "r2"]], [daemon.end("r1").value, daemon.end("r2").value])

    def test_a_plain_function_that_computes_does_not_hold_up_other_runs(self):
        source = plain("""
            while not ctx.store.exists("stop"):
                pass
            return 1""") + "async def other(ctx):\n    return await ctx.step('s', lambda: 2)\n"
        with host(source) as daemon:
            daemon.run(id="r1")
            daemon.next("value")
            self.assertEqual(2, daemon.ended("other", {}, "r2").value)
            (daemon.work / "stop").touch()
            self.assertEqual(1, daemon.end("r1").value)

    def test_cancelling_one_run_leaves_the_other_alone(self):
        with host(agent(f"{FOREVER}\nreturn ctx.run.id")) as daemon:
            daemon.run(id="r1")
            daemon.run(id="r2")
            other = daemon.next("cmd", run="r2")
            daemon.send({"t": "cancel", "run": "r1"})
            self.assertEqual("canceled", daemon.end("r1").code)
            daemon.reply(other, None)
            self.assertEqual("r2", daemon.end("r2").value)

    def test_a_run_that_is_over_does_nothing_more_also_what_it_left_unawaited(self):
        with host(agent('''
            async def left():
                await asyncio.sleep(0)
                ctx.db.get("late")
            async def late():
                await asyncio.sleep(0)
                await ctx.step("late", lambda: 1)
            def heard(future):
                ctx.stream("late")
            ctx.step("left", left).add_done_callback(heard)
            loop = asyncio.get_running_loop()
            loop.call_later(0, lambda: ctx.shell("late"))
            loop.call_later(0, lambda: ctx.stream("late"))
            keep = asyncio.create_task(late())
            return 1''')) as daemon:
            self.assertEqual(1, daemon.ended().value)
            daemon.idle()
            daemon.idle()
            self.assertEqual(["hello", "cmd", "end"], [t for t in daemon.types() if t != "pong"])

    def test_a_forgotten_run_never_settles_and_its_next_attempt_is_not_mistaken_for_it(self):
        for source in (agent('return await ctx.shell("x")'), plain('return ctx.shell("x")')):
            with host(source) as daemon:
                daemon.run()
                first = daemon.next("cmd")
                daemon.send({"t": "forget", "run": "run_1"})
                daemon.run(attempt=2, replay=[[1, "shell", "x", first["fp"], "open"]])
                second = daemon.next("cmd", a=2)
                daemon.reply(first, "of the first attempt")
                daemon.reply(second, "of the second attempt")
                self.assertEqual("of the second attempt", daemon.end().value)
                daemon.idle()
                self.assertEqual(1, len(daemon.of("end")))
                self.assertEqual("", daemon.stderr)

    def test_what_goes_on_in_a_run_that_goes_on_elsewhere_is_told_to_stop_and_nothing_of_it_settles(self):
        with_async = agent('''
            ctx.signal.on_abort(lambda reason: say("run", reason.code))
            async def only(s):
                s.signal.on_abort(lambda reason: say(s.name, str(reason)))
                try:
                    await s.signal.wait()
                finally:
                    if s.name == "retried":
                        raise ValueError("stopped")
            steps = [ctx.step("only", only), ctx.step("limited", only, timeout="1h"),
                     ctx.step("retried", only, retries={"max_attempts": 9, "delay": 1})]
            for step in steps:
                step.add_done_callback(lambda done: done.cancelled() or done.exception() or say("settled"))
            try:
                await asyncio.wait(steps)
            except Exception:
                say("caught")''')
        in_thread = plain('''
            ctx.signal.on_abort(lambda reason: say("run", reason.code))
            def only(s):
                ctx.stream("began")
                say(s.name, str(s.signal.wait(30) and s.signal.reason))
                raise ValueError("stopped")
            try:
                ctx.step("only", only, retries={"max_attempts": 9, "delay": 1})
                say("settled")
            except Exception:
                say("caught")''')
        for source, names in ((with_async, ("limited", "only", "retried")), (in_thread, ("only",))):
            for leave in LEFT:
                with self.subTest(source), host(SAYS + source) as daemon:
                    daemon.run()
                    daemon.next("event") if source is in_thread else daemon.next(n="retried")
                    daemon.idle()
                    leave(daemon)
                    told = [f"{name} the run goes on elsewhere" for name in names]
                    daemon.until("all is told", lambda: len(said(daemon)) > len(told))
                    daemon.idle()
                    self.assertEqual([*told, "run canceled"], sorted(said(daemon)))
                    self.assertEqual([], daemon.of("done", "failed", "end"))
                    self.assertEqual("", daemon.stderr)

    def test_what_fails_as_it_is_told_to_stop_hurts_no_other_run(self):
        with host(SAYS + agent('''
            async def held(s):
                s.signal.on_abort(lambda reason: 1 / 0)
                s.signal.on_abort(lambda reason: ctx.log("stopped"))
                s.signal.on_abort(lambda reason: say("told"))
                await asyncio.sleep(1000)
            await ctx.step("held", held)''')) as daemon:
            daemon.run("idles", id="other")
            daemon.run()
            daemon.next(k="step")
            daemon.idle()
            daemon.send({"t": "forget", "run": "run_1"})
            daemon.idle()
            daemon.reply(daemon.next(run="other"), None)
            self.assertTrue(daemon.end("other").ok)
            self.assertEqual(["told"], said(daemon))
            daemon.until("it is shown", lambda: "ZeroDivisionError" in daemon.stderr)
            self.assertNotIn("ParkedRun", daemon.stderr)

    def test_a_run_that_was_paused_while_a_synchronous_call_waits_tells_its_code_nothing(self):
        with host(agent('''
            try:
                ctx.db.get("k")
            except Exception:
                ctx.stream("told")
            ctx.db.get("again")''')) as daemon:
            daemon.run()
            daemon.next("call")
            error = {"name": "CancelledError", "message": "the run goes on elsewhere", "code": "canceled"}
            daemon.up.sendall(encode({"t": "result", "ok": False, "left": True}, json.dumps(error).encode()))
            daemon.idle()
            self.assertEqual(["hello", "call"], [t for t in daemon.types() if t != "pong"])
            self.assertEqual("", daemon.stderr)

    def test_a_forgotten_run_unwinds_and_leaves_no_thread(self):
        body = '''
            import threading
            try:
                {a}ctx.step("s", lambda: 1)
                {a}ctx.shell("x")
            except Exception:
                ctx.stream("never")
            finally:
                open(ctx.work_dir + "/unwound", "w").close()'''
        after = "\ndef count(ctx):\n    import threading\n    return [t.name for t in threading.enumerate()]\n"
        for source in (agent(body.format(a="await ")), plain(body.format(a=""))):
            with host(source + after) as daemon:
                daemon.run()
                daemon.next(k="shell")
                daemon.send({"t": "forget", "run": "run_1"})
                daemon.until("it unwinds", lambda: (daemon.work / "unwound").exists())
                self.assertLessEqual(len(daemon.ended("count", {}, "r2").value), 3)
                self.assertEqual([], daemon.of("event"))

    def test_a_run_that_only_waits_leaves_and_one_that_does_something_of_its_own_stays(self):
        waits = {"{a}ctx.wait_for_event('go')": True, "{a}ctx.sleep('1h')": True,
                 "await asyncio.gather(ctx.sleep('1h'), ctx.sleep('2h'))": True,
                 "await asyncio.wait([asyncio.create_task(asyncio.sleep(50)), ctx.sleep('1h')])": False,
                 "await asyncio.wait([asyncio.create_task(asyncio.to_thread(time.sleep, 2)), "
                 "ctx.sleep('1h')])": False,
                 "await asyncio.gather(ctx.step('s', lambda: asyncio.sleep(50)), ctx.sleep('1h'))": False}
        for code, leaves in waits.items():
            forms = [(agent, "await "), (plain, "")] if "{a}" in code else [(agent, "")]
            for form, a in forms:
                with self.subTest(code, form=form.__name__), host(form(
                        f"import time\n{code.format(a=a)}")) as daemon:
                    daemon.run()
                    daemon.next(lambda f: f.get("k") in ("sleep", "wait"))
                    daemon.idle()
                    daemon.send({"t": "suspend", "run": "run_1"})
                    daemon.idle()
                    self.assertEqual(leaves, daemon.of("suspended") != [])
                    self.assertEqual([], daemon.of("end"))

    def test_what_ended_before_the_code_came_to_it_keeps_its_place(self):
        with host(agent('''
            seen = []
            async def tell(what, name):
                await what
                seen.append(name)
            slow = asyncio.create_task(tell(ctx.shell("a"), "shell"))
            await ctx.step("first", lambda: asyncio.sleep(0))
            wait = asyncio.create_task(tell(ctx.sleep(1), "sleep"))
            await asyncio.gather(slow, wait)
            return seen''')) as daemon:
            daemon.run()
            sleep = daemon.next(k="sleep")
            shell = daemon.next(k="shell")

            def opened(frame, at):
                return [frame["o"], frame["k"], frame["n"], frame["fp"], "open", None, [at, at]]

            replay = [opened(shell, 1), [2, "step", "first", "", "ok", None, [2, 3]], opened(sleep, 4)]
            daemon.send({"t": "forget", "run": "run_1"})
            # The sleep has ended by the time that the agent is there, and the command ends after it.
            daemon.run(attempt=2, replay=replay)
            daemon.reply({**sleep, "a": 2}, None)
            daemon.reply({**shell, "a": 2}, None)
            self.assertEqual(["sleep", "shell"], daemon.end().value)

    def test_what_the_daemon_cannot_read_is_refused_where_it_is_said(self):
        with host(agent('''
            def deep(levels):
                return "x]" if levels == 0 else [deep(levels - 1)]
            if params.get("deep"):
                return deep(61)
            codes = []
            for call in (lambda: ctx.stream(deep(61)), lambda: ctx.stream("x" * 2 ** 20),
                         lambda: ctx.log("x" * 2 ** 20), lambda: ctx.approve("a", data=deep(61)),
                         lambda: ctx.spawn("m", deep(61)), lambda: ctx.db.set("k", deep(61)),
                         lambda: ctx.step("s", lambda s: s.progress(deep(61))),
                         lambda: ctx.step("s", lambda s: s.progress("x" * 2 ** 16))):
                try:
                    await call()
                except ctx.errors.Error as error:
                    codes.append(error.code)
            kept = await ctx.step("kept", lambda: deep(200))
            ctx.stream(deep(60))
            return [codes, str(kept).count("[")]''')) as daemon:
            none, large = "not_serialisable", "too_large"
            self.assertEqual([[none, large, large, none, none, none, none, large], 200],
                             daemon.ended().value)
            failed = daemon.ended("main", {"deep": True}, "deep")
            self.assertEqual((False, none), (failed.ok, failed.value["code"]))

    # ---- how the process ends ----

    def test_an_error_that_nobody_catches_is_shown_with_its_stack_and_the_process_goes_on(self):
        strays = ["asyncio.get_running_loop().call_soon(lambda: 1 / 0)",
                  "async def stray(): 1 / 0\nasyncio.create_task(stray())",
                  "import threading\nthreading.Thread(target=lambda: 1 / 0).start()"]
        for stray in strays:
            with self.subTest(stray), host(agent(f"{stray}\nawait asyncio.sleep(0.05)\nreturn 1")) as daemon:
                self.assertEqual(1, daemon.ended().value)
                daemon.until("it is shown", lambda: "ZeroDivisionError" in daemon.stderr)
                self.assertIn("agent.py", daemon.stderr)

    def test_the_process_ends_when_the_agent_says_so(self):
        for source in (agent("import sys\nsys.exit(3)"), plain("import sys\nsys.exit(3)"),
                       agent("import sys\nawait ctx.step('s', lambda: sys.exit(3))"),
                       plain("import sys\nctx.step('s', lambda: sys.exit(3))")):
            with self.subTest(source), host(source) as daemon:
                daemon.run()
                self.assertEqual(3, daemon.exit_code())

    def test_an_agent_that_calls_sys_exit_is_told_of_with_its_message_and_the_place(self):
        nested = "import sys\nasync def leaves():\n    sys.exit({code})\n"
        ways = (nested + "await leaves()", nested + "await ctx.step('s', leaves)", nested + "await asyncio.create_task(leaves())")
        for way in ways:
            for code, says, status in (("'it is broken'", "it is broken\nthe agent called sys.exit(…)", 1),
                                       ("3", "the agent called sys.exit(3)", 3), ("", "the agent called sys.exit()", 0)):
                with self.subTest(way=way, code=code), host(agent(way.format(code=code))) as daemon:
                    daemon.run()
                    self.assertEqual(status, daemon.exit_code())
                    daemon.threads[2].join()
                    self.assertRegex(daemon.stderr, rf'^{re.escape(says)}\n  File ".*/agent.py", line \d+, in (main|leaves)\n')
                    self.assertIn("in leaves\n", daemon.stderr)

    def test_of_a_sensitive_step_that_calls_sys_exit_the_message_is_not_told(self):
        for source in (agent("import os\nawait ctx.step('s', lambda: exit(os.environ['X']), sensitive='output')"),
                       plain("import os\nctx.step('s', lambda: exit(os.environ['X']), sensitive='output')")):
            with self.subTest(source), host(source, env={"X": "secret"}) as daemon:
                daemon.run()
                self.assertEqual(1, daemon.exit_code())
                daemon.threads[2].join()
                self.assertIn("redacted", daemon.stderr)
                self.assertNotIn("secret", daemon.stderr)

    def test_the_process_ends_when_the_daemon_says_so_or_is_gone(self):
        ways = [lambda d: d.send({"t": "stop"}), lambda d: d.down.close(),
                lambda d: (d.up.close(), d.down.close())]
        for source in (agent(FOREVER), plain('ctx.sleep("1h")')):
            for way in ways:
                with host(source) as daemon:
                    daemon.run()
                    daemon.next("cmd")
                    way(daemon)
                    self.assertEqual(0, daemon.exit_code())
        with host(agent('ctx.db.get("k")')) as daemon:
            daemon.run()
            daemon.next("call")
            daemon.up.shutdown(2)  # It waits for an answer.
            self.assertEqual(0, daemon.exit_code())

    def test_what_the_daemon_refuses_is_raised_with_its_code(self):
        body = '''
            seen = []
            for call in (lambda: ctx.db.get("k"), lambda: ctx.shell("ls")):
                try:
                    value = call()
                    {a}
                except ctx.errors.Error as error:
                    seen.append([error.name, str(error), error.code])
            return seen'''
        for source in (agent(body.format(a="await value")), plain(body.format(a=""))):
            with host(source) as daemon:
                daemon.answer = lambda op, arguments: Refused()
                self.assertEqual([["Error", "it is broken", "broken"]] * 2, daemon.ended().value)

    def test_the_ctx_and_the_begun_steps_of_another_run_are_refused(self):
        source = """
kept = []

async def first(ctx, params):
    kept.extend([ctx, await ctx.begin_step("turn")])
    await ctx.wait_for_event("go")

async def second(ctx, params):
    other, begun = kept
    codes = []
    for call in (lambda: other.step("s", lambda: 1), other.now, lambda: other.log("x"), lambda: ctx.complete_step(begun, 1)):
        try:
            call()
        except Exception as error:
            codes.append(error.code)
    return codes
"""
        with host(source) as daemon:
            daemon.run("first")
            daemon.next(k="wait")
            said = len(daemon.frames)
            daemon.run("second", id="run_2")
            end = daemon.next(t="end")
            self.assertEqual(["foreign_run"] * 3 + ["invalid_step"], json.loads(end["body"]))
            self.assertEqual(["end"], [frame["t"] for frame in daemon.frames[said:]])
