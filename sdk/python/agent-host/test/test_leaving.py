import unittest

from fake_daemon import agent, host, plain

# What a run's code waits with, and would do something behind: nothing has come when it leaves the process.
WAYS = {
    "wait": '''
        done, _ = await asyncio.wait([ctx.approve("a"), ctx.wait_for_event("e")],
                                     return_when=asyncio.FIRST_COMPLETED)
        note("done", len(done))''',
    "gather": '''
        told = await asyncio.gather(ctx.approve("a"), ctx.wait_for_event("e"), return_exceptions=True)
        note("told", *map(repr, told))''',
    "callback": '''
        command = ctx.approve("a")
        command.add_done_callback(lambda done: note("called back"))
        both = asyncio.gather(command, ctx.wait_for_event("e"))
        await both
        note("went on")''',
    "tasks": '''
        async def branch(waits):
            await asyncio.wait([waits])
            note("branch")
        async with asyncio.TaskGroup() as group:
            for waits in (ctx.approve("a"), ctx.wait_for_event("e")):
                group.create_task(branch(waits))
        note("joined")''',
    "gather, of tasks": '''
        async def work():
            return await ctx.approve("a")
        async def gathers():
            told = await asyncio.gather(work(), work(), return_exceptions=True)
            note("gathered", *map(repr, told))
        await asyncio.wait([asyncio.create_task(gathers()), ctx.wait_for_event("e")])
        note("went on")''',
    "TaskGroup, of tasks": '''
        async def work():
            return await ctx.approve("a")
        async def groups():
            async with asyncio.TaskGroup() as group:
                for _ in range(2):
                    group.create_task(work())
            note("joined")
        await asyncio.wait([asyncio.create_task(groups()), ctx.wait_for_event("e")])
        note("went on")''',
    "wait, of tasks": '''
        async def work():
            return await ctx.approve("a")
        async def waits():
            done, _ = await asyncio.wait([asyncio.create_task(work()) for _ in range(2)])
            note("done", len(done))
        async def around():
            await asyncio.shield(waits())
            note("around")
        await asyncio.wait([asyncio.create_task(around()), ctx.wait_for_event("e")])
        note("went on")''',
    "set by another": '''
        event = asyncio.Event()
        async def other():
            try:
                await ctx.approve("a")
            finally:
                event.set()
        task = asyncio.create_task(other())
        both = await asyncio.gather(event.wait(), ctx.wait_for_event("e"), return_exceptions=True)
        note("set")''',
    "asyncio.timeout": '''
        try:
            async with asyncio.timeout(3600):
                await asyncio.wait_for(ctx.approve("a"), 3600)
        except TimeoutError:
            note("late")''',
}
CATCHES = '''
    try:
        {wait}
    except:
        for use in (lambda: ctx.log("caught"), lambda: ctx.stream("caught"), lambda: ctx.db.get("k"),
                    lambda: ctx.store.write("caught", "x"), lambda: ctx.now()):
            try:
                use()
            except BaseException:
                pass
        {step}ctx.step("caught", lambda: note("step"))
    finally:
        {step}ctx.shell("finally")'''
PLAIN = CATCHES.format(wait='ctx.approve("a")', step="")
NOTES = '''
import os

def note(*words):
    with open(os.environ["CELLAR_WORK_DIR"] + "/log", "a") as file:
        print(*words, file=file)

async def idles(ctx):
    await ctx.wait_for_event("never")

'''
LEAVES = {"suspend": lambda daemon: daemon.send({"t": "suspend", "run": "run_1"}),
          "pause": lambda daemon: daemon.send({"t": "forget", "run": "run_1"}),
          "next attempt": lambda daemon: daemon.run("idles", attempt=2)}


class LeavingTest(unittest.TestCase):
    def check(self, source, leave, waits_for):
        with host(NOTES + source) as daemon:
            daemon.run()
            daemon.next(k=waits_for)
            daemon.idle()
            before = len(self.said(daemon))
            leave(daemon)
            daemon.idle()
            daemon.idle()
            self.assertEqual([], self.said(daemon)[before:])
            self.assertFalse((daemon.work / "log").exists())
            self.assertFalse((daemon.work / "caught").exists())
            self.assertEqual("", daemon.stderr)

    @staticmethod
    def said(daemon):
        """What is recorded of its first attempt."""
        return [frame for frame in daemon.frames if frame["t"] not in ("pong", "suspended") and
                frame.get("a", 1) == 1]

    def test_a_run_that_leaves_the_process_goes_down_no_branch_that_never_happened(self):
        for name, code in WAYS.items():
            for how, leave in LEAVES.items():
                if (name, how) == ("asyncio.timeout", "suspend"):
                    continue  # It stays while a time of its own goes on.
                with self.subTest(name, how=how):
                    self.check(agent(code), leave, "approval" if "timeout" in name else "wait")

    def test_code_that_catches_all_while_its_run_leaves_begins_and_records_nothing(self):
        sources = (agent(CATCHES.format(wait='await ctx.approve("a")', step="await ")), plain(PLAIN))
        for source in sources:
            for how, leave in LEAVES.items():
                with self.subTest(source, how=how):
                    self.check(source, leave, "approval")

    def test_what_does_not_use_ctx_outlives_the_run_that_began_it(self):
        with host(NOTES + agent('''
            global kept
            if params.get("again"):
                return await asyncio.wait_for(kept, 10)
            async def serve():
                await asyncio.sleep(0.01)
                return "served"
            async def branch():
                await asyncio.wait([ctx.approve("a")])
                note("branch")
            kept, keep = asyncio.create_task(serve()), asyncio.create_task(branch())
            await asyncio.sleep(0)''')) as daemon:
            self.assertTrue(daemon.ended().ok)
            self.assertEqual("served", daemon.ended("main", {"again": True}, "r2").value)
            self.assertFalse((daemon.work / "log").exists())

    def test_a_run_that_goes_on_with_another_state_goes_down_no_other_branch(self):
        for code in ('await asyncio.wait([ctx.continue_as(1), ctx.approve("a")])',
                     'ctx.approve("a").add_done_callback(lambda done: note("called back"))\n'
                     'await ctx.continue_as(1)'):
            with self.subTest(code), host(NOTES + agent(f'{code}\nnote("went on")')) as daemon:
                daemon.run()
                daemon.next("continue")
                daemon.idle()
                self.assertFalse((daemon.work / "log").exists())
