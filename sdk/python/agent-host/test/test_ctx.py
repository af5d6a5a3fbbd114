import hashlib
import json
import time
import unittest

from fake_daemon import agent, host, plain

ASKED = [
    ["call", "db.set", "k", {"key": "k", "value": {"a": 1}}],
    ["call", "db.set", "u", {"key": "u", "value": None}],
    ["call", "db.get", "k", {"key": "k"}],
    ["call", "db.delete", "k", {"key": "k"}],
    ["call", "db.keys", "", {}],
    ["call", "db.keys", "p", {"prefix": "p"}],
    ["call", "search.query", "", {"query": "q"}],
    ["call", "search.query", "", {"query": "q", "limit": 3}],
    ["call", "search.query", "", {"query": "q", "limit": 4, "mode": "regex", "paths": ["src/"]}],
    ["call", "search.symbols", "", {"query": "s"}],
    ["call", "search.symbols", "", {"query": "s", "limit": 2}],
    ["call", "search.status", "", {}],
    ["call", "search.remove", "d#1", {"path": "d#1"}],
    ["call", "search.index", "d#1", {"path": "d#1", "text": "t"}],
    ["call", "journal.step", "type", {"type": "type", "message": "message", "meta": {"m": 1}}],
    ["call", "journal.step", "t", {"type": "t", "message": "{'a': 1}"}],
    ["call", "journal.entries", "", {}],
    ["call", "journal.clear", "", {}],
    ["value", "store.exists", "x", False],
    ["cmd", "shell", "ls -l", {"cmd": "ls -l", "opts": {"cwd": "d", "timeoutMs": 5, "limits": {"memoryBytes": 9}}}],
    ["cmd", "shell", "ls -l", {"cmd": ["ls", "-l"]}],
    ["cmd", "sleep", "", {"ms": 7}],
    ["event", "stream", None, {"a": 1}],
    ["event", "log", None, {"level": "info", "message": "b is 2"}],
]
CALLS = '''
    db, search, journal, store = ctx.db, ctx.search, ctx.journal, ctx.store
    return [
        db.set("k", {{"a": 1}}), db.set("u"), db.get("k"), db.delete("k"), db.keys(), db.keys("p"),
        search.query("q"), search.query("q", 3), search.query("q", 4, mode="regex", paths=["src/"]),
        search.symbols("s"), search.symbols("s", 2), search.status(), search.remove("d#1"), search.index("d#1", "t"),
        journal.step("type", "message", {{"m": 1}}), journal.step("t", {{"a": 1}}), journal.entries(),
        journal.clear(), store.exists("x"),
        {a}ctx.shell("ls -l", cwd="d", timeout_ms=5, env=None, limits={{"memory_bytes": 9}}),
        {a}ctx.shell(["ls", "-l"]), {a}ctx.sleep(7.4), ctx.stream({{"a": 1}}) is None,
        ctx.log("%s is %d", "b", 2) is None]'''


class CtxTest(unittest.TestCase):
    def test_every_call_says_to_the_daemon_what_the_protocol_says(self):
        for source in (agent(CALLS.format(a="await ")), plain(CALLS.format(a=""))):
            with host(source) as daemon:
                daemon.answer = lambda op, arguments: f"answer to {op}"
                ended = daemon.ended()
                self.assertTrue(ended.ok, ended)
                asked = [[f["t"], f.get("op") or f.get("k") or f["type"], f.get("n"), json.loads(f["body"])]
                         for f in daemon.numbered()]
                self.assertEqual(ASKED, asked)
                self.assertEqual([body if t == "value" else True if t == "event" else f"answer to {op}"
                                  for t, op, _, body in asked], ended.value)
                self.assertEqual(list(range(1, len(asked) + 1)), [f["o"] for f in daemon.numbered()])

    def test_a_fingerprint_is_that_of_the_arguments_as_they_are_sent(self):
        with host(agent('ctx.db.get("é"); await ctx.shell("ls"); await ctx.step("s", lambda: 1)')) as daemon:
            daemon.answer = lambda op, arguments: None
            daemon.ended()
            self.assertEqual([*[hashlib.sha256(text.encode()).hexdigest()[:16]
                                for text in ('{"key":"é"}', '{"cmd":"ls"}')], ""],
                             [f["fp"] for f in daemon.of("call", "cmd")])

    def test_ctx_tells_which_cell_which_run_which_attempt(self):
        with host(agent('''
            import os
            return [ctx.cell_id, ctx.work_dir == os.environ["CELLAR_WORK_DIR"], vars(ctx.run),
                    ctx.signal.aborted]''')) as daemon:
            daemon.run(attempt=3)
            self.assertEqual(["dev--test", True, {"id": "run_1", "method": "main", "attempt": 3}, False],
                             daemon.end().value)

    def test_time_and_chance_are_recorded(self):
        with host(agent("return [ctx.now(), ctx.random(), ctx.uuid()]")) as daemon:
            before = int(time.time() * 1000)
            now, chance, uuid = daemon.ended().value
            self.assertTrue(before <= now <= time.time() * 1000)
            self.assertTrue(0 <= chance < 1)
            self.assertRegex(uuid, r"^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$")
            self.assertEqual([("now", now), ("random", chance), ("uuid", uuid)],
                             [(f["k"], json.loads(f["body"])) for f in daemon.of("value")])

    def test_what_a_command_gives_is_read_by_names_and_returned_as_it_is(self):
        with host(agent('''
            r = await ctx.shell("x")
            [hit] = ctx.search.query("q")
            try:
                r.nothing
            except AttributeError:
                return [r.exit_code, r["timed_out"], r, hit.start_line]''')) as daemon:
            given = {"exitCode": 1, "timedOut": False, "stdout": "o"}
            daemon.answer = lambda op, arguments: given if op == "shell" else [{"path": "p", "start_line": 3}]
            self.assertEqual([1, False, {"exit_code": 1, "timed_out": False, "stdout": "o"}, 3],
                             daemon.ended().value)

    def test_commands_go_on_together(self):
        with host(agent('return await asyncio.gather(ctx.shell("one"), ctx.shell("two"))')) as daemon:
            daemon.run()
            one, two = daemon.next(n="one"), daemon.next(n="two")
            daemon.reply(two, {"exitCode": 2})
            daemon.reply(one, {"exitCode": 1})
            self.assertEqual([{"exit_code": 1}, {"exit_code": 2}], daemon.end().value)

    def test_what_is_no_call_raises_before_it_is_one(self):
        with host(agent('''
            cycle = []
            cycle.append(cycle)
            codes = []
            for call in (lambda: ctx.stream(cycle), lambda: ctx.db.set("k", {1}), lambda: ctx.stream(print),
                         lambda: ctx.stream(float("nan")), lambda: ctx.stream([2 ** 70]),
                         lambda: ctx.shell(5), lambda: ctx.step("", lambda: 1), lambda: ctx.step("s"),
                         lambda: ctx.step("s", lambda: 1, timeout=-1), lambda: ctx.store.write("a", 5)):
                try:
                    await call()
                except ctx.errors.Error as error:
                    codes.append(error.code)
            return codes''')) as daemon:
            self.assertEqual([*["not_serialisable"] * 5, "invalid_command", "invalid_step", "invalid_step",
                              "invalid_time", "invalid_content"], daemon.ended().value)
            self.assertEqual([], daemon.numbered())

    def test_halves_of_pairs_become_whole_characters(self):
        with host(agent('''
            half = "\\ud83d"
            ctx.stream(half + "\\ude00 " + half)
            return [ctx.store.exists("x" + half), await ctx.step("s", lambda: half)]''')) as daemon:
            self.assertEqual([False, "\ufffd"], daemon.ended().value)
            self.assertEqual("\U0001f600 \ufffd", json.loads(daemon.of("event")[0]["body"]))
            self.assertEqual("x\ufffd", daemon.of("value")[0]["n"])
            daemon.run(id="again", replay=daemon.recorded())
            self.assertEqual([False, "\ufffd"], daemon.end("again").value)

    def test_a_log_shows_errors_and_values(self):
        with host(agent('ctx.log.warn("failed:", ValueError("far"), {"deep": [1]}); ctx.log("100%", 5)')) as daemon:
            daemon.ended()
            first, second = (json.loads(f["body"]) for f in daemon.of("event"))
            self.assertEqual({"level": "warn", "message": "failed: ValueError: far {'deep': [1]}"}, first)
            self.assertEqual("100% 5", second["message"])

    def test_values_of_20_mb_go_all_ways(self):
        with host(agent('''
            read, stored = ctx.store.read("big"), ctx.db.get("big")
            step = await ctx.step("big", lambda: "z" * (20 << 20))
            return [len(params["text"]), len(read), len(stored), step]''')) as daemon:
            (daemon.work / "big").write_text("x" * (20 << 20))
            daemon.answer = lambda op, arguments: "d" * (20 << 20)
            value = daemon.ended("main", {"text": "y" * (20 << 20)}).value
            self.assertEqual([20 << 20] * 3, value[:3])
            self.assertEqual(20 << 20, len(value[3]))

    def test_what_is_larger_than_a_frame_is_refused_and_the_run_goes_on(self):
        with host(agent('''
            try:
                await ctx.step("s", lambda: "x" * ((256 << 20) + 1))
            except ctx.errors.Error as error:
                return [error.code, str(error)]''')) as daemon:
            self.assertEqual(["too_large", 'the value of step "s" takes 268435459 bytes as JSON, at most '
                              "268435456"], daemon.ended().value)

    def test_the_sockets_may_be_non_blocking_and_no_command_of_the_agent_inherits_them(self):
        with host(agent('''
            import os, subprocess
            os.set_blocking(3, False)
            for _ in range(20):
                ctx.stream("x" * ((1 << 20) - 2))
            inherited = subprocess.run(["sh", "-c", "ls /proc/$$/fd"], capture_output=True, text=True,
                                       close_fds=False).stdout.split()
            return [ctx.db.get("k"), [fd for fd in inherited if fd in ("3", "4")]]''')) as daemon:
            daemon.run()
            daemon.reply(daemon.next("call"), "late")  # It has waited for this.
            self.assertEqual(["late", []], daemon.end().value)
            self.assertEqual([1 << 20] * 20, [len(f["body"]) for f in daemon.of("event")])
