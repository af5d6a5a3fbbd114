#!/usr/bin/env python3
"""Checks the house rules that no compiler checks (CONTRIBUTING.md). Usage: tools/tidy.py [ROOT]

Layers of src/, homes of heavy headers, system calls only in sys, sizes, no brace in a co_await
statement, asio::detached, TODO marks, documents' links. Prints FILE:LINE: WHAT, exits 1 if any.
"""
import pathlib
import re
import subprocess
import sys

# A module may include only modules named here; testing is open to every *_test.cc.
LAYERS = {
    "base": [],
    "testing": [],
    "sys": ["base"],
    "async": ["base"],
    "json": ["base"],
    "wire": ["base", "json"],
    "journal": ["base", "sys"],
    "store": ["base", "sys", "json"],
    "search": ["base"],
    "sandbox": ["base", "sys", "wire"],
    "image": ["base", "sys", "json"],
    "doctor": ["base", "sys", "sandbox", "image"],
    "net": ["base", "sys", "async"],
    "certificates": ["base", "sys", "async", "json", "net"],
    "http": ["base", "async", "net"],
    "audit": ["base", "sys", "json"],
    "llm": ["base", "async", "json", "net"],
    "diff": ["base"],
    "checkpoint": ["base", "sys", "json", "diff"],
    "cell": ["base", "sys", "async", "json", "wire", "journal", "store", "search", "sandbox", "image", "net", "llm", "diff", "checkpoint"],
    "api": ["base", "sys", "async", "json", "wire", "journal", "search", "net", "llm", "certificates", "audit", "diff", "checkpoint", "cell", "http"],
    "daemon": ["base", "sys", "async", "json", "sandbox", "wire", "doctor", "net", "llm", "certificates", "audit", "cell", "api", "http"],
    "spawn": ["base", "sys", "wire", "sandbox"],
    "init": ["base", "sys", "wire", "sandbox"],
    "cli": ["base", "sys", "json", "wire", "image", "doctor", "http", "audit"],
}
# Headers with one home: (pattern, where it may be included).
HOMES = [
    (r"<boost/beast", r"^(src/http/(\w+\.cc|stream\.h)|bench/hello_server\.cc)$"),
    (r"<boost/json", r"^src/json/\w+\.cc$"),
    (r"<(openssl/(ssl|x509v3|pem)|boost/asio/ssl)", r"^src/net/tls\w*\.(h|cc)$"),
    (r"<sqlite3\.h>", r"^src/store/\w+\.cc$"),
    (r"<spdlog/", r"^src/base/log\.cc$"),
    (r"<seccomp\.h>", r"^src/sandbox/filter_(program|test)\.cc$"),
    (r"<re2/", r"^src/search/regex\.cc$"),
    (r"<curl/", r"^src/cli/\w+\.(h|cc)$"),
    (r"<CLI/", r"^src/((cli|daemon)/\w+\.cc|base/option_values\.\w+)$"),
]
LINES_MAX = 600
COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70
BANNED = [
    (r"\basio::detached\b", "use async::TaskGroup"),
    (r"\busing namespace std\b", "write std::"),
    (r"\bunordered_(map|set)<std::string", "names from a cell can be made to collide: std::map or std::set"),
    (r"\b(TODO|FIXME|XXX)\b", "open an issue instead"),
]


def check_source(name, text):
    """All findings in one C++ file, as (line number, what)."""
    lines = text.split("\n")
    module = name.split("/")[1] if name.startswith("src/") else None
    is_test = name.endswith("_test.cc")
    if len(lines) - 1 > LINES_MAX:
        yield LINES_MAX, f"{len(lines) - 1} lines, at most {LINES_MAX}"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX and "http" not in line:
            yield number, f"{len(line)} columns, at most {COLUMNS_MAX}"
        if line != line.rstrip():
            yield number, "space at the end of the line"
        include = re.match(r'#include "(\w+)/', line)
        if include and module in LAYERS and include[1] in LAYERS:
            other = include[1]
            allowed = other == module or other in LAYERS[module] or (is_test and other == "testing")
            if not allowed:
                yield number, f"module {module} must not include {other}"
        for pattern, home in HOMES:
            if re.search("#include " + pattern, line) and not re.match(home, name):
                yield number, f"{line.split()[1]} may be included only in {home}"
        for pattern, remedy in BANNED:
            if re.search(pattern, line):
                yield number, f"{re.search(pattern, line)[0]}: {remedy}"
    yield from check_co_await(text)
    yield from check_function_length(lines)


def check_co_await(text):
    """docs/adr/0004: between co_await and its semicolon there is no brace."""
    clean = re.sub(r"//[^\n]*", "", text)
    clean = re.sub(r'"(\\.|[^"\\\n])*"', '""', clean)
    for match in re.finditer(r"\bco_await\b", clean):
        depth, at = 0, match.end()
        while at < len(clean) and clean[at] != ";":
            if clean[at] == "(":
                depth += 1
            elif clean[at] == ")":
                depth -= 1
                if depth < 0:
                    break
            elif clean[at] == "{":
                yield clean.count("\n", 0, match.start()) + 1, (
                    "a brace between co_await and its semicolon: name the value first")
                break
            at += 1


def check_function_length(lines):
    """A function body, as clang-format lays it out: opened at the margin, closed at the margin."""
    start = None
    for number, line in enumerate(lines, 1):
        if re.match(r"^\S.*\) ?(const)? ?(noexcept)? ?\{$", line) and not line.startswith("namespace"):
            start = number
        elif line == "}" and start is not None:
            if number - start > FUNCTION_LINES_MAX:
                yield start, f"a function of {number - start} lines, at most {FUNCTION_LINES_MAX}"
            start = None


def check_links(root, name, text):
    """Every relative link of a document leads somewhere."""
    for number, line in enumerate(text.split("\n"), 1):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", line):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not (root / pathlib.Path(name).parent / target).exists():
                yield number, f"a link that leads nowhere: {target}"


def check_modules(root):
    """ARCHITECTURE.md names every folder of src/."""
    architecture = root / "ARCHITECTURE.md"
    if not architecture.exists():
        return
    text = architecture.read_text()
    for folder in sorted((root / "src").iterdir()):
        if folder.is_dir() and f"`{folder.name}`" not in text:
            yield "ARCHITECTURE.md", 1, f"does not name `{folder.name}`"
        if folder.is_dir() and folder.name not in LAYERS:
            yield f"src/{folder.name}", 1, "is in no layer"


def main(root):
    tracked = subprocess.run(["git", "ls-files"], cwd=root, check=True, capture_output=True,
                             text=True).stdout.split("\n")
    found = list(check_modules(root))
    for name in filter(None, tracked):
        path = root / name
        if not path.is_file():
            continue
        if name.endswith((".h", ".cc")):
            found += [(name, *row) for row in check_source(name, path.read_text())]
        elif name.endswith(".md"):
            found += [(name, *row) for row in check_links(root, name, path.read_text())]
    for name, number, what in found:
        print(f"{name}:{number}: {what}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
