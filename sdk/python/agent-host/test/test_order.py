"""gather, wait, as_completed and groups over commands: random programs, replayed from every point."""
import json
import os
import random
import threading
import time
import unittest

from fake_daemon import agent, host

PROGRAMS = 3
DEPTH = 3

# Executes a program, a tree, and tells in which order things came to be known.
INTERPRETER = agent('''
    trace = []
    async def fails(n, ms):
        await asyncio.sleep(ms / 1000)
        raise ValueError(n)
    async def works(n, ms):
        await asyncio.sleep(ms / 1000)
        return n
    def leaf(node):
        if node["t"] == "shell":
            return ctx.shell(node["n"])
        body = works if node["t"] == "step" else fails
        return ctx.step(node["n"], lambda: body(node["n"], node["ms"]))
    async def run(node):
        kind, of = node["t"], node.get("of", ())
        if kind in ("step", "fails", "shell"):
            try:
                told = await leaf(node)
            except ValueError as error:
                trace.append("!" + str(error))
                raise
            trace.append(told)
            return told
        if kind == "seq":
            return [await run_all(child) for child in of]
        if kind == "gather":
            return await asyncio.gather(*map(run, of))
        if kind == "settled":
            return [str(v) for v in await asyncio.gather(*map(run, of), return_exceptions=True)]
        if kind == "race":
            tasks = [asyncio.create_task(run(child)) for child in of]
            done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in rest:
                task.add_done_callback(lambda task: task.exception())
            return next(task for task in tasks if task in done).result()
        if kind == "each":
            return [str(await one) for one in asyncio.as_completed(list(map(run_all, of)))]
        if kind == "queue":
            queue = asyncio.Queue()
            async def put(child):
                await queue.put(await run_all(child))
            async with asyncio.TaskGroup() as group:
                for child in of:
                    group.create_task(put(child))
                told = [await queue.get() for _ in of]
                await ctx.step("taken", lambda: told)
            return told
    async def run_all(node):
        try:
            return await run(node)
        except ValueError as error:
            await asyncio.sleep(0)
            return "no " + str(error)
    value = await run(params["program"])
    # One more command, whose ordinal depends on all that came before.
    return {"value": value, "trace": trace, "last": ctx.now() > 0}''')

KINDS = ("step", "fails", "shell", "seq", "gather", "settled", "race", "each", "queue")


def program(chance, depth):
    kind = KINDS[chance.randrange(3 if depth == 0 else len(KINDS))]
    if kind in ("step", "fails", "shell"):
        return {"t": kind, "n": f"c{chance.randrange(1000)}", "ms": chance.randrange(3)}
    return {"t": kind, "of": [program(chance, depth - 1) for _ in range(1 + chance.randrange(3))]}


class Answers:
    """Answers shells in an order of the seed's choice, some at once, some after others."""

    def __init__(self, daemon, chance):
        self.daemon, self.chance, self.held, self.stopped = daemon, chance, [], threading.Event()
        plain = daemon.take

        def take(frame):
            plain(frame)
            if frame["t"] == "cmd" and frame["k"] == "shell":
                self.held.append(frame)

        daemon.take = take
        self.thread = threading.Thread(target=self._answer, daemon=True)
        self.thread.start()

    def _answer(self):
        while not self.stopped.wait(0.001):
            with self.daemon.changed:
                if self.held:
                    frame = self.held.pop(self.chance.randrange(len(self.held)))
                    self.daemon.reply(frame, f"ran {self.chance.randrange(9)}")

    def stop(self):
        self.stopped.set()
        self.thread.join()


class OrderTest(unittest.TestCase):
    def test_a_replay_resolves_in_the_order_in_which_it_happened_from_every_point(self):
        seed = int(os.environ.get("CELLAR_SEED") or time.time() % 1_000_000)
        print(f"CELLAR_SEED={seed}", flush=True)
        with host(INTERPRETER) as daemon:
            for number in range(PROGRAMS):
                chance = random.Random(seed + number)
                params = {"program": {"t": "seq", "of": [program(chance, DEPTH), program(chance, DEPTH)]}}
                self.replayed(daemon, f"p{number}", chance, params,
                              f"CELLAR_SEED={seed}, program {number}: {json.dumps(params)}")

    def replayed(self, daemon, id, chance, params, what):
        answers = Answers(daemon, chance)
        daemon.run("main", params, id=id)
        live = daemon.end(id)
        self.assertTrue(live.ok, (what, live))
        ends = [end for _, _, _, _, _, _, (_, end), _ in daemon.recorded(id)]
        for lsn in range(min((at for *_, (at, _), _ in daemon.recorded(id)), default=1) - 1,
                         max(ends, default=0) + 1):
            again = f"{id}_until_{lsn}"
            replay = daemon.recorded_until(lsn, id)
            daemon.run("main", params, id=again, replay=replay)
            ended = daemon.until("it ends", lambda: next(
                (f for f in daemon.frames if f.get("run") == again and f["t"] in ("end", "mismatch")), None))
            self.assertEqual(("end", True), (ended["t"], ended.get("ok")), (what, lsn, ended))
            began = {f["o"] for f in daemon.frames if f.get("run") == again and f["t"] == "cmd"}
            finished = {entry[0] for entry in replay if entry[4] != "open"}
            self.assertEqual(set(), began & finished, (what, lsn))
            if lsn == max(ends, default=0):
                self.assertEqual(live.value, json.loads(ended["body"]), what)
        answers.stop()

    def test_a_poller_does_not_keep_the_completions_of_its_run(self):
        source = agent('''
            async def poll():
                while True:
                    await asyncio.sleep(0)
            poller = asyncio.create_task(poll())
            total = 0
            for _ in range(200):
                total += await ctx.step("s", lambda: 1)
            poller.cancel()
            return total''')
        with host(source) as daemon:
            self.assertEqual(200, daemon.ended().value)
            daemon.run(id="again", replay=daemon.recorded())
            self.assertEqual(200, daemon.end("again").value)

    def test_futures_that_asyncio_makes_have_the_same_order_in_sets_on_replay(self):
        for wrap in ("asyncio.shield", "asyncio.gather"):
            source = agent(f'''
                async def one(n):
                    return await ctx.step(str(n), lambda: n)
                done, _ = await asyncio.wait([{wrap}(asyncio.ensure_future(one(n))) for n in range(12)])
                return [await each for each in done]''')
            with host(source) as daemon:
                live, replay = daemon.ended().value, daemon.recorded()
            with host(source) as daemon:
                daemon.run(replay=replay)
                self.assertEqual(live, daemon.end().value, wrap)

    def test_what_is_made_inside_of_a_step_does_not_share_one_place_in_a_set(self):
        with host(agent('''
            async def count(s):
                async def nothing(): pass
                tasks = {asyncio.create_task(nothing()) for _ in range(100)}
                asked = {ctx.shell("x") for _ in range(100)}
                await asyncio.gather(*tasks, *asked)
                return [len({hash(each) for each in made}) for made in (tasks, asked)]
            return await ctx.step("many", count)''')) as daemon:
            daemon.answer = lambda op, arguments: 1
            self.assertEqual([100, 100], daemon.ended().value)

    def test_ten_thousand_steps_are_replayed_in_a_moment(self):
        source = agent('''
            begun = asyncio.get_running_loop().time()
            total = 0
            for _ in range(10_000):
                total += await ctx.step("s", lambda: 1)
            return [total, asyncio.get_running_loop().time() - begun]''')
        replay = [[o, "step", "s" if o == 1 else f"s#{o}", "", "ok", 1] for o in range(1, 10_001)]
        with host(source) as daemon:
            daemon.run(replay=replay)
            total, seconds = daemon.end().value
            print(f"10,000 steps replayed in {seconds * 1000:.0f} ms", flush=True)
            self.assertEqual(10_000, total)
