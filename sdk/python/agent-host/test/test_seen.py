"""What the code has seen of the world is on disk before it does something with it."""
import json
import os
import unittest
from fake_daemon import agent, host


def keeps(daemon):
    return [(frame.get("k") or frame["op"], frame.get("n"), frame.get("keeps", False))
            for frame in daemon.frames if frame["t"] in ("cmd", "call")]


class SeenTest(unittest.TestCase):
    def test_a_step_behind_a_value_begins_once_that_is_on_disk_and_the_next_one_at_once(self):
        with host(agent('''
            import os
            id = ctx.uuid()
            def pay():
                with open(os.environ["CELLAR_WORK_DIR"] + "/paid", "w") as file:
                    file.write(id)
            await ctx.step("pay", pay)
            await ctx.step("tell", lambda: 1)''')) as daemon:
            daemon.keeps_begins = True
            daemon.run()
            pay = daemon.next(n="pay")
            daemon.idle()
            paid = os.path.join(daemon.work, "paid")
            self.assertFalse(os.path.exists(paid))
            daemon.began(pay)
            daemon.end()
            with open(paid) as file:
                self.assertEqual(json.loads(daemon.of("value")[0]["body"]), file.read())
            self.assertEqual([("step", "pay", True), ("step", "tell", False)], keeps(daemon))

    def test_of_steps_side_by_side_those_that_were_said_before_the_value_do_not_wait(self):
        with host(agent('''
            first = ctx.step("first", lambda: 1)
            ctx.now()
            await asyncio.gather(first, ctx.step("second", lambda: 2))
            await ctx.step("third", lambda: 3)''')) as daemon:
            daemon.keeps_acks = True
            daemon.run()
            daemon.next(t="done", o=3)
            daemon.send({"t": "ack", "run": "run_1", "o": 1})  # It tells nothing of the value.
            daemon.keeps_acks = False
            daemon.send({"t": "ack", "run": "run_1", "o": 3})
            daemon.end()
            self.assertEqual([("step", "first", False), ("step", "second", True), ("step", "third", False)], keeps(daemon))

    def test_commands_and_calls_behind_a_value_say_so_and_a_file_is_written_once_it_is_on_disk(self):
        there = []
        with host(agent('''
            before = ctx.store.read("routes.txt") or ""
            ctx.store.write("routes.txt", before + "r1;")
            ctx.store.write("other.txt", "x")
            ctx.db.get("a")
            await ctx.shell("true")
            ctx.db.set("a", 1)''')) as daemon:
            routes = os.path.join(daemon.work, "routes.txt")
            take = daemon.take

            def look(frame):
                if frame.get("op") == "journal.sync":
                    there.append(os.path.exists(routes))
                take(frame)

            daemon.take = look
            daemon.answer = lambda op, _: {"exit_code": 0, "stdout": "", "stderr": ""} if op == "shell" else None
            daemon.ended()
            self.assertEqual([False], there)
            self.assertEqual([("journal.sync", None, False), ("db.get", "a", False), ("shell", "true", True),
                              ("db.set", "a", True)], keeps(daemon))
            with open(routes) as file:
                self.assertEqual("r1;", file.read())

    def test_what_a_delete_gave_is_on_disk_before_anything_acts_on_it(self):
        with host(agent('''
            if ctx.store.delete("job"):
                await ctx.step("pay", lambda: 1)''')) as daemon:
            (daemon.work / "job").write_text("")
            daemon.ended()
            self.assertEqual([("step", "pay", True)], keeps(daemon))

    def test_values_are_live_what_a_replay_gives(self):
        with host(agent('''
            import enum
            class F(enum.IntEnum):
                B = 2
            return [type(ctx.get_version("v", F.B)).__name__, [ascii(name) for name in ctx.store.list()]]''')) as daemon:
            with open(os.path.join(os.fsencode(daemon.work), b"r\xe9sum"), "w"):  # Latin-1
                pass
            self.assertEqual(["int", ["'r\\ufffdsum'"]], daemon.ended().value)


if __name__ == "__main__":
    unittest.main()
