import unittest

from fake_daemon import host

METHODS = '''
import asyncio
from json import dumps

limit = 5

class Mine(Exception):
    code = "E_BAD"

def value(ctx, params): return params["a"] + 1
def nothing(ctx): pass
async def later(ctx, params): return [1]
def wrapped(ctx, params): return later(ctx, params)
def boom(ctx, params):
    raise Mine("bad luck")
async def missing(ctx, params): return open("/none")
def cycle(ctx, params):
    a = []
    a.append(a)
    return a
async def strange(ctx, params): return object()
async def large(ctx, params): return 2 ** 64
def setup(ctx): pass
def _hidden(ctx, params): return 1
'''


class AgentsTest(unittest.TestCase):
    def test_values_of_plain_and_coroutine_functions_reach_the_daemon(self):
        with host(METHODS) as daemon:
            ended = daemon.ended("value", {"a": 1}, "a")
            self.assertEqual((True, None, 2), (ended.ok, ended.code, ended.value))
            self.assertEqual(None, daemon.ended("nothing", {}, "b").value)
            self.assertEqual([1], daemon.ended("later", {}, "c").value)
            self.assertEqual([1], daemon.ended("wrapped", {}, "d").value)

    def test_what_a_method_raises_reaches_the_daemon_whole(self):
        with host(METHODS) as daemon:
            boom = daemon.ended("boom", {}, "a")
            stack = boom.value.pop("stack")
            self.assertEqual({"name": "Mine", "message": "bad luck", "code": "E_BAD"}, boom.value)
            # From the agent's own code on; none of the host's.
            self.assertRegex(stack, r'^Traceback.*\n  File ".*agent\.py", line 15, in boom\n')
            self.assertNotIn("cellar_agent", stack)
            # The code beside `ok` is the host's own word; an agent's error has its code inside.
            self.assertEqual((False, None), (boom.ok, boom.code))
            missing = daemon.ended("missing", {}, "b").value
            self.assertEqual(("FileNotFoundError", "ENOENT"), (missing["name"], missing["code"]))

    def test_a_result_that_is_not_json_fails_the_run_and_names_the_method(self):
        with host(METHODS) as daemon:
            for method in ("cycle", "strange", "large"):
                ended = daemon.ended(method, {}, method)
                self.assertEqual((False, "not_serialisable"), (ended.ok, ended.value["code"]))
                self.assertIn(f"what {method}() returns is not JSON", ended.value["message"])

    def test_only_what_the_agent_exports_is_a_method(self):
        with host(METHODS) as daemon:
            for name in ("nope", "__name__", "dumps", "asyncio", "Mine", "limit", "setup", "_hidden"):
                ended = daemon.ended(name, {}, name)
                self.assertEqual((False, "method_not_found"), (ended.ok, ended.code), name)
                self.assertIn(f'no method "{name}"; it has value, nothing, later, wrapped, boom',
                              ended.value["message"])
        with host("__all__ = ['one']\ndef one(ctx): return 1\ndef two(ctx): return 2\n") as daemon:
            self.assertEqual(1, daemon.ended("one", {}, "a").value)
            self.assertEqual("method_not_found", daemon.ended("two", {}, "b").code)

    def test_an_agent_may_have_classes_dataclasses_and_imports_of_python(self):
        source = '''
from __future__ import annotations
import dataclasses
from dataclasses import dataclass

@dataclass
class Job:
    name: str
    tries: int = 0

async def main(ctx, params):
    return dataclasses.asdict(Job("a"))
'''
        with host(source) as daemon:
            self.assertEqual({"name": "a", "tries": 0}, daemon.ended().value)

    def test_the_hosts_own_modules_are_not_in_the_agents_way(self):
        source = "import sys\ndef main(ctx):\n    return [p for p in sys.path if 'agent-host' in p]"
        with host(source) as daemon:
            self.assertEqual([], daemon.ended().value)

    def test_an_agent_that_does_not_load_says_why_and_is_read_again_the_next_time(self):
        sources = {"\ndef main(": ": agent.py:2: SyntaxError: '(' was never closed",
                   "import re\nraise ValueError('at the top')": ": agent.py:2: ValueError: at the top",
                   "import no_such_module": "No module named", "import sys; sys.exit(3)": "SystemExit: 3"}
        for source, why in sources.items():
            with self.subTest(source), host(source) as daemon:
                ended = daemon.ended()
                self.assertEqual((False, "agent_load_failed"), (ended.ok, ended.code))
                self.assertIn(why, ended.value["message"])
                daemon.agent.write_text("def main(ctx): return 1")
                self.assertEqual(1, daemon.ended("main", {}, "again").value)
        with host("") as daemon:
            daemon.agent.unlink()
            ended = daemon.ended()
            self.assertEqual("agent_load_failed", ended.code)
            self.assertIn("FileNotFoundError", ended.value["message"])

    def test_an_agent_is_loaded_once_and_setup_runs_where_the_daemon_asks_for_it(self):
        for form in ("def", "async def"):
            source = f'''
count = 0
{form} setup(ctx):
    global count
    count += 1
    ctx.db.set("s", count)
{form} main(ctx): return count
'''
            with self.subTest(form), host(source) as daemon:
                daemon.answer = lambda op, arguments: True
                daemon.run(setup=True)
                self.assertEqual(1, daemon.end().value)
                self.assertEqual([("call", 1), ("setup.done", 2)],
                                 [(f["t"], f["o"]) for f in daemon.numbered()])
                self.assertEqual(1, daemon.ended("main", {}, "run_2").value)

    def test_a_setup_that_fails_fails_the_run_and_one_that_is_not_there_is_done(self):
        failing = "def setup(ctx): raise ValueError('no')\ndef main(ctx): return 1"
        with host(failing) as daemon:
            daemon.run(setup=True)
            self.assertEqual("no", daemon.end().value["message"])
            self.assertEqual([], daemon.of("setup.done"))
        with host("def main(ctx): return 1") as daemon:
            daemon.run(setup=True)
            self.assertEqual(1, daemon.end().value)
            self.assertEqual([1], [frame["o"] for frame in daemon.of("setup.done")])
