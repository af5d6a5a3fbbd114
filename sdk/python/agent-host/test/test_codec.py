import datetime
import asyncio
import json
import math
import pathlib
import re
import resource
import sys
import unittest

from fake_daemon import agent, host
from cellar_agent.codec import decode_value, encode_value
from cellar_agent.errors import Error, NonSerializableError, NonRetryableError, from_json, to_json

TYPED_VALUES = pathlib.Path(__file__).resolve().parents[4] / "tests/conformance/typed_values.json"


def again(value, module=None):
    return decode_value(*encode_value(value, "it"), module)


class CodecTest(unittest.TestCase):
    def test_every_kind_of_value_comes_back_as_it_was(self):
        moment = datetime.datetime(2024, 2, 29, 12, 30, 1, 123456, datetime.timezone.utc)
        values = [None, True, 0, 1.5, 1e300, 1.0, "text", "", 2 ** 53 - 1, 2 ** 53, -(2 ** 200), math.inf,
                  -math.inf, moment, b"\x00\xff", [1, None, [2 ** 60]], {"a": {"b": math.inf}},
                  {"$": "bigint", "v": "no number"}, {"deep": [{"$": 1}]}, {1: "a", (2, "b"): {3}},
                  {1, 2, ("a", (1, 2))}, {None: 1, True: 2}, re.compile("a+", re.I | re.S), set(), {}]
        for value in values:
            with self.subTest(value):
                back = again(value)
                self.assertEqual((type(value), value), (type(back), back))
        self.assertTrue(math.isnan(again([math.nan])[0]))
        self.assertEqual(-1.0, math.copysign(1, again(-0.0)))

    def test_the_texts_that_stand_in_journals_for_ever_are_read_and_written(self):
        moment = datetime.datetime(2024, 2, 29, 12, 30, 1, 123000, datetime.timezone.utc)
        values = {
            "undefined": None, "not a number": math.nan, "infinity": math.inf, "minus infinity": -math.inf, "minus zero": -0.0,
            "a large integer": 12345678901234567890, "a negative large integer": -12345678901234567890,
            "a hexadecimal integer": -0xffffffffffffffffff, "a date": moment, "bytes": b"\x00\xff\x80",
            "a buffer": b"\x00\xff\x80", "an array buffer": b"\x00\xff\x80", "a data view": b"\x00\xff\x80",
            "a map": {1: "a", "b": 9007199254740993}, "a set": {1}, "a pattern": re.compile("a+", re.I | re.M),
            "an error": TypeError("bad"), "an object with a $": {"$": "bigint", "v": 1},
            "nested values": {"a": [1, {"b": {math.nan}}], "c": "caf\u00e9"}}
        for row in json.loads(TYPED_VALUES.read_text()):
            with self.subTest(row["name"]):
                # Views of JavaScript are bytes.
                value = values.pop(row["name"]) if row["name"] in values else b"\x01" + bytes(7)
                text = row["text"].encode()
                back = decode_value(text, "typed")
                # Neither an error nor what is no number is equal to another one.
                self.assertEqual((type(value), repr(value)), (type(back), repr(back)))
                if row["name"] == "an error":
                    self.assertEqual(("E7", "TypeError: bad\n    at one"), (back.code, back.stack))
                if "python" in row["written_by"]:
                    self.assertEqual((text, "typed"), encode_value(value, "it"))
        self.assertEqual({}, values)

    def test_what_python_has_in_several_kinds_comes_back_in_one(self):
        zone = datetime.timezone(datetime.timedelta(hours=2))
        for value, back in (((1, 2), [1, 2]), (bytearray(b"x"), b"x"), (memoryview(b"x"), b"x"),
                            (frozenset({1}), {1}), ({"a": (1, {2})}, {"a": [1, {2}]})):
            self.assertEqual((type(back), back), (type(again(value)), again(value)))
        moment = datetime.datetime(2024, 1, 1, tzinfo=zone)
        self.assertEqual(moment, again(moment))

    def test_what_json_has_is_written_as_json_and_the_rest_as_the_table_says(self):
        value = {"a": [1, "x", None, {"b": True}]}
        self.assertEqual((b'{"a":[1,"x",null,{"b":true}]}', "json"), encode_value(value, "it"))
        table = {b"hi": '{"$":"Uint8Array","v":"aGk="}', 2 ** 53: '{"$":"bigint","v":"9007199254740992"}',
                 math.inf: '{"$":"number","v":"Infinity"}'}
        for value, text in table.items():
            self.assertEqual((text.encode(), "typed"), encode_value(value, "it"))
        self.assertEqual(b'{"$":"Set","v":[1]}', encode_value({1}, "it")[0])
        self.assertEqual(b'{"$":"Map","v":[[1,"a"]]}', encode_value({1: "a"}, "it")[0])
        epoch = datetime.datetime.fromtimestamp(1.5, datetime.timezone.utc)
        self.assertEqual(b'{"$":"Date","v":1500}', encode_value(epoch, "it")[0])

    def test_an_integer_may_have_any_size_whoever_wrote_it(self):
        bounds = [10 ** digits + extra for digits in (599, 600, 601, 4300) for extra in (-1, 0, 1)]
        for value in [2 ** 1989, 2 ** 1990, 7 ** 20000, *bounds]:
            for each in value, -value:
                self.assertTrue(each == again(each))
        limit = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(640)  # The least that it can be.
        try:
            self.assertTrue(all(value == again(value) for value in bounds))
        finally:
            sys.set_int_max_str_digits(limit)
        for text, value in (("-5", -5), ("1" + "0" * 99_999, 10 ** 99_999), ("-0xff", -255),
                            ("-1" + "0" * 5000 + "7", -(10 ** 5001 + 7))):
            self.assertTrue(value == decode_value(b'{"$":"bigint","v":"%s"}' % text.encode(), "typed"))
        with host(agent('''
            value = await ctx.step("big", lambda: {"n": 7 ** 20000})
            return value["n"] == 7 ** 20000''')) as daemon:
            self.assertTrue(daemon.ended().value)
            daemon.run(id="again", replay=daemon.recorded())
            self.assertTrue(daemon.end("again").value)

    def test_what_javascript_wrote_is_read(self):
        for text, value in (('{"$":"Buffer","v":"aGk="}', b"hi"), ('{"$":"undefined"}', None),
                            ('{"$":"ArrayBuffer","v":"aGk="}', b"hi"), ('{"$":"number","v":"-0"}', 0.0),
                            ('{"$":"RegExp","v":["a","gi"]}', re.compile("a", re.I))):
            self.assertEqual(value, decode_value(text.encode(), "typed"))

    def test_an_error_in_a_value_keeps_class_text_stack_and_code(self):
        try:
            raise ValueError("bad")
        except ValueError as error:
            error.code = "E7"
            back = again({"error": error})["error"]
        self.assertEqual((ValueError, "bad", "E7"), (type(back), str(back), back.code))
        self.assertIn("test_codec.py", back.stack)

    def test_the_traceback_of_an_error_has_what_it_came_from(self):
        try:
            try:
                {}["key"]
            except KeyError as cause:
                raise ValueError("outer") from cause
        except ValueError as error:
            stack = to_json(error)["stack"]
        self.assertRegex(stack, r"(?s)KeyError: 'key'\n.*direct cause of.*ValueError: outer\n$")
        self.assertEqual(stack, to_json(from_json({"name": "ValueError", "message": "outer", "stack": stack}))["stack"])

    def test_errors_are_of_the_class_that_they_were_where_it_is_known(self):
        class Mine(Exception):
            def __init__(self, one, two):
                super().__init__(f"{one} and {two}")

        class Odd(Exception):
            def __str__(self):
                return "shown so"

        class New(Exception):
            def __new__(cls, one, two):
                return super().__new__(cls, one, two)

            def __init__(self, one, two):
                super().__init__(f"{one} and {two}")

        class ReadOnly(Exception):
            @property
            def code(self):
                return "mine"

            @code.setter
            def code(self, value):
                raise ValueError("code is read only")

            def __setattr__(self, name, value):
                raise TypeError("so is all else")

        module = type(sys)("agent")
        module.Mine, module.Odd, module.New, module.ReadOnly = Mine, Odd, New, ReadOnly
        try:
            open("/none")
        except OSError as error:
            no_file = error
        known = [KeyError("k"), KeyError(5), no_file, Mine(1, 2), Odd("x"), NonRetryableError("n"),
                 New(1, 2), ReadOnly("r"), UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), Error("e", code="c")]
        for error in known:
            with self.subTest(repr(error)):
                back = from_json(to_json(error), module)
                self.assertIsInstance(back, type(error))
                self.assertEqual(str(error), str(back))
                self.assertEqual(to_json(error), to_json(back))
        module.JSONDecodeError = json.JSONDecodeError  # from json import JSONDecodeError
        self.assertIsInstance(from_json({"name": "JSONDecodeError", "message": "no"}, module), ValueError)
        other = from_json(to_json(Mine(1, 2)))
        self.assertEqual((Error, "Mine", "1 and 2"), (type(other), other.name, str(other)))
        self.assertEqual("Mine", to_json(other)["name"])  # However often it is told.
        self.assertIs(Error, type(from_json({"name": "SystemExit", "message": "no"})))
        self.assertIsInstance(from_json(to_json(asyncio.CancelledError("no"))), asyncio.CancelledError)

    def test_of_a_group_of_errors_a_part_is_told_where_it_is_large(self):
        inner = ExceptionGroup("inner", [ValueError("\x01" * 20_000)] * 30)
        told = to_json(ExceptionGroup("\x01" * 100_000, [inner] * 30))
        self.assertLess(len(json.dumps(told)), 1 << 20)
        back = from_json(told)
        self.assertIsInstance(back, ExceptionGroup)
        self.assertEqual("more_errors", back.exceptions[-1].code)
        wide = from_json(to_json(ExceptionGroup("wide", [ValueError("v")] * 30)))
        self.assertEqual((21, "… and 10 more"), (len(wide.exceptions), str(wide.exceptions[-1])))
        deep = ValueError("v")
        for _ in range(8):
            deep = ExceptionGroup("deep", [deep])
        back, levels = from_json(to_json(deep)), 0
        while isinstance(back, ExceptionGroup):
            back, levels = back.exceptions[0], levels + 1
        self.assertEqual((5, "ExceptionGroup"), (levels, back.name))

    def test_an_error_whose_members_cannot_be_read_is_told_without_them(self):
        class Bad(Exception):
            def __str__(self):
                raise ValueError("no text")

            @property
            def code(self):
                raise ValueError("no code")

            @property
            def stack(self):
                raise ValueError("no stack")

        told = to_json(Bad("x"))
        self.assertEqual(("Bad", "<Bad>", False), (told["name"], told["message"], "code" in told))
        named = Error("text")
        named.name, named.code = 5, 10 ** 5000
        self.assertEqual(("Error", "text", False), (*list(to_json(named).values())[:2], "code" in to_json(named)))
        with host(agent('''
            class Bad(Exception):
                code = property(lambda self: 1 / 0)
            def fails():
                raise Bad("it")
            try:
                await ctx.step("s", fails)
            except Exception as error:
                return str(error)''')) as daemon:
            self.assertEqual("it", daemon.ended().value)

    def test_a_pattern_keeps_its_flags_or_is_refused(self):
        for kept in (re.compile("a", re.I | re.S), re.compile("(?x) a # one"), re.compile("(?a)\\w")):
            self.assertEqual((kept.pattern, kept.flags), (again(kept).pattern, again(kept).flags))
        for lost in (re.compile("a b", re.VERBOSE), re.compile("\\w", re.ASCII)):
            with self.assertRaisesRegex(NonSerializableError, "flags"):
                again(lost)

    def test_what_cannot_be_written_down_is_refused_with_its_place(self):
        circle = {"n": {1}}
        circle["circle"] = circle
        naive = datetime.datetime(2024, 1, 1)
        first = datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=5)))
        last = datetime.datetime.max.replace(tzinfo=datetime.timezone.utc)
        for value, why in ((circle, "it holds itself"), (first, "outside of the years"), (last, "outside of the years"), (object(), "it holds an object, which"),
                           ({"a": [1, {"b": {2: len}}]}, r"builtin_function_or_method at \['a'\]\[1\]\['b'\]\[2\]"),
                           (naive, r"without a time zone, which cannot be written down: use datetime.now\(timezone.utc\)$"), (re.compile(b"x"), "pattern of bytes")):
            with self.subTest(why), self.assertRaisesRegex(NonSerializableError, why) as caught:
                encode_value(value, "it")
            self.assertEqual("not_serialisable", caught.exception.code)
        self.assertEqual(b"ace", again(memoryview(b"abcdef")[::2]))
        twice = {1}
        self.assertEqual([twice, twice], again([twice, twice]))  # The same thing twice is no circle.
        deep = []
        for _ in range(200_000):
            deep = [deep]
        with self.assertRaises(NonSerializableError):
            encode_value(deep, "it")

    def test_bytes_that_are_too_many_are_refused_before_they_are_written(self):
        half = bytearray(110 << 20)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for value in ([half, half], {"a": memoryview(half), "b": {1: half}}):
            with self.assertRaisesRegex(Error, r"^it takes more than \d+ bytes as JSON, at most 268435456: .*base64$") as caught:
                encode_value(value, "it")
            self.assertEqual("too_large", caught.exception.code)
        self.assertLess(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 100 << 10)

    def test_a_step_gives_live_what_a_replay_gives(self):
        source = agent('''
            import datetime
            value = await ctx.step("all", lambda: {"bytes": b"hi", "big": 2 ** 70, "of": {(1, 2): {3}},
                "at": datetime.datetime.fromtimestamp(5, datetime.timezone.utc), "pair": (1, 2)})
            step = await ctx.begin_step("half")
            half = step.value if step.done else await ctx.complete_step(step, {1: float("inf")})
            return [value["bytes"].decode(), value["big"] == 2 ** 70, value["of"] == {(1, 2): {3}},
                    value["at"].timestamp(), value["pair"], half == {1: float("inf")}]''')
        expected = ["hi", True, True, 5, [1, 2], True]
        with host(source) as daemon:
            self.assertEqual(expected, daemon.ended().value)
            daemon.run(id="again", replay=daemon.recorded())
            self.assertEqual(expected, daemon.end("again").value)
            self.assertEqual(["typed", "typed"], [frame["c"] for frame in daemon.of("done")])
