"""What cannot be kept is refused, and the refusal says what would be right."""
import unittest

from fake_daemon import agent, host

KINDS = agent('''
    import dataclasses, datetime, decimal, enum, pathlib, uuid
    class Color(enum.Enum):
        RED = 1
    @dataclasses.dataclass
    class Point:
        x: int
    async def coroutine():
        pass
    lost, waits = ctx.step("lost", lambda: 1), coroutine()
    told = []
    for value in (Color.RED, Point(1), decimal.Decimal("1.5"), uuid.UUID(int=1), pathlib.Path("x"), (n for n in ()), lost, waits,
                  object()):
        try:
            await ctx.step("s", lambda: {"a": [value]})
        except ctx.errors.NonSerializableError as error:
            told.append(str(error).partition(" holds ")[2])
        try:
            ctx.db.set("k", {"a": [value]})
        except ctx.errors.NonSerializableError as error:
            told.append(str(error))
    waits.close()
    await lost
    return told''')
EXPECTED = (("a Color", ": use its .value"), ("a Point", ": use dataclasses.asdict(…)"), ("a Decimal", ": use str(…)"),
            ("a UUID", ": use str(…)"), ("a PosixPath", ": use str(…)"), ("a generator", ": go through it, and keep what it gives"),
            ('"lost" of ctx that was not awaited', ": await it"), ("a coroutine that was not awaited", ": await it"), ("an object", ""))


class RefusedTest(unittest.TestCase):
    def test_a_step_and_a_call_of_ctx_say_what_they_cannot_keep_where_it_is_and_what_would_be_right(self):
        expected = []
        for kind, remedy in EXPECTED:
            expected += [f"{kind} at ['a'][0], which cannot be written down{remedy}",
                         f"what ctx.db.set is given is not JSON: it holds {kind} at ['value']['a'][0]{remedy}"]
        with host(KINDS) as daemon:
            self.assertEqual(expected, daemon.ended().value)
            self.assertEqual([], daemon.of("call"))

    def test_what_a_method_returns_is_told_in_the_same_way(self):
        for body, why in (("import decimal\nreturn decimal.Decimal(1)", "it is a Decimal: use str(…)"),
                          ("return {'a': float('nan')}", "Out of range float values are not JSON compliant")):
            with host(agent(body)) as daemon:
                self.assertEqual(f"what main() returns is not JSON: {why}", daemon.ended().value["message"])

    def test_what_was_not_awaited_says_so_where_it_is_used_as_its_value(self):
        uses = ("lost + 1", "1 + lost", "lost['x']", "lost < 1", "lost.stdout")
        for use in uses:
            with self.subTest(use), host(agent(f"lost = ctx.step('lost', lambda: 1)\n{use}")) as daemon:
                error = daemon.ended().value
                self.assertIn(error["name"], ("TypeError", "AttributeError"))
                self.assertTrue(error["message"].startswith('"lost" of ctx was not awaited: await it'), error)
        with host(agent("step = ctx.step('a', lambda: 1)\nreturn [hasattr(step, 'stdout'), await step]")) as daemon:
            self.assertEqual([False, 1], daemon.ended().value)

    def test_a_method_or_a_setup_that_is_a_generator_fails_the_run(self):
        for source, call in (("async def main(ctx):\n    yield 1", "main"), ("def main(ctx):\n    yield 1", "main"),
                             ("async def setup(ctx):\n    yield 1\n\ndef main():\n    pass", "setup")):
            with self.subTest(source), host(source) as daemon:
                daemon.run(setup=True)
                ended = daemon.end()
                self.assertEqual((False, "not_serialisable"), (ended.ok, ended.value["code"]))
                self.assertRegex(ended.value["message"], rf"^{call}\(\) is a generator.*ctx\.stream")


if __name__ == "__main__":
    unittest.main()
