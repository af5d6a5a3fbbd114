"""Plain data with names: dicts whose members are attributes, too, so that they can be read easily and
returned as they are."""
import re

UPPER = re.compile(r"[A-Z]")
LOWER = re.compile(r"_([a-z])")


class Record(dict):
    def __init__(self, data, **defaults):
        super().__init__(defaults)
        self.update(data)

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def snake_case(name):
    return UPPER.sub(lambda letter: "_" + letter[0].lower(), name)


def camel_case(name):
    return LOWER.sub(lambda letter: letter[1].upper(), name)
