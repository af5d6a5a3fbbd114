import unittest

from fake_daemon import agent, host, plain

SECRET = "s3cr3t"
REDACTED = {"name": "Error", "message": "redacted: the step is sensitive", "stack": "", "code": "sensitive"}


class SensitiveTest(unittest.TestCase):
    def test_the_agent_has_the_value_of_a_sensitive_step_now_and_on_replay(self):
        for make, a in ((agent, "await "), (plain, "")):
            with host(make(f'''
                token = {a}ctx.step("token", lambda: "{SECRET}", sensitive="output")
                return [len(token), token == "{SECRET}"]''')) as daemon:
                self.assertEqual([6, True], daemon.ended().value)
                self.assertEqual(["output"], [f.get("sens") for f in daemon.of("cmd")])
                daemon.run(id="again", replay=daemon.recorded())
                self.assertEqual([6, True], daemon.end("again").value)
                self.assertEqual(1, len(daemon.of("cmd")))

    def test_the_error_of_a_sensitive_step_is_what_it_was_and_is_not_told(self):
        ways = ("raise error", "raise RuntimeError('else') from error", "raise RuntimeError('else')",
                "raise ExceptionGroup('all', [error])")
        for way in ways:
            with self.subTest(way=way), host(agent(f'''
                def fails():
                    raise ValueError("{SECRET}")
                try:
                    await ctx.step("s", fails, sensitive="output")
                except ValueError as error:
                    ctx.log("caught", error, str(error) == "{SECRET}")
                    ctx.log("caught %s", error)
                    {way}''')) as daemon:
                ended = daemon.ended()
                self.assertEqual("", ended.value["stack"])
                if way == "raise error":
                    self.assertEqual(REDACTED, ended.value)
                told = [f for f in daemon.frames if (f["t"], f.get("o")) != ("done", 1)]  # That is sealed.
                self.assertEqual([], [f for f in told if SECRET.encode() in f.get("body", b"")])
                self.assertIn(b"caught redacted: the step is sensitive True", daemon.of("event")[0]["body"])
                daemon.run(id="again", replay=daemon.recorded())
                self.assertEqual(ended.value, daemon.end("again").value)

    def test_what_was_recorded_of_a_sensitive_step_stays_so_where_the_code_has_changed(self):
        with host(agent('await ctx.step("s", lambda: 1)')) as daemon:
            error = {"name": "ValueError", "message": SECRET, "stack": ""}
            daemon.run(replay=[[1, "step", "s", "", "error", error, None, {"sens": "output"}]])
            self.assertEqual(REDACTED, daemon.end().value)

    def test_a_command_in_a_sensitive_step_is_sensitive(self):
        for make, a in ((agent, "await "), (plain, "")):
            body = f'''
                def undo(s, value):
                    return ctx.shell("d")
                {a}ctx.shell("a")
                {a}ctx.step("plain", lambda: ctx.shell("b"))
                {a}ctx.step("s", lambda: ctx.shell("c"), sensitive="output", rollback=undo)
                raise ValueError("original")'''
            with host(make(body)) as daemon:
                daemon.answer = lambda op, arguments: {"exitCode": 0, "stdout": "", "stderr": ""}
                self.assertEqual({"done": ["s"]}, daemon.ended().value["rollback"])
                self.assertEqual([("a", None), ("b", None), ("c", "output"), ("d", "output")],
                                 [(f["n"], f.get("sens")) for f in daemon.of("cmd") if f["k"] == "shell"])

    def test_an_error_that_comes_after_its_time_is_not_printed(self):
        with host(agent(f'''
            import gc, sys
            async def fails():
                try:
                    await asyncio.sleep(1000)
                finally:
                    raise ValueError("{SECRET}")
            try:
                await ctx.step("s", fails, sensitive="output", timeout=5)
            except ctx.errors.StepTimeoutError:
                pass
            await ctx.step("after", lambda: 1)
            gc.collect()
            print("collected", file=sys.stderr)''')) as daemon:
            daemon.ended()
            daemon.until("it is shown", lambda: "collected" in daemon.stderr)
            self.assertNotIn(SECRET, daemon.stderr)

    def test_of_an_error_that_is_known_by_its_class_the_class_is_told(self):
        with host(agent(f'''
            def fails():
                raise ctx.errors.NonRetryableError("{SECRET}")
            await ctx.step("s", fails, sensitive="output")''')) as daemon:
            self.assertEqual({**REDACTED, "name": "NonRetryableError"}, daemon.ended().value)

    def test_the_rollback_of_a_sensitive_step_is_sensitive(self):
        with host(agent(f'''
            def undo(s, value):
                raise ValueError(value)
            await ctx.step("s", lambda: "{SECRET}", sensitive="output", rollback=undo)
            raise ValueError("original")''')) as daemon:
            told = daemon.ended().value
            self.assertEqual(("original", {"name": "s", "error": REDACTED}), (told["message"], told["rollback"]["failed"]))
            self.assertEqual(["output"] * 2, [f.get("sens") for f in daemon.of("cmd")])

    def test_a_rollback_that_is_recorded_as_sensitive_stays_so(self):
        with host(agent('''
            await ctx.step("s", lambda: 1, rollback=lambda: None)
            raise ValueError("original")''')) as daemon:
            error = {"name": "Error", "message": SECRET, "stack": ""}
            daemon.run(replay=[[1, "step", "s", "", "ok", 1], [2, "rollback", "failed", "", "ok", {"message": "original"}],
                               [3, "step", "rollback s", "", "error", error, [6, 7], {"sens": "output"}]])
            self.assertEqual({"name": "s", "error": REDACTED}, daemon.end().value["rollback"]["failed"])

    def test_an_error_that_nobody_catches_is_not_printed(self):
        with host(agent(f'''
            async def left():
                def fails():
                    raise ValueError("{SECRET}")
                await ctx.step("s", fails, sensitive="output")
            task = asyncio.create_task(left())
            await asyncio.wait([task])
            del task
            import gc
            gc.collect()
            await ctx.step("after", lambda: 1)''')) as daemon:
            daemon.ended()
            daemon.until("it is shown", lambda: "redacted" in daemon.stderr)
            self.assertNotIn(SECRET, daemon.stderr)

    def test_what_else_is_asked_for_is_refused(self):
        with host(agent('''
            try:
                ctx.step("s", lambda: 1, sensitive=True)
            except ctx.errors.Error as error:
                return [error.code, str(error)]''')) as daemon:
            self.assertEqual(["invalid_step", 'sensitive of step "s" must be "output", not True'], daemon.ended().value)
