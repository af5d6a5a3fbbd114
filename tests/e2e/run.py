"""Runs the end-to-end promises against real daemons on free ports, each with its own state folder.

Usage: tests/e2e/run.py [--bin build/release/bin] [PATTERN]    e.g. tests/e2e/run.py test_runs
Needs root and a kernel with user namespaces; otherwise all are skipped, and the reason is printed.
"""
import argparse
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


class NamedResult(unittest.TextTestResult):
    """One line a promise; counts what passed."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1

    def getDescription(self, test):
        return f"{test.__class__.__module__}: {getattr(test, '_testMethodName', str(test)).removeprefix('test_').replace('_', ' ')}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=str(HERE.parents[1] / "build/release/bin"))
    parser.add_argument("pattern", nargs="?", default="test_*")
    arguments = parser.parse_args()

    import harness
    harness.BIN = pathlib.Path(arguments.bin).resolve()
    name = arguments.pattern.removesuffix(".py")
    suite = unittest.defaultTestLoader.discover(str(HERE), pattern=f"{name}.py")
    runner = unittest.TextTestRunner(verbosity=2, resultclass=NamedResult)
    result = runner.run(suite)
    leaked = harness.leftovers()
    for what in leaked:
        print(f"left behind: {what}")
    failed = len(result.failures) + len(result.errors) + len(leaked)
    for test, reason in result.skipped:
        print(f"skipped: {result.getDescription(test)}: {reason}")
    print(f"{result.passed} passed, {failed} failed, {len(result.skipped)} skipped")
    return 0 if failed == 0 and result.passed > 0 or len(result.skipped) > 0 and failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
