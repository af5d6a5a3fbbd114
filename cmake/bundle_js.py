"""Joins CommonJS modules into one, which Node.js loads faster: bundle_js.py FOLDER MAIN OUT

OUT is MAIN with all that it requires by "./name", each once, as functions that are called when they are first required.
"""
import pathlib
import re
import sys

HEAD = """'use strict';
// Made of the files of the agent host by cmake/bundle_js.py.
const made = {};
const load = (name) => {
  if (made[name] === undefined) {
    made[name] = { exports: {} };
    modules[name](made[name], (wanted) => (wanted.startsWith('./') ? load(wanted) : require(wanted)));
  }
  return made[name].exports;
};
const modules = {
"""


def main():
    folder, first, out = pathlib.Path(sys.argv[1]), f"./{sys.argv[2]}", pathlib.Path(sys.argv[3])
    waiting, texts = [first], {}
    while waiting:
        name = waiting.pop()
        if name in texts:
            continue
        texts[name] = (folder / f"{name}.js").read_text()
        waiting += re.findall(r"require\('(\./[\w-]+)'\)", texts[name])
    parts = [f"'{name}': (module, require) => {{\n{texts[name]}}},\n" for name in sorted(texts)]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(f"{HEAD}{''.join(parts)}}};\nload('{first}');\n")


main()
