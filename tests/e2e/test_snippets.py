"""The guide's snippets: commands are run in the order of their page, code and data are read by their language, the rest says why not.

A block is left out where `<!-- not run: why -->` stands above it. `# → text` behind commands is what they print, among other things.
Pages whose snippets have tests of their own are named in THEIRS.
"""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import tomllib

import harness

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs/guide"
THEIRS = {("durable-agents", "js"): "test_guide", ("sdk-js", "js"): "test_sdk_js", ("sdk-python", "python"): "test_sdk_python"}
# What stands for a name of the reader's own.
NAMES = {"my-cell": "dev--alice", "alice-cell-id": "dev--alice", "CELL...": "dev--alice", "key_5f0c…": "$key", "ghp_…": "ghp_0123456789"}
# They go on until somebody ends them.
ENDLESS = re.compile(r"^(cellar (?:dev|logs|files watch|sh|attach) .*)$", re.M)
PREPARE = {
    "agents": "cellar create alice >/dev/null",
    "checkpoints": "cellar create alice >/dev/null",
    "llm": "cellar create alice >/dev/null",
    "files": "cellar create alice >/dev/null; mkdir -p project/src project/build; echo '// TODO' > project/src/a.ts; echo x > project/a.ts; echo x > project/build/x",
    "processes": "id=$(cellar create alice | awk '$1 == \"cell_id\" { print $2 }'); cellar start $id -- true >/dev/null; "
                 "cellar exec $id -- sh -c 'echo {\\\"scripts\\\": {\\\"dev\\\": \\\"sleep 100\\\"}} > package.json'",
    "mcp": "cellar create alice >/dev/null; id=dev--alice",
    "preview": "cellar create alice >/dev/null",
    "secrets": "echo 'module.exports = {}' > agent.js; export OPENAI_API_KEY=sk-0123456789",
    "operating": "cellar create alice >/dev/null; id=dev--alice; key=$(cellar -o json keys create old --scope read | sed 's/.*\"id\":\"\\([^\"]*\\).*/\\1/')",
}


def blocks(page):
    """(line, language, text) of each block that is to be run or read."""
    lines = page.read_text().split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("```"):
            end = lines.index("```", at + 1)
            if not (at > 0 and re.fullmatch(r"<!-- not run: .{10,} -->", lines[at - 1])):
                yield at + 1, line[3:], "\n".join(lines[at + 1:end])
            at = end
        elif line.startswith("    ") and (at == 0 or lines[at - 1] == ""):
            end = next((n for n in range(at, len(lines)) if lines[n] and not lines[n].startswith("    ")), len(lines))
            if not (at > 1 and re.fullmatch(r"<!-- not run: .{10,} -->", lines[at - 2])):
                yield at + 1, "sh", "\n".join(one[4:] for one in lines[at:end])
            at = end - 1
        at += 1


def check_python(text):
    compile(text, "snippet", "exec")


def check_js(text):
    with tempfile.NamedTemporaryFile("w", suffix=".mjs", prefix=harness.PREFIX) as file:
        file.write(text)
        file.flush()
        subprocess.run(["node", "--check", file.name], check=True)


def check_yaml(text):
    """By the Python that the build uses: it has the library."""
    subprocess.run(["/usr/bin/python3", "-c", "import sys, yaml; yaml.safe_load(sys.stdin)"], input=text, text=True, check=True)


READERS = {"json": json.loads, "toml": tomllib.loads, "yaml": check_yaml, "python": check_python, "js": check_js}


class SnippetsTest(harness.CellTest):
    options = ("--run-suspend-after-ms", "50")

    def run_page(self, name, commands):
        """Runs the commands of a page in one shell, each block after the other."""
        for cell in self.daemon.get("/api/v1/cells").json["cells"]:  # Of the page before.
            self.daemon.call("DELETE", f"/api/v1/cells/{cell['cell_id']}")
        script = [PREPARE.get(name, ""), "set -x"]
        for line, text in commands:
            for known, instead in NAMES.items():
                text = text.replace(known, instead)
            script += [f"echo '@@ line {line}'", ENDLESS.sub(r"{ timeout -s INT 0.5 \1\n} </dev/null || true", text)]
        with tempfile.TemporaryDirectory(prefix=harness.PREFIX) as folder:
            done = subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", "\n".join(script)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=harness.WAIT_S * 2, stdin=subprocess.DEVNULL,
                                  env=dict(os.environ, PATH=f"{harness.BIN}:{os.environ['PATH']}", CELLAR_URL=f"http://127.0.0.1:{self.daemon.port}",
                                           CELLAR_API_KEY=self.daemon.key, CELLAR_STATE=str(self.daemon.state)))
        self.assertEqual(0, done.returncode, f"{name}: {done.stdout[-3000:]}")
        printed = dict(part.split("\n", 1) for part in done.stdout.split("\n@@ line ")[1:])
        for line, text in commands:
            for expected in re.findall(r"^# → (.*)$", text, re.M):
                self.assertIn(expected, printed[str(line)], f"{name}:{line}")

    def test_each_snippet_does_what_it_says_or_says_why_it_is_not_run(self):
        for page in sorted(GUIDE.glob("*.md")):
            commands = []
            for line, language, text in blocks(page):
                with self.subTest(page=page.name, line=line):
                    if (page.stem, language) in THEIRS:
                        continue
                    self.assertIn(language, ("sh", *READERS), "a language that nobody reads here")
                    if language == "sh":
                        commands.append((line, text))
                    else:
                        READERS[language](text)
            if commands:
                with self.subTest(page=page.name):
                    self.run_page(page.stem, commands)
