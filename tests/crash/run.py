#!/usr/bin/env python3
"""Ends agent, cell and daemon at every fault point of a run, and searches the states of a simulated disk.

Usage: tests/crash/run.py [--bin DIR] [--seed N] [--seconds S] [--only NAME]

Without --seconds it runs the slice that belongs to every change. With it, everything (each point, each time that it is
reached, each victim), and then random states until the time is over. Prints what was broken with the words that repeat
it, and `N states, M kills, L lost, R repeated`. Needs root for all but the disk; docs/internals/crash-tests.md says
what is covered. --only repeats one state: POINT:OCCURRENCE:VICTIM[,POINT:OCCURRENCE:VICTIM…], PLACE:itself where the agent ends
itself, python: and one of these of the agent in Python, model:SEED, control:SEED, llm:POINT:…, wide:POINT:…, rollback:fails|cancels|races:…
(rollback.py), steering:… (steering.py), retention:… (retention.py) or sleep:… (sleep.py). --sleeps N runs N rounds of pause, resume,
hibernation and resume, killed at every point of them, and nothing else.
"""
import argparse
import collections
import itertools
import os
import pathlib
import random
import subprocess
import sys
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import canonical  # noqa: E402
import model  # noqa: E402
import retention  # noqa: E402
import rollback  # noqa: E402
import sleep  # noqa: E402
import steering  # noqa: E402
from canonical import Broken, Cells  # noqa: E402
from faulty import VICTIMS, Fault, FaultyDaemon, harness  # noqa: E402

DISK_STATES = 1_000_000  # in the slice of every change
MODELS = {"model": 12, "control": 6}
# Points at which a call to the disk is about to be made, and what it may answer.
DISK_POINTS = ("journal.before_write", "journal.before_sync", "segment.before_write", "segment.before_sync",
               "segment.before_rename", "segment.before_names_sync", "spare.before_create", "spare.before_write",
               "spare.before_sync", "spare.before_rename", "blob.before_write", "blob.before_sync", "blob.before_rename",
               "blob.before_names_sync")
ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EROFS")
# Where a daemon is killed so that its recovery can be interrupted: in the run's record, between a step's end and its
# acknowledgement, between a segment and its name, in a blob, with an event that was acknowledged, at the end.
BEFORE_RECOVERY = (("run.created", 1), ("journal.before_sync", 6), ("step.before_ack", 3), ("segment.before_rename", 1),
                   ("blob.before_rename", 1), ("wait.ended", 2), ("run.ended", 2))
DEPTH_MAX = 3
LANGUAGES = tuple(canonical.AGENTS)


class Work:
    """What is to be tried, and what came of it. States are (name, function of the cells that tries it)."""

    def __init__(self, end=None):
        self.waiting, self.end, self.lock = collections.deque(), end, threading.Lock()
        self.states, self.kills, self.broken = 0, 0, collections.Counter()
        self.met = set()

    def add(self, name, attempt):
        self.waiting.append((name, attempt))

    def next(self):
        with self.lock:
            over = self.end is not None and time.monotonic() > self.end
            return None if over or not self.waiting else self.waiting.popleft()

    def note(self, trial):
        with self.lock:
            self.states += 1
            self.kills += trial.kills
            self.met |= {fault.point for fault in trial.happened}

    def note_broken(self, name, error):
        with self.lock:
            self.states += 1
            kind = error.kind if isinstance(error, Broken) else "lost"
            self.broken[kind] += 1
            print(f"broken: tests/crash/run.py --only {name}: {error}", flush=True)
            if not isinstance(error, (Broken, AssertionError)):
                traceback.print_exception(error)


class Worker(threading.Thread):
    """One daemon, one agent's cells, one state after the other."""

    def __init__(self, work, number, source):
        super().__init__()
        self.work, self.number, self.source = work, number, source

    def run(self):
        daemon = FaultyDaemon()
        cells = Cells(daemon, f"w{self.number}")
        while (state := self.work.next() or self.source()) is not None:
            name, attempt = state
            try:
                self.work.note(attempt(cells))
            except Exception as error:  # Reported with what repeats it; the next state begins anew.
                self.work.note_broken(name, error)
                self.show(daemon)
                cells.forget()
                if daemon.process.poll() is None:
                    daemon.kill()
                daemon.plan()
                daemon.start()
        daemon.cleanup()

    def show(self, daemon):
        with self.work.lock:
            lines = [line for line in daemon.log().splitlines() if "default image" not in line]
            print("\n".join("    " + line for line in lines[-8:]), flush=True)


def text_of(faults):
    return ",".join(map(str, faults))


def named(name, language):
    return f"python:{name}" if language == "python" else name


def add_state(work, *faults, twice=False, language="javascript"):
    work.add(named(text_of(faults), language), lambda cells: canonical.run_state(cells, faults, twice, language=language))


def reference(*faults, language="javascript"):
    """The points that a run reaches behind these faults, in order, and how often each."""
    daemon = FaultyDaemon()
    try:
        cells = Cells(daemon, "reference")
        trial = canonical.run_state(cells, faults, fresh=True, language=language)
        return collections.Counter(trial.hits)
    finally:
        daemon.cleanup()


def add_every_kill(work, choose, language="javascript"):
    """Every point, every occurrence, every victim, or those that `choose` leaves of them."""
    points = reference(language=language)
    for point, count in sorted(points.items()):
        for victim in VICTIMS:
            for occurrence in choose(point, victim, count):
                twice = victim == "daemon" and occurrence == 1
                add_state(work, Fault(point, occurrence, victim), twice=twice, language=language)
    return set(points)


def add_each_point(work, rng, language):
    """Every point, with one of the victims at one of the times."""
    for point, count in sorted(reference(language=language).items()):
        add_state(work, Fault(point, rng.randint(1, count), rng.choice(VICTIMS)), language=language)


def death_state(place, language="javascript"):
    return named(f"{place}:itself", language), lambda cells: canonical.run_state(cells, (), die=place, language=language)


def add_deaths(work, language="javascript", choose=lambda all: all):
    for place in choose(canonical.DEATHS):
        work.add(*death_state(place, language))


def add_rollbacks(work, choose=lambda all: all):
    for name, attempt in rollback.states(choose):
        work.add(name, attempt)


def add_steerings(work, choose=lambda all: all):
    for name, attempt in steering.states(choose):
        work.add(name, attempt)


def add_trims(work):
    for name, attempt in retention.states():
        work.add(name, attempt)


def add_sleeps(work):
    for name, attempt in sleep.states():
        work.add(name, attempt)


def faults_of(text):
    return [Fault(point, int(occurrence), victim) for point, occurrence, victim in (part.split(":") for part in text.split(","))]


def llm_state(faults):
    return f"llm:{text_of(faults)}", lambda cells: model.llm_state(cells, faults)


def add_llm_calls(work, choose=lambda all: all):
    """Every point of a model's call, each time that it is reached, every victim, or those that `choose` leaves of a point."""
    for point in model.LLM_POINTS:
        for victim, occurrence in choose(list(itertools.product(VICTIMS, range(1, model.LLM_CALLS + 1)))):
            work.add(*llm_state([Fault(point, occurrence, victim)]))


def wide_state(faults):
    return f"wide:{text_of(faults)}", lambda cells: model.wide_state(cells, faults)


def add_many_at_once(work, rng, choose=lambda all: all):
    """Killed when so many of the steps at once have ended, and once more in what is left of them."""
    for number in choose(range(1, model.BRANCHES + 1)):
        second = Fault("step.ended", rng.randint(1, max(1, model.BRANCHES - number)), rng.choice(VICTIMS))
        work.add(*wide_state([Fault("step.ended", number, rng.choice(VICTIMS)), second]))


def add_every_kill_of_a_rollback(work):
    for ends in ("fails", "cancels"):
        daemon = FaultyDaemon()
        try:
            points = collections.Counter(rollback.run_state(Cells(daemon, "reference"), ends).hits)
        finally:
            daemon.cleanup()
        # Before it ends, steps are executed again as they are in the canonical run.
        for point, count in sorted(points.items()):
            if point.startswith(("cancel.", "rollback.", "run.before_end", "run.ended")):
                for victim, occurrence in itertools.product(VICTIMS, range(1, count + 1)):
                    work.add(*rollback.state(ends, f"{point}:{occurrence}:{victim}"))


def add_disk_errors(work, rng, count):
    for point in DISK_POINTS:
        for error in ERRORS[:count]:
            occurrence = rng.randint(1, 12) if point.startswith("journal.") else 1
            add_state(work, Fault(point, occurrence, error))


def add_kills_in_recovery(work, rng, befores):
    """The daemon is killed, and again at each point of its recovery, and then a third time."""
    points = set()
    for point, occurrence in befores:
        first = Fault(point, occurrence, "daemon")
        again = list(reference(first))
        points |= set(again)
        for second in again:
            third = Fault(rng.choice(again), 1, rng.choice(VICTIMS))
            add_state(work, first, Fault(second, 1, "daemon"), third)
    return points


def model_state(kind, seed, points):
    """`kind`: "model", or "control" for one whose run may also be paused, resumed or cancelled."""
    return f"{kind}:{seed}", lambda cells: model.run_state(cells, seed, points, control=kind == "control")


def random_state(rng, points):
    kind = rng.choice(("model", "control", "kills", "kills"))
    if kind != "kills":
        return model_state(kind, rng.randrange(1 << 30), points)
    faults = [Fault(rng.choice(points), rng.randint(1, 12) if n == 0 else 1, rng.choice(VICTIMS))
              for n in range(rng.randint(1, DEPTH_MAX))]
    language = rng.choice(LANGUAGES)
    return named(text_of(faults), language), lambda cells: canonical.run_state(cells, faults, language=language)


def carry_out(work, source=lambda: None, count=os.cpu_count()):
    workers = [Worker(work, number, source) for number in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def start_disk(arguments, seed, number, count):
    program = arguments.bin.parent / "test/disk_states"
    how = ["--seconds", str(arguments.seconds)] if arguments.seconds else ["--states", str(DISK_STATES // count)]
    # A campaign is about both, and this one takes every processor that it can get.
    return subprocess.Popen(["nice", program, *how, "--seed", str(seed + number), "--step", str(count)],
                            stdout=subprocess.PIPE, text=True)


def wait_for_disk(processes):
    """Their states, and whether all kept their promise."""
    states, good = 0, True
    for process in processes:
        out, _ = process.communicate()
        lines = out.splitlines()
        good = good and process.returncode == 0
        if process.returncode != 0:
            print("\n".join(lines), flush=True)
        states += int(lines[-1].split()[0])
    return states, good


def repeat(name):
    work = Work()
    language = "python" if name.startswith("python:") else "javascript"
    name = name.removeprefix("python:")
    if name.startswith(("model:", "control:")):
        kind, seed = name.split(":")
        work.add(*model_state(kind, int(seed), model.POINTS + model.LLM_POINTS))
    elif name.startswith("rollback:"):
        work.add(*rollback.state(*name.split(":", 2)[1:]))
    elif name.startswith("llm:"):
        work.add(*llm_state(faults_of(name.removeprefix("llm:"))))
    elif name.startswith("wide:"):
        work.add(*wide_state(faults_of(name.removeprefix("wide:"))))
    elif name.startswith("steering:"):
        _, kind, faults = name.split(":", 2)
        work.add(*steering.state(kind, faults_of(faults)))
    elif name.startswith("sleep:"):
        work.add(*sleep.state(faults_of(name.removeprefix("sleep:"))))
    elif name.startswith("retention:"):
        work.add(*retention.state(faults_of(name.removeprefix("retention:"))))
    elif name.endswith(":itself"):
        work.add(*death_state(name.removesuffix(":itself"), language))
    else:
        add_state(work, *faults_of(name), language=language)
    carry_out(work, count=1)
    return work


def slice_of_a_change(seed):
    """Each point with each victim, another time each, the daemon also at the first; in Python one of these; the recovery of one kill."""
    work, rng = Work(), random.Random(seed)

    def choose(point, victim, count):
        if point == "call.done" and victim == "daemon":
            return range(1, count + 1)  # Each is another call of the database.
        return {1, rng.randint(1, count)} if victim == "daemon" else {rng.randint(1, count)}

    add_every_kill(work, choose)
    add_deaths(work)
    add_each_point(work, rng, "python")
    add_deaths(work, "python", lambda all: rng.sample(all, 3))
    add_rollbacks(work, lambda all: [rng.choice(all)])
    add_steerings(work, lambda all: [rng.choice(all)])
    add_trims(work)
    add_sleeps(work)
    add_llm_calls(work, lambda all: [rng.choice(all)])
    add_many_at_once(work, rng, lambda all: rng.sample(all, 4))
    add_disk_errors(work, rng, 1)
    add_kills_in_recovery(work, rng, [rng.choice(BEFORE_RECOVERY)])
    for kind, count in MODELS.items():
        for number in range(count):
            work.add(*model_state(kind, seed * 1000 + number, model.POINTS + model.LLM_POINTS))
    carry_out(work)
    return work


def campaign(seed, seconds):
    """Everything once, in an order that the seed decides, and then whatever comes."""
    work, rng = Work(time.monotonic() + seconds), random.Random(seed)
    points = set()
    for language in LANGUAGES:
        points |= add_every_kill(work, lambda point, victim, count: range(1, count + 1), language)
        add_deaths(work, language)
    add_rollbacks(work)
    add_steerings(work)
    add_trims(work)
    add_sleeps(work)
    add_llm_calls(work)
    add_many_at_once(work, rng)
    add_every_kill_of_a_rollback(work)
    add_disk_errors(work, rng, len(ERRORS))
    points |= add_kills_in_recovery(work, rng, BEFORE_RECOVERY)
    rng.shuffle(work.waiting)
    points = sorted(points | set(model.POINTS + model.LLM_POINTS))

    def source():
        with work.lock:
            return None if time.monotonic() > work.end else random_state(rng, points)

    carry_out(work, source)
    return work


def sleeps(seed, rounds):
    work = Work()
    for name, attempt in itertools.islice(sleep.every_state(random.Random(seed)), -(-rounds // sleep.ROUNDS)):
        work.add(name, attempt)
    carry_out(work)
    return work


def left_behind():
    leaked = harness.leftovers()
    for what in leaked:
        print(f"left behind: {what}")
    return leaked


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=HERE.parents[1] / "build/release/bin")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--only")
    parser.add_argument("--sleeps", type=int)
    arguments = parser.parse_args()
    arguments.bin = harness.BIN = arguments.bin.resolve()
    if os.geteuid() != 0:
        print("skipped: kills of real cells need root")
    begun = time.monotonic()
    print(f"seed {arguments.seed}", flush=True)
    if arguments.only or arguments.sleeps:
        work = repeat(arguments.only) if arguments.only else sleeps(arguments.seed, arguments.sleeps)
        print(f"{work.states} states, {work.kills} kills, {work.broken['lost']} lost, {work.broken['repeated']} repeated")
        return 1 if work.broken or left_behind() else 0
    count = os.cpu_count()
    disks = [start_disk(arguments, arguments.seed * 1000, number, count) for number in range(count)]
    if not arguments.seconds:
        disk_states, disk_good = wait_for_disk(disks)
    work = Work()
    if os.geteuid() == 0:
        work = campaign(arguments.seed, arguments.seconds) if arguments.seconds else slice_of_a_change(arguments.seed)
    if arguments.seconds:
        disk_states, disk_good = wait_for_disk(disks)
    leaked = left_behind()
    lost = work.broken["lost"] + (not disk_good)
    print(f"{disk_states} states of a disk, {work.states} of processes, killed at {len(work.met)} points, "
          f"in {time.monotonic() - begun:.0f} s")
    if arguments.seconds and work.waiting:
        print(f"the time was over before {len(work.waiting)} states were tried")
    print(f"{disk_states + work.states} states, {work.kills} kills, {lost} lost, {work.broken['repeated']} repeated")
    return 1 if lost or work.broken["repeated"] or leaked else 0


if __name__ == "__main__":
    sys.exit(main())
