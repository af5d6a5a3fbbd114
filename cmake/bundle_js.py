"""Joins CommonJS modules into one file, which Node.js loads faster: bundle_js.py FOLDER MAIN APART OUT

OUT/all.js is MAIN with all that it requires by "./name", each once, as functions that are called when they are first required. OUT/main.js is APART,
which loads it. All is ASCII: V8 reads that faster.
"""
import pathlib
import re
import sys

HEAD = """(function (require) {
'use strict';
// Made of the files of the agent host by cmake/bundle_js.py.
const made = {};
const load = (name) => {
  if (made[name] === undefined) {
    made[name] = { exports: {} };
    modules[name](made[name], (wanted) => (wanted in modules ? load(wanted) : require(wanted)));
  }
  return made[name].exports;
};
const modules = {
"""


def ascii_of(text):
    """The same JavaScript: outside of comments, all else is in strings, templates and regular expressions."""
    units = text.encode("utf-16-be")
    pairs = (int.from_bytes(units[at:at + 2], "big") for at in range(0, len(units), 2))
    return "".join(chr(unit) if unit < 128 else f"\\u{unit:04x}" for unit in pairs)


def main():
    folder, first, apart, out = pathlib.Path(sys.argv[1]), f"./{sys.argv[2]}", f"./{sys.argv[3]}", pathlib.Path(sys.argv[4])
    waiting, texts = [first], {}
    while waiting:
        name = waiting.pop()
        if name in texts or name == apart:
            continue
        texts[name] = ascii_of((folder / f"{name}.js").read_text())
        waiting += re.findall(r"require\('(\./[\w-]+)'\)", texts[name])
    parts = [f"'{name}': (module, require) => {{\n{texts[name]}}},\n" for name in sorted(texts)]
    out.mkdir(parents=True, exist_ok=True)
    (out / "all.js").write_text(f"{HEAD}{''.join(parts)}}};\nload('{first}');\n}})")
    loader = ascii_of((folder / f"{apart}.js").read_text())
    (out / "main.js").write_text(f"{loader}\nmodule.exports.load(__dirname, (wanted) => (wanted === '{apart}' ? module.exports : require(wanted)));\n")


main()
