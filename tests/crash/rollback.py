"""A run that undoes what it did, because it fails or is cancelled, while something is killed."""
import collections
import time

from canonical import Client, require, require_same_after_restart
from faulty import Fault, Trial

# Lines of the log: pass N, run STEP, undo STEP KEY.
AGENT = """
const fs = require("fs");
const say = (...words) => fs.appendFileSync("/work/log", words.join(" ") + "\\n");
const until = async (name) => { while (!fs.existsSync("/work/" + name)) await new Promise((done) => setTimeout(done, 2)); };
const dies = (place, asked) => {
  if (place !== asked || fs.existsSync("/work/died")) return;
  fs.writeFileSync("/work/died", "");
  process.kill(process.pid, "SIGKILL");
};
module.exports = {
  async trip(ctx, { ends, die }) {
    say("pass", ctx.run.attempt);
    const rollback = (s, value) => {
      dies(`-${value}.before`, die);
      say("undo", value, s.idempotencyKey);
      dies(`-${value}.after`, die);
    };
    const book = (name, work = () => {}) => ctx.step(name, async () => { say("run", name); await work(); return name; }, { rollback });
    for (const name of ["a", "b", "c"]) await book(name);
    if (ends === "fails") throw new Error("original");
    if (ends === "races") await book("d", () => until("gate"));
    await book("open", () => until("never"));
  },
};
"""
# How the run ends, and what is killed then: the agent in a rollback, at points of the daemon it or the agent.
ROLLBACKS = (("fails", "c"), ("fails", "b"), ("fails", "a"), ("cancels", "b"))
PLACES = ("before", "after")  # it has its effect
POINTS = {"fails": ("rollback.before_written", "rollback.begun", "rollback.before_began", "run.before_end"),
          "cancels": ("cancel.before_written", "cancel.durable", "rollback.before_written", "rollback.begun", "run.before_end")}
AGENT_POINTS = (("fails", "rollback.begun"), ("cancels", "cancel.durable"), ("cancels", "rollback.begun"))
# When the cancel comes: before the end of a step, behind it, or as it happens.
RACES = ("early", "late", "both")


class Canceller(Client):
    """Cancels the run with rollback once it is where it waits."""

    def __init__(self, trial, ends, die, race):
        super().__init__(trial, "trip", {"ends": ends, "die": die})
        self.ends, self.race = ends, race

    def log(self):
        path = self.trial.cell.dir / "work/log"
        return path.read_text().splitlines() if path.exists() else []

    def until_it_says(self, line):
        while line not in self.log():
            self.look()  # Which starts a daemon that was killed anew.
            time.sleep(0.004)

    def carry_through(self):
        self.begin()
        if self.ends != "fails":
            self.until_it_says("run d" if self.race in ("early", "both") else "run a")
            if self.race in ("late", "both"):
                (self.trial.cell.dir / "work/gate").touch()
            if self.race in ("late", ""):
                self.until_it_says("run open")
            answer = self.trial.ask("POST", f"/runs/{self.run_id}/cancel", {"rollback": True})
            require(answer.status in (200, 409), "lost", f"a cancel was answered by {answer}")
        while (run := self.look())["status"] in ("running", "waiting"):
            time.sleep(0.006)
        return run


def check(run, log, ends, trial):
    completed = [step["name"] for step in run["steps"] if step["status"] == "completed" and "rollback" not in step["name"]]
    expected = completed[::-1]
    require(completed[:3] == ["a", "b", "c"] and "open" not in completed, "lost", f"completed are {completed}")
    status = "failed" if ends == "fails" else "cancelled"
    require((run["status"], run["error"].get("rollback")) == (status, {"done": expected}), "lost",
            f"the run is {run['status']} {run.get('reason')} {run.get('error')}")
    undone = [line.split()[1:] for line in log if line.startswith("undo ")]
    order = [name for at, (name, _) in enumerate(undone) if at == 0 or undone[at - 1][0] != name]
    require(order == expected, "repeated", f"undone is {undone}, and was to be {expected}")  # What has ended is not executed again.
    require(len(undone) <= len(expected) + trial.kills, "repeated", f"{undone} with {trial.kills} kills")
    require(len({(name, key) for name, key in undone}) == len(expected), "lost", f"keys changed: {undone}")
    runs = [line for line in log if not line.startswith("pass ")]
    first = next(at for at, line in enumerate(runs) if line.startswith("undo "))
    require(all(line.startswith("undo ") for line in runs[first:]), "repeated", f"a step was executed after it was rolled back: {log}")
    counts = collections.Counter(runs[:first])
    again = sum(counts.values()) - len(counts)
    # What was open is executed again only until the cancel is on disk.
    early = [fault for fault in trial.happened if fault.point.startswith(("cancel.before_written", "step."))]
    require(again <= len(early), "repeated", f"executed {counts} with {trial.happened}")


def run_state(cells, ends, faults=(), die="", race="", twice=False):
    """One run with these faults; the trial, with what happened. Raises Broken, or AssertionError."""
    with Trial(cells.daemon, cells.take(False, AGENT), faults) as trial:
        client = Canceller(trial, ends, die, race)
        client.carry_through()
        trial.disarm()
        run = client.look()  # It may have been met at the very end, and is started anew here.
        if (trial.cell.dir / "work/died").exists():
            trial.happened.append(Fault(die, 1, "itself"))
        check(run, client.log(), ends, trial)
    if twice:
        require_same_after_restart(trial, client, trial.cell.dir / "work/log")
    return trial


def state(ends, what):
    """`what` is PLACE:itself, RACE:race or POINT:OCCURRENCE:VICTIM. (name, function of the cells that tries it)."""
    if what.endswith(":itself"):
        options = {"die": what.removesuffix(":itself")}
    elif what.endswith(":race"):
        options = {"race": what.removesuffix(":race")}
    else:
        point, occurrence, victim = what.split(":")
        options = {"faults": (Fault(point, int(occurrence), victim),), "twice": point == "run.before_end"}
    return f"rollback:{ends}:{what}", lambda cells: run_state(cells, ends, **options)


def states(choose):
    """`choose(list)` leaves of it what is tried."""
    for ends, step in ROLLBACKS:
        yield from (state(ends, f"-{step}.{place}:itself") for place in choose(PLACES))
    yield from (state("races", f"{race}:race") for race in RACES)
    yield from (state(ends, f"{point}:1:daemon") for ends, points in POINTS.items() for point in points)
    yield from (state(ends, f"{point}:1:agent") for ends, point in choose(AGENT_POINTS))
