"""Values made from a schema: right ones, ones that are wrong in one place, and wild ones."""
import copy
import json
import math

WORDS = ["", "a", "x" * 64, "x" * 257, "x" * 5000, "0", "-1", "null", "true", "../..", "/", "/etc/passwd", "a/../b", "a//b", ".", "..", "%2e%2e",
         "a b", "ä", "日本語", "\U0001f600", "e\u0301", "\u202eabc", "\ufeff", "\ufffd", "\u2028", "a\x00b", "a\nb", "a\r\nb: c", "\x7f", "\x1b[31m", "'", '"',
         "\\", "$(id)", "`id`", "{{7*7}}", "%s%n", "*", "**/*", "[a-", "(", "a{9999}", "(a*)*b", "{a,{b,{c", "-rf", "--", "*.example.com", "example.com",
         "localhost:1", "1.2.3.4:70000", "[::1]:1", "http://x", "bytes=0-", "2026-01-01T00:00:00Z", "9999-99-99T99:99:99Z", "cellar_pct_x.y.z"]
NUMBERS = [0, 1, -1, 2, 10, 63, 64, 100, 1000, 65535, 65536, 2**31 - 1, 2**31, -2**31, 2**32, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -2**63, 2**64 - 1,
           2**64, 10**30, 0.5, -0.0, 1e-300, 1e300, 1.5e308]
# What is no JSON for Python, put in where the text has one of these names.
TEXTS = {'"@nan@"': "NaN", '"@infinite@"': "1e999", '"@long@"': "1" * 400, '"@plus@"': "+1", '"@hex@"': "0x10", '"@lone@"': '"\\ud800"', '"@leading@"': "007"}
DEEP = 2000


class Values:
    """All by one random number generator, so that a seed gives the same ones again."""

    def __init__(self, random, resolve, known):
        """`resolve` follows references; `known` gives what fits a field's name (a list), or None."""
        self.random, self.resolve, self.known = random, resolve, known

    def text(self):
        if self.random.random() < 0.7:
            return self.random.choice(WORDS)
        return "".join(chr(self.random.choice((self.random.randrange(32, 127), self.random.randrange(0xd800), self.random.randrange(0xe000, 0x110000))))
                       for _ in range(self.random.randrange(20)))

    def right(self, schema, name=""):
        """A value that the schema takes, as far as it says so."""
        schema = self.resolve(schema)
        if "allOf" in schema:
            whole = {}
            for part in schema["allOf"]:
                whole.update(self.right(part, name))
            return whole
        if "oneOf" in schema:
            return self.right(self.random.choice(schema["oneOf"]), name)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.random.choice(self.known(name) or schema["enum"])
        kinds = schema.get("type")
        kind = self.random.choice(kinds) if isinstance(kinds, list) else kinds
        return getattr(self, f"right_{kind or 'any'}")(schema, name)

    def right_any(self, schema, name):
        known = self.known(name)
        return self.random.choice(known) if known else self.random.choice([None, True, 7, "text", {}, {"a": [1, {"b": None}]}, []])

    def right_null(self, schema, name):
        return None

    def right_boolean(self, schema, name):
        return self.random.random() < 0.5

    def right_integer(self, schema, name):
        known = self.known(name)
        if known and self.random.random() < 0.8:
            return self.random.choice(known)
        least = schema.get("minimum", -1000)
        most = schema.get("maximum", max(least, 0) + 2**20)
        return self.random.choice([least, most, self.random.randint(least, most), min(most, least + 1), min(most, max(least, 100))])

    def right_number(self, schema, name):
        return self.random.choice([0, 0.5, 1])

    def right_string(self, schema, name):
        known = self.known(name)
        if known and self.random.random() < 0.9:
            return self.random.choice(known)
        text = self.random.choice(schema["examples"]) if "examples" in schema else self.text()
        least, most = schema.get("minLength", 0), schema.get("maxLength", 100000)
        return (text + "x" * least)[:most] if len(text) < least or len(text) > most else text

    def right_array(self, schema, name):
        least, most = schema.get("minItems", 0), schema.get("maxItems", 1000)
        count = min(most, least + self.random.choice([0, 1, 1, 2, 3]))
        return [self.right(schema.get("items", {}), name) for _ in range(count)]

    def right_object(self, schema, name):
        value = {}
        for field, of in schema.get("properties", {}).items():
            if field in schema.get("required", []) or self.random.random() < 0.4:
                value[field] = self.right(of, field)
        more = schema.get("additionalProperties")
        if isinstance(more, dict) and not value:
            for _ in range(self.random.choice([0, 1, 2])):
                value[self.random.choice(["A", "TOKEN", "memory_bytes", "pids", self.text()])] = self.right(more, name)
        return value

    def wild(self, depth=0):
        """Anything that JSON can say, and some that it cannot."""
        pick = self.random.random()
        if depth > 4 or pick < 0.5:
            return self.random.choice([None, True, False, self.random.choice(NUMBERS), self.text(), [], {}, self.random.choice(list(TEXTS))[1:-1]])
        if pick < 0.75:
            return [self.wild(depth + 1) for _ in range(self.random.randrange(5))]
        return {self.text(): self.wild(depth + 1) for _ in range(self.random.randrange(5))}

    def almost(self, schema, name=""):
        """A right value that was made wrong in one place."""
        value = copy.deepcopy(self.right(schema, name))
        at, holder, key = value, None, None
        while isinstance(at, (dict, list)) and at and (holder is None or self.random.random() < 0.6):
            holder, key = at, self.random.choice(list(at) if isinstance(at, dict) else range(len(at)))
            at = holder[key]
        wrong = self.wrong(at)
        if holder is None:
            return wrong
        change = self.random.random()
        if change < 0.15 and isinstance(holder, dict):
            del holder[key]
        elif change < 0.3 and isinstance(holder, dict):
            holder[self.text()] = wrong
        elif change < 0.4 and isinstance(holder, list):
            holder.extend([at] * self.random.choice([1, 40, 300]))
        else:
            holder[key] = wrong
        return value

    def wrong(self, value):
        if isinstance(value, bool) or value is None or self.random.random() < 0.3:
            return self.wild(3)
        if isinstance(value, (int, float)):
            return self.random.choice([value - 1, value + 1, -value, value + 0.5, value * 2**32, str(value), self.random.choice(NUMBERS)])
        if isinstance(value, str):
            return self.random.choice([value + "\x00", value * 300, value[:-1], value.upper(), value + "ä", [value], self.text()])
        return self.random.choice([self.wild(), json.dumps(value)])

    def dump(self, value):
        """Bytes of JSON; numbers and escapes that Python does not write are put in."""
        text = json.dumps(value, ensure_ascii=self.random.random() < 0.5, allow_nan=True)
        if "@" in text:
            for name, instead in TEXTS.items():
                text = text.replace(name, instead)
        return text.encode("utf-8", "surrogatepass")

    def wild_body(self):
        """Bytes, mostly with something of JSON in them."""
        pick = self.random.random()
        if pick < 0.4:
            return self.dump(self.wild())
        if pick < 0.5:
            opening, closing = self.random.choice([("[", "]"), ('{"a":', "}")])
            return (opening * DEEP + "1" + closing * self.random.choice([0, DEEP])).encode()
        if pick < 0.7:
            return self.broken(self.dump(self.wild()))
        if pick < 0.8:
            return self.random.randbytes(self.random.randrange(2000))
        if pick < 0.85:
            return b'{"cmd":"true","cmd":"false"}' + self.random.choice([b"", b"{}", b"\x00", b"  \n"])
        return self.random.choice([b"", b" ", b"\xef\xbb\xbf{}", b"null", b"[]", b'"\xff\xfe"', b'{"a":"' + b"x" * 200000 + b'"}',
                                   b"[" + b"1," * 20000 + b"1]", b"{" + b",".join(b'"k%d":%d' % (i, i) for i in range(5000)) + b"}"])

    def broken(self, body):
        """The bytes with some of them gone, doubled or changed."""
        body = bytearray(body)
        for _ in range(self.random.choice([1, 1, 2, 5])):
            at = self.random.randrange(len(body) + 1)
            pick = self.random.randrange(3)
            if pick == 0:
                del body[at:at + self.random.randrange(1, 10)]
            elif pick == 1:
                body[at:at] = body[at:at + 5]
            elif body:
                body[min(at, len(body) - 1)] = self.random.randrange(256)
        return bytes(body)

    def some(self, schema, name=""):
        """Of a schema: right, almost right or wild, as the dice say."""
        pick = self.random.random()
        return self.right(schema, name) if pick < 0.6 else self.almost(schema, name) if pick < 0.9 else self.wild()


def as_text(value):
    """A value as the text that a path, a query or a header has."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and (math.isinf(value) or value == int(value)):
        return repr(value)
    return value if isinstance(value, str) else json.dumps(value)
