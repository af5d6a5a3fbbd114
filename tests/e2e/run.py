"""Runs the end-to-end promises against real daemons on free ports, each with its own state folder.

Usage: tests/e2e/run.py [--bin build/release/bin] [--jobs N] [--part K/N] [PATTERN]    e.g. tests/e2e/run.py test_runs
With --jobs, N files are run at once, each by a process of its own; what a file printed comes when it ended.
With --part, only each Nth test of those that are the same tests again, in gVisor and in Python, from the Kth on.
Needs root and a kernel with user namespaces; otherwise all are skipped, and the reason is printed.
"""
import argparse
import concurrent.futures
import itertools
import pathlib
import re
import subprocess
import sys
import time
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


# The longest files: begun first, so that none of them is alone at the end.
LONGEST = ("test_gvisor", "test_python", "test_many")
# The same as in other files, in another runtime or language, or as another user.
AGAIN = ("test_gvisor", "test_python", "test_rootless")
# Those that look at what the whole machine has, after the others.
ALONE = ("test_doctor", "test_swap")
SHOWN = 12  # files that took longest
COUNTS = re.compile(r"(\d+) passed, (\d+) failed, (\d+) skipped$")


def part_of(suite, part):
    def tests(suite):
        for entry in suite:
            yield from tests(entry) if isinstance(entry, unittest.TestSuite) else (entry,)

    first, step = map(int, part.split("/"))
    return unittest.TestSuite(list(tests(suite))[first::step])


def run_files(arguments):
    """Runs each file of the pattern in a process of its own, some at once."""
    took = {}

    def run(name):
        part = ["--part", arguments.part] if name in AGAIN else []
        start = time.monotonic()
        done = subprocess.run([sys.executable, __file__, "--bin", arguments.bin, *part, name], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace")
        took[name] = time.monotonic() - start
        return done

    names = sorted((path.stem for path in HERE.glob(f"{arguments.pattern.removesuffix('.py')}.py")),
                   key=lambda name: (name not in LONGEST, name))
    passed = failed = skipped = 0
    broken = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        at_once = [pool.submit(run, name) for name in names if name not in ALONE]
        finished = (future.result() for future in concurrent.futures.as_completed(at_once))
        for done in itertools.chain(finished, (run(name) for name in names if name in ALONE)):
            print(done.stdout, end="", flush=True)
            counts = COUNTS.search(done.stdout.rstrip())
            here = [int(count) for count in counts.groups()] if counts else [0, 1, 0]
            if done.returncode != 0:
                here[1] = max(here[1], 1)
                broken.append(done.args[-1])
            passed, failed, skipped = passed + here[0], failed + here[1], skipped + here[2]
    longest = sorted(took, key=took.get, reverse=True)[:SHOWN]
    print("longest: " + ", ".join(f"{name} {took[name]:.0f} s" for name in longest))
    print(f"all files: {passed} passed, {failed} failed, {skipped} skipped" + "".join(f"; see {name}" for name in broken))
    return 0 if failed == 0 and passed + skipped > 0 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=str(HERE.parents[1] / "build/release/bin"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--part", default="0/1", metavar="K/N")
    parser.add_argument("pattern", nargs="?", default="test_*")
    arguments = parser.parse_args()
    if arguments.jobs > 1:
        return run_files(arguments)

    import harness
    harness.BIN = pathlib.Path(arguments.bin).resolve()
    name = arguments.pattern.removesuffix(".py")
    suite = unittest.defaultTestLoader.discover(str(HERE), pattern=f"{name}.py")
    if name in AGAIN:
        suite = part_of(suite, arguments.part)
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
