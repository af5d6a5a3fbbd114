"""Requests made from the API's description, some of them wild, find no fault in the server (tests/fuzz/api.py)."""
import os
import pathlib
import random
import subprocess
import sys
import unittest

import harness

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "fuzz"))
import api as fuzz  # noqa: E402

COUNT = 1500


class FuzzTest(unittest.TestCase):
    def test_no_request_is_answered_with_a_fault(self):
        if os.geteuid() != 0:
            self.skipTest("needs root: cells are made of namespaces and mounts")
        daemon = harness.Daemon(*fuzz.options())
        self.addCleanup(daemon.cleanup)
        # Others with each commit, and the same ones where it is tested again.
        commit = subprocess.run(["git", "rev-parse", "--short=7", "HEAD"], cwd=HERE, capture_output=True, text=True).stdout.strip()
        seed = int(commit, 16) if commit else random.SystemRandom().randrange(1 << 32)
        print(f"again with: scripts/fuzz {COUNT} {seed}", flush=True)
        faults, statuses = fuzz.fuzz(daemon, seed, COUNT)
        self.assertEqual([], faults, f"scripts/fuzz {COUNT} {seed}")
        for status in (200, 201, 400, 401, 404):  # It came past the doors.
            self.assertGreater(statuses[status], 0, statuses)
