"""The SDK for Python, sdk/python/client: the cases that hold for all SDKs, and the snippets of its guide, by both of its clients."""
import contextlib
import io
import json
import os
import pathlib
import re
import sys
from unittest import mock

import harness
from test_domains import NameServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "sdk/python/client"), str(ROOT / "sdk/python/client/test")]

import conformance  # noqa: E402

PAGE = ROOT / "docs/guide/sdk-python.md"
SAID = ("{'done': True}", "completed", "print('hello')", "stdout one", "stderr two", "exit 0", "got this", "30 100", "\n4\n", "paused",
        "404 cell_not_found", "{'greeting': 'Ada'}")
DOCUMENT = json.loads((ROOT / "tests/conformance/cases.json").read_text())


class PythonSdkTest(harness.CellTest):
    @classmethod
    def setUpClass(cls):
        dns = NameServer()
        cls.addClassCleanup(dns.close)
        cls.options = ("--preview-domain", "cells.example.com", "--name-server", dns.address)
        super().setUpClass()
        cls.url = f"http://127.0.0.1:{cls.daemon.port}"
        worlds = {"threads": conformance.Threads(), "asyncio": conformance.Loop()}
        cls.runners = {name: conformance.Runner(world, cls.url, harness.KEY, DOCUMENT) for name, world in worlds.items()}
        for runner in cls.runners.values():
            cls.addClassCleanup(runner.close)

    def check(self, world, case):
        try:
            self.runners[world].run(case)
        except conformance.Skipped as reason:
            self.skipTest(str(reason))

    def test_the_snippets_of_the_guide_do_what_it_says(self):
        snippets = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
        names, said = {}, io.StringIO()
        with mock.patch.dict(os.environ, CELLAR_URL=self.url, CELLAR_API_KEY=harness.KEY), contextlib.redirect_stdout(said):
            for snippet in snippets:
                exec(compile(snippet, str(PAGE), "exec"), names)
        for text in SAID:
            self.assertIn(text, said.getvalue())


def test_of(world, case):
    return lambda self: self.check(world, case)


for number, one_case in enumerate(DOCUMENT["cases"]):
    for world_name in ("threads", "asyncio"):
        slug = re.sub(r"\W+", "_", one_case["name"]).strip("_")
        setattr(PythonSdkTest, f"test_{number:02}_{world_name}_{slug}", test_of(world_name, one_case))
