"""Joins CommonJS modules into one file, which Node.js loads faster: bundle_js.py FOLDER PROGRAM MAIN APART OUT

OUT/all.js is MAIN with all that it requires by "./name", each once, as functions that are called when they are first required. OUT/PROGRAM.js is
PROGRAM, with APART, which loads all.js, where it requires MAIN. All is ASCII and without lines that are comments: V8 reads that faster.
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


def bare(path):
    """The file without the lines that are comments."""
    lines = path.read_text().splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        if line.count("`") % 2 != 0:
            sys.exit(f"{path}:{number}: a template of several lines: what looks like a comment in it would be gone")
    return ascii_of("".join(line for line in lines if not line.lstrip().startswith("//")))


def main():
    folder, program, first, apart, out = pathlib.Path(sys.argv[1]), sys.argv[2], f"./{sys.argv[3]}", f"./{sys.argv[4]}", pathlib.Path(sys.argv[5])
    waiting, texts = [first], {}
    while waiting:
        name = waiting.pop()
        if name in texts or name == apart:
            continue
        texts[name] = bare(folder / f"{name}.js")
        waiting += re.findall(r"require\('(\./[\w-]+)'\)", texts[name])
    parts = [f"'{name}': (module, require) => {{\n{texts[name]}}},\n" for name in sorted(texts)]
    out.mkdir(parents=True, exist_ok=True)
    (out / "all.js").write_text(f"{HEAD}{''.join(parts)}}};\nload('{first}');\n}})")
    before, call, after = bare(folder / f"{program}.js").partition(f"require('{first}.js');")
    if not call:
        sys.exit(f"{folder / program}.js does not require {first}.js")
    loads = f"module.exports.load(__dirname, (wanted) => (wanted === '{apart}' ? module.exports : require(wanted)));"
    (out / f"{program}.js").write_text(f"{before}{bare(folder / f'{apart}.js')}{loads}{after}")


main()
