import unittest

from fake_daemon import NOTHING, agent, host, plain

# say(word) notes what was executed; book(ctx, name) is a step that can be undone.
HELPERS = '''
import os

def say(word):
    with open(os.environ["CELLAR_WORK_DIR"] + "/log", "a") as file:
        file.write(word + " ")

def book(ctx, name, **options):
    def undo(s, value):
        say("-" + value["name"])
    def do():
        say(name)
        return {"name": name}
    return ctx.step(name, do, **{"rollback": undo, **options})
'''
TRIP = '''
    hotel, car = {a}book(ctx, "hotel"), {a}book(ctx, "car")
    {a}ctx.step("plain", lambda: say("plain"))
    {a}book(ctx, "flight")
    {a}book(ctx, "train", retries=0)
    raise ValueError("no seat")'''
FORMS = (HELPERS + agent(TRIP.format(a="await ")), HELPERS + plain(TRIP.format(a="")))
UNDONE = ["train", "flight", "car", "hotel"]
CANCELLED = HELPERS + agent('''
    async def held():
        say("open")
        await asyncio.sleep(1000)
    try:
        await book(ctx, "hotel")
        await asyncio.gather(book(ctx, "car"), ctx.step("open", held, rollback=lambda: say("-open")),
                             ctx.wait_for_event("go"))
    finally:
        say("cleaned")''')

# How methods end that a replay has to bring there again, and be it without them.
ENDINGS = {
    "commands that raise": '''
        await book(ctx, "hotel", on_interrupt="fail")
        try:
            ctx.store.write("../x", "y")
        except ctx.errors.Error:
            ctx.store.write("../x", "y")''',
    "one command that raises": '''
        await book(ctx, "hotel")
        ctx.store.write("../x", "y")''',
    "a step that is begun": '''
        await ctx.begin_step("turn")
        await book(ctx, "hotel")
        raise ValueError("x")''',
    "a step that nobody waits for": '''
        await book(ctx, "hotel")
        ctx.step("lost", lambda: asyncio.sleep(1000))''',
}
ONCE = '''
    await book(ctx, "hotel")
    flag = os.environ["CELLAR_WORK_DIR"] + "/flag"
    if not os.path.exists(flag):
        open(flag, "w").close()
        raise ValueError("once")
    await ctx.step("next", lambda: 1)'''


def said(daemon):
    log = daemon.work / "log"
    return log.read_text().split() if log.exists() else []


def forget(daemon):
    (daemon.work / "log").unlink(missing_ok=True)


class RollbackTest(unittest.TestCase):
    def test_what_was_completed_is_undone_when_the_method_raises_the_last_one_first(self):
        for source in FORMS:
            with host(source) as daemon:
                ended = daemon.ended()
                self.assertEqual((False, None, True), (ended.ok, ended.code, ended.rolled))
                self.assertEqual(("ValueError", "no seat", {"done": UNDONE}),
                                 tuple(ended.value[key] for key in ("name", "message", "rollback")))
                self.assertEqual(["hotel", "car", "plain", "flight", "train", "-train", "-flight", "-car", "-hotel"],
                                 said(daemon))
                self.assertEqual([(6, "failed")], [(f["o"], f["n"]) for f in daemon.of("rollback")])

    def test_what_setup_did_is_not_undone_once_that_has_ended(self):
        source = HELPERS + '''
async def setup(ctx):
    await book(ctx, "shared")
    if os.path.exists(os.environ["CELLAR_WORK_DIR"] + "/fails"):
        raise ValueError("setup")

async def main(ctx, params):
    await book(ctx, "own")
    raise ValueError("main")
'''
        recorded = [[1, "step", "shared", "", "ok", {"name": "shared"}], [2, "setup", "", "", "ok", None]]
        with host(source) as daemon:
            for id, replay in (("run_1", []), ("run_2", recorded)):
                daemon.run(id=id, replay=replay, setup=True)
                self.assertEqual({"done": ["own"]}, daemon.end(id).value["rollback"])
            self.assertEqual(["shared", "own", "-own", "own", "-own"], said(daemon))
            forget(daemon)
            (daemon.work / "fails").touch()
            daemon.run(id="run_3", setup=True)
            self.assertEqual({"done": ["shared"]}, daemon.end("run_3").value["rollback"])
            self.assertEqual(["shared", "-shared"], said(daemon))

    def test_a_value_that_cannot_be_read_again_is_an_error_of_what_undoes_its_step(self):
        recorded = {"$": "Date", "v": 8.64e15}  # As JavaScript writes it.
        with host(agent("""
            await ctx.step("charge", lambda: 1, rollback=lambda s, value: None)
            raise ValueError("no")""")) as daemon:
            daemon.run(replay=[(1, "step", "charge", "", "ok", recorded, None, {"c": "typed"})])
            ended = daemon.end()
            self.assertEqual(("charge", "OverflowError"), (
                ended.value["rollback"]["failed"]["name"], ended.value["rollback"]["failed"]["error"]["name"]))

    def test_no_other_step_is_left_out_for_a_value_that_cannot_be_read(self):
        with host(HELPERS + agent('''
            await book(ctx, "hotel")
            try:
                await book(ctx, "flight")
            except ctx.errors.NonSerializableError:
                pass
            await book(ctx, "car")
            raise ValueError("no")''')) as daemon:
            daemon.run(replay=[(1, "step", "hotel", "", "ok", {"name": "hotel"}),
                               (2, "step", "flight", "", "ok", {"$": "Later", "v": 1}, None, {"c": "typed"})])
            ended = daemon.end()
            rollback = ended.value["rollback"]
            self.assertEqual(("no", False, ["car"], "flight", "not_serialisable", ["hotel"]), (
                ended.value["message"], ended.rolled, rollback["done"], rollback["failed"]["name"],
                rollback["failed"]["error"]["code"], rollback["not_run"]))
            self.assertEqual(["car", "-car"], said(daemon))

    def test_a_method_that_completes_undoes_nothing(self):
        with host(HELPERS + agent('await book(ctx, "hotel")\nreturn "stays"')) as daemon:
            self.assertEqual("stays", daemon.ended().value)
            self.assertEqual(["hotel"], said(daemon))

    def test_rolling_back_goes_on_where_a_crash_ended_it_and_does_nothing_twice(self):
        for source in FORMS:
            with host(source) as daemon:
                self.ends_alike_from_every_place(daemon, daemon.ended())

    def ends_alike_from_every_place(self, daemon, ended, first=0):
        whole = [entry[2] for entry in daemon.recorded()]
        for lsn in range(first, daemon.lsn + 1):
            id, replay = f"until_{lsn}", daemon.recorded_until(lsn, "run_1")
            forget(daemon)
            daemon.run(id=id, replay=replay, attempt=2)
            again = daemon.end(id)
            self.assertEqual((ended.code, True, ended.value["rollback"]),
                             (again.code, again.rolled, again.value.get("rollback")), id)
            done = [entry[2] for entry in replay if entry[4] == "ok"]
            left = [n.replace("rollback ", "-") for n in whole if n.startswith("rollback ") and n not in done]
            self.assertEqual(left, [word for word in said(daemon) if word.startswith("-")], id)

    def test_a_crash_ends_no_rollback_however_the_method_ends(self):
        for what, body in ENDINGS.items():
            with self.subTest(what), host(HELPERS + agent(body)) as daemon:
                self.ends_alike_from_every_place(daemon, daemon.ended())
                self.assertEqual(1, len([f for f in daemon.of("rollback") if f["run"] == "run_1"]))
                self.assertEqual([], daemon.of("mismatch"))

    def test_a_method_that_does_not_fail_again_is_not_waited_for(self):
        with host(HELPERS + agent(ONCE)) as daemon:
            ended = daemon.ended()
            self.ends_alike_from_every_place(daemon, ended, daemon.places["run_1", 2][0])
            for frame in daemon.of("end"):
                self.assertEqual("once", daemon.end(frame["run"]).value["message"])

    def test_nothing_is_undone_before_it_is_on_disk_that_the_run_rolls_back(self):
        with host(HELPERS + agent('await book(ctx, "hotel")\nraise ValueError("original")')) as daemon:
            daemon.keeps_begins = True
            daemon.run()
            mark = daemon.next("rollback")
            daemon.idle()
            self.assertEqual(["hotel"], said(daemon))
            daemon.began(mark)
            self.assertEqual({"done": ["hotel"]}, daemon.end().value["rollback"])
            forget(daemon)
            daemon.run(id="second")
            daemon.next("rollback", run="second")
            daemon.send({"t": "cancel", "run": "second"})
            ended = daemon.end("second")
            self.assertEqual(("canceled", True, "original", []), (
                ended.code, ended.rolled, ended.value["message"], ended.value["rollback"]["done"]))
            self.assertEqual(["hotel"], said(daemon))

    def test_a_cancel_with_rollback_interrupts_what_is_under_way_and_undoes_what_was_completed(self):
        with host(CANCELLED) as daemon:
            daemon.run()
            daemon.next("done", o=2)
            daemon.idle()
            daemon.send({"t": "cancel", "run": "run_1", "rollback": {"grace": 60_000}})
            ended = daemon.end()
            told = {"done": ["car", "hotel"]}
            self.assertEqual(("canceled", True, "CancelledError", told),
                             (ended.code, ended.rolled, ended.value["name"], ended.value["rollback"]))
            self.assertEqual(["hotel", "car", "open", "cleaned", "-car", "-hotel"], said(daemon))
            # The same where the cancel finds no process: the next one only replays, and undoes that.
            for lsn in range(daemon.lsn + 1):
                id, replay = f"until_{lsn}", daemon.recorded_until(lsn, "run_1")
                done = [n for _, _, n, _, state, *_ in replay if state == "ok" and n in ("hotel", "car")][::-1]
                forget(daemon)
                daemon.run(id=id, replay=replay, attempt=2, cancel=60_000)
                again = daemon.end(id)
                self.assertEqual(("canceled", {"done": done} if done else None),
                                 (again.code, again.value.get("rollback")), id)
                # Nothing is begun again.
                self.assertEqual([], [word for word in said(daemon) if word[0] != "-" and word != "cleaned"], id)

    def test_rollbacks_do_not_wait_for_a_method_beyond_its_grace_time(self):
        body = '''
            await book(ctx, "hotel")
            try:
                await ctx.wait_for_event("go")
            finally:
                await asyncio.sleep(1000)'''
        blocks = '''
            import threading
            book(ctx, "hotel")
            try:
                ctx.wait_for_event("go")
            finally:
                threading.Event().wait()'''
        for source in (agent(body), plain(blocks)):
            with host(HELPERS + source) as daemon:
                daemon.run()
                daemon.next("cmd", k="wait")
                daemon.send({"t": "cancel", "run": "run_1", "rollback": {"grace": 1}})
                self.assertEqual({"done": ["hotel"]}, daemon.end().value["rollback"])

    def test_a_rollback_is_tried_again_as_its_step_says_and_one_that_fails_ends_them_all(self):
        with host(HELPERS + agent('''
            def undo(s):
                say(f"u{s.attempt}")
                if s.attempt < 3:
                    raise OSError("not yet")
            def never():
                raise TypeError("gone")
            await book(ctx, "first")
            await ctx.step("never", lambda: 1, rollback=never)
            await ctx.step("third", lambda: 1, rollback=undo, retries={"max_attempts": 3, "delay": 1})
            raise ValueError("original")''')) as daemon:
            ended = daemon.ended()
            told = ended.value["rollback"]
            self.assertEqual((False, "original", ["third"], "never", ["first"]), (
                ended.rolled, ended.value["message"], told["done"], told["failed"]["name"], told["not_run"]))
            self.assertEqual(("TypeError", "gone"), tuple(told["failed"]["error"][key] for key in ("name", "message")))
            self.assertEqual(["first", "u1", "u2", "u3"], said(daemon))
            forget(daemon)
            daemon.run(id="again", replay=daemon.recorded())
            self.assertEqual(["first"], daemon.end("again").value["rollback"]["not_run"])
            self.assertEqual([], said(daemon))

    def test_the_key_of_a_rollback_is_that_of_the_step_it_undoes_and_no_step_was_executed_with_it(self):
        with host(HELPERS + agent('''
            def do(s):
                say(s.idempotency_key)
            def undo(s):
                say(s.idempotency_key)
                if s.attempt == 1:
                    raise ValueError("again")
            def keyed(name):
                return ctx.step(name, do, rollback=undo, retries={"max_attempts": 2, "delay": 1})
            await keyed("hotel")
            await asyncio.gather(*map(keyed, ("car", "train", "ship")))
            await ctx.wait_for_event("go")''')) as daemon:
            daemon.run()
            daemon.next(k="wait")
            steps, key = ["run_1-1", "run_1-2", "run_1-3", "run_1-4"], "run_1-1-rollback"
            self.assertEqual(steps, said(daemon))
            # Of these the first one is on disk when all dies: the rollback has the place of the third.
            hotel = [1, "step", "hotel", "", "ok", None]
            daemon.run(replay=[hotel], attempt=2, cancel=60_000)
            self.assertEqual({"done": ["hotel"]}, daemon.end().value["rollback"])
            self.assertEqual([(3, "rollback hotel")], [(f["o"], f["n"]) for f in daemon.of("cmd") if f["a"] == 2])
            self.assertEqual([*steps, key, key], said(daemon))
            marker = [2, "rollback", "cancelled", "", "ok", {"name": "CancelledError", "message": ""}]
            opened = [3, "step", "rollback hotel", "", "open", None, [6, 0], {"tries": 1}]
            daemon.run(replay=[hotel, marker, opened], attempt=3)
            daemon.next("end", a=3)
            self.assertEqual([*steps, key, key, key], said(daemon))

    def test_a_listener_that_raises_keeps_no_run_from_rolling_back(self):
        with host(HELPERS + agent('''
            async def held(s):
                s.signal.on_abort(lambda reason: 1 / 0)
                s.signal.on_abort(lambda reason: say("told"))
                await asyncio.sleep(1000)
            await book(ctx, "hotel")
            keep = asyncio.ensure_future(ctx.step("open", held))
            await asyncio.sleep(0.01)
            raise ValueError("original")''')) as daemon:
            self.assertEqual({"done": ["hotel"]}, daemon.ended().value["rollback"])
            self.assertEqual(["hotel", "told", "-hotel"], said(daemon))
            daemon.until("it is shown", lambda: "ZeroDivisionError" in daemon.stderr)

    def test_a_cancel_without_rollback_ends_the_rollbacks(self):
        with host(HELPERS + agent('''
            async def held(s):
                say("held")
                await asyncio.sleep(1000)
            await book(ctx, "first")
            await ctx.step("held", lambda: 1, rollback=held)
            raise ValueError("original")''')) as daemon:
            daemon.run()
            daemon.next("cmd", n="rollback held")
            daemon.idle()
            daemon.send({"t": "cancel", "run": "run_1"})
            ended = daemon.end()
            self.assertEqual(("canceled", [], ["first"]), (
                ended.code, ended.value["rollback"]["done"], ended.value["rollback"]["not_run"]))
            self.assertEqual(["first", "held"], said(daemon))

    def test_ctx_works_in_a_rollback_and_not_in_what_the_method_left(self):
        with host(HELPERS + agent('''
            async def undo(s, value):
                await asyncio.sleep(0)
                ctx.db.set("undone", [value, s.name, s.signal.aborted, ctx.signal.aborted])
                try:
                    await ctx.step("nested", lambda: 1)
                except ctx.errors.Error as error:
                    say(error.code)
            async def left():
                try:
                    await asyncio.sleep(1000)
                finally:
                    say("told")
                    ctx.db.set("never", 1)
            await ctx.step("s", lambda: 1, rollback=undo)
            keep = asyncio.ensure_future(ctx.step("open", left))
            await asyncio.sleep(0.01)
            raise ValueError("original")''')) as daemon:
            daemon.answer = lambda op, arguments: None if op == "db.set" else NOTHING
            self.assertEqual({"done": ["s"]}, daemon.ended().value["rollback"])
            self.assertEqual([(0, b'{"key":"undone","value":[1,"rollback s",false,true]}')],
                             [(f["o"], f["body"]) for f in daemon.of("call")])
            self.assertEqual(["told", "nested_step"], said(daemon))

    def test_of_very_many_rollbacks_the_first_thousand_are_told(self):
        with host(agent('''
            for i in range(1002):
                await ctx.step(f"s{i}", lambda: 1, rollback=lambda: 1)
            raise ValueError("original")''')) as daemon:
            done = daemon.ended().value["rollback"]["done"]
            self.assertEqual((1001, "s1001", "s2", "… and 2 more"), (len(done), done[0], done[999], done[1000]))

    def test_what_is_no_rollback_is_refused(self):
        with host(agent('''
            try:
                ctx.step("s", lambda: 1, rollback="undo")
            except ctx.errors.Error as error:
                return [error.code, str(error)]''')) as daemon:
            self.assertEqual(["invalid_step", 'the rollback of step "s" must be a function of (s, value)'],
                             daemon.ended().value)
