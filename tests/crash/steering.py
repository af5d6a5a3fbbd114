"""Runs that somebody steers (pause, resume, decision, upgrade, restart) and that go on as another one, while something is killed."""
import collections
import itertools
import time

from canonical import Client, require, require_same_after_restart
from faulty import VICTIMS, Fault, Trial

# Lines of the log: run STEP.
AGENT = """
const fs = require("fs");
const say = (name) => fs.appendFileSync("/work/log", `run ${name}\\n`);
module.exports = {
  async waits(ctx) {
    const step = (name, value) => ctx.step(name, () => { say(name); return value; });
    return [await step("a", 1), await ctx.waitForEvent("go"), await step("b", "old")];
  },
  async asks(ctx) {
    const pay = () => {
      say("pay");
      if (fs.existsSync("/work/died")) return "paid twice";
      fs.writeFileSync("/work/died", "");
      process.kill(process.pid, "SIGKILL");
    };
    return [await ctx.step("pay", pay, { onInterrupt: "ask" }), await ctx.step("b", () => { say("b"); return 2; })];
  },
  async continues(ctx, { seen = [] }) {
    const n = await ctx.step("count", () => { say("count-" + seen.length); return seen.length; });
    const all = [...seen, [n, await ctx.waitForEvent("go")]];
    return all.length < 3 ? ctx.continueAs({ seen: all }) : all;
  },
  async three(ctx) {
    const step = (name, value) => ctx.step(name, () => { say(name); return value; });
    return [await step("a", "a".repeat(70000)), await step("b", 2), await step("c", 3)].map((value) => value.length ?? value);
  },
};
"""
NEWER = AGENT.replace('"old"', '"newer"')
# Where something is killed: point, how often it is reached.
POINTS = {
    "pause": (("pause.before_written", 1), ("pause.durable", 1), ("resume.before_written", 1), ("resume.durable", 1)),
    "decision": (("pause.before_written", 1), ("pause.durable", 1), ("decision.before_written", 1),
                 ("resume.before_written", 1), ("resume.durable", 1)),
    "continue": (("continue.before_written", 2), ("continue.written", 2)),
    "upgrade": (("upgrade.before_written", 1), ("resume.before_written", 1), ("resume.durable", 1)),
    "restart": (("restart.before_written", 1), ("restart.durable", 1)),
}


class Steerer(Client):
    """`look()` gives the run; what it is asked for is asked again until it is answered."""

    def until(self, *statuses):
        while (run := self.look())["status"] not in statuses:
            time.sleep(0.006)
        return run

    def ask(self, what, body=None, moot=(), key=None):
        """What was done before its answer was lost may be refused the second time, with one of these codes."""
        answer = self.trial.ask("POST", f"/runs/{self.run_id}/{what}", body or {}, {"Idempotency-Key": key} if key else {})
        allowed = answer.status in (200, 202) or self.trial.happened and answer.json.get("code") in moot
        require(allowed, "lost", f"{what} was answered by {answer}")
        return answer

    def resume(self, **body):
        self.ask("resume", body, ("run_not_paused", "decision_outdated"))
        require(self.look()["status"] != "paused", "lost", "a run that was resumed is paused")

    def go(self):
        self.send({"id": "e1", "type": "go", "payload": "x"})

    def paused(self):
        self.until("waiting")
        self.ask("pause", moot=("run_paused",))
        require(self.look()["status"] == "paused", "lost", "a run that was paused goes on")


class Continuing(Steerer):
    def look(self):
        self.done = {}  # The steps that are shown are those of the last generation.
        return super().look()


def pause(client):
    client.paused()
    client.resume()
    client.go()
    return [1, "x", "old"]


def decision(client):
    run = client.until("paused")
    require(run["reason"] == "ambiguous_step", "lost", f"it is paused: {run['reason']}")
    client.resume(step={"decision": "value", "value": "seen", **{key: run["detail"][key] for key in ("ordinal", "executed")}})
    return ["seen", 2]


def go_on(client):
    for number in (1, 2, 3):
        client.send({"id": f"e{number}", "type": "go", "payload": number})
    return [[0, 1], [1, 2], [2, 3]]


def upgrade(client):
    client.paused()
    client.trial.daemon.create(client.trial.cell.fields["customer_id"], agent=NEWER)
    client.resume(upgrade=True)
    client.go()
    return [1, "x", "newer"]


def restart(client):
    """However often it is asked for, it is one run, which is there as a whole."""
    client.until("completed")
    begun = client.ask("restart", {"from": "b"}, key=f"{client.run_id} again").json["id"]
    expected = [70000, 2, 3]

    def restarted():
        return [run for run in client.trial.ask("GET", "/runs").json["runs"] if run.get("restarted_from") == client.run_id]
    while any(run["status"] == "running" for run in restarted()):
        time.sleep(0.006)
    ids = [run["id"] for run in restarted()]
    require(ids == [begun], "lost", f"restarted are {ids}, not {begun}")
    run = client.trial.ask("GET", f"/runs/{begun}").json
    require((run["status"], run.get("result")) == ("completed", expected), "lost", f"the run is {run}")
    return expected


# Method, what is done with it, and how often a step is executed at most without a kill: twice where it begins again.
KINDS = {"pause": ("waits", pause, {}), "decision": ("asks", decision, {"pay": 1}), "continue": ("continues", go_on, {}),
         "upgrade": ("waits", upgrade, {}), "restart": ("three", restart, {"a": 1, "b": 2, "c": 2})}


def check_log(log, kills, at_most):
    for line, count in collections.Counter(log).items():
        name = line.split()[1]
        # What had ended before the kill, or must not be repeated, is executed once.
        most = 1 if at_most.get(name) == 1 else at_most.get(name, 1) + kills
        require(count <= most, "repeated", f"{name} was executed {count} times with {kills} kills")


def run_state(cells, kind, faults):
    """One run with these faults; the trial, with what happened. Raises Broken, or AssertionError."""
    method, steer, at_most = KINDS[kind]
    with Trial(cells.daemon, cells.take(kind == "upgrade", AGENT), faults) as trial:
        client = (Continuing if kind == "continue" else Steerer)(trial, method, {})
        client.begin()
        expected = steer(client)
        client.until("completed", "failed", "cancelled")
        trial.disarm()
        run = client.look()  # It may have been met at the very end, and is started anew here.
        require((run["status"], run.get("result")) == ("completed", expected), "lost",
                f"the run is {run['status']} {run.get('reason')} {run.get('error')} {run.get('result')}")
        log = trial.cell.dir / "work/log"
        check_log(log.read_text().splitlines(), trial.kills, at_most)
    if kind == "upgrade":
        cells.retire(AGENT)
    require_same_after_restart(trial, client, log)
    return trial


def state(kind, faults):
    name = ",".join(map(str, faults))
    return f"steering:{kind}:{name}", lambda cells: run_state(cells, kind, faults)


def states(choose):
    """The daemon at each point; of the other victims and times, those that `choose(list)` leaves of a point."""
    for kind, points in POINTS.items():
        for point, count in points:
            yield state(kind, [Fault(point, 1, "daemon")])
            others = itertools.product(range(1, count + 1), VICTIMS)
            for occurrence, victim in choose([other for other in others if other != (1, "daemon")]):
                yield state(kind, [Fault(point, occurrence, victim)])
