"""The SDK for Python, sdk/python/client: the cases that hold for all SDKs, and the snippets of its guide, by both of its clients."""
import json
import pathlib
import re
import sys

import harness
from test_domains import NameServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "sdk/python/client"), str(ROOT / "sdk/python/client/test")]

import conformance  # noqa: E402

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


def test_of(world, case):
    return lambda self: self.check(world, case)


for number, one_case in enumerate(DOCUMENT["cases"]):
    for world_name in ("threads", "asyncio"):
        slug = re.sub(r"\W+", "_", one_case["name"]).strip("_")
        setattr(PythonSdkTest, f"test_{number:02}_{world_name}_{slug}", test_of(world_name, one_case))
