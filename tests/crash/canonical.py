"""The canonical agent: ten steps, one of each kind, in both languages, and what must hold of a run of it whatever was killed."""
import collections
import contextlib
import os
import time

from faulty import ERRNOS, Fault, Trial

AGENT = """
const fs = require("fs");
const { createHash } = require("crypto");
// A step's code says that it runs; what comes back of a step is said too, each time that the code gets it.
const sayer = (scope) => (...words) => fs.appendFileSync("/work/log", [scope, ...words].join(" ") + "\\n");
const hash = (value) => createHash("sha256").update(JSON.stringify(value) ?? "").digest("hex").slice(0, 12);
// Ends the process at this place, the first time.
const dies = (place, asked) => {
  if (place !== asked || fs.existsSync("/work/died")) return;
  fs.writeFileSync("/work/died", "");
  if (place.endsWith(".half")) fs.writeSync(3, Buffer.from([90, 0, 0, 0, 7, 0, 0, 0, 123, 34]));  // of a frame
  process.kill(process.pid, "SIGKILL");
};
module.exports = {
  async ten(ctx, { die }) {
    const say = sayer("ten");
    const runs = (s) => {
      dies(s.name + ".before", die);
      say("run", s.name, s.idempotencyKey);
      dies(s.name + ".after", die);
      dies(s.name + ".half", die);
    };
    say("pass", ctx.run.attempt);
    const seen = {};
    const got = (name, value) => { say("got", name, hash(value)); seen[name] = value; return value; };
    await ctx.step("plain", (s) => { runs(s); return "p".repeat(40000); }).then((v) => got("plain", v.length));
    const values = [ctx.now(), ctx.random(), ctx.uuid()]; // Said once something behind them is on disk.
    await ctx.step("retries", (s) => {
      runs({ ...s, name: s.name + "." + s.attempt });
      if (s.attempt === 1) throw new Error("first");
      return "r".repeat(40000);
    }, { retries: { maxAttempts: 2, delay: 1 } }).then((v) => got("retries", v.length));
    got("values", values);
    ctx.stream({ at: "retries" });
    got("once", await ctx.step("once", (s) => { runs(s); return "done"; }, { onInterrupt: "fail" }).catch((e) => e.code));
    await ctx.step("blob", (s) => { runs(s); return "b".repeat(70000); }).then((v) => got("blob", v.length));
    ctx.db.set("key", { n: 4 });
    got("db", ctx.db.get("key"));
    ctx.db.set("gone", 1);
    got("deleted", ctx.db.delete("gone"));
    ctx.journal.step(ctx.run.id, "once");
    got("noted", ctx.journal.entries().filter((line) => line.type === ctx.run.id).length);
    got("shell", ctx.shell("echo ten run shell shell >> log; echo out").stdout);
    await ctx.sleep("rest", 5);
    got("rest", null);
    got("event", await ctx.waitForEvent("go"));
    ctx.stream({ at: "event" });
    got("approval", (await ctx.approve("deploy")).approved);
    await Promise.all([1, 2, 3].map((n) => ctx.step("all-" + n, async (s) => {
      runs(s);
      await new Promise((done) => setTimeout(done, (n * 7) % 5));
      return n;
    }).then((v) => got("all-" + n, v))));
    got("child", await (await ctx.spawn("child", { n: 5 })).result());
    ctx.stream({ at: "end" });
    return { ...seen, values: seen.values.length, once: null };
  },
  async child(ctx, { n }) {
    return ctx.step("work", (s) => { sayer("child")("run", s.name, s.idempotencyKey); return n * n; });
  },
};
"""
# The same steps, and the same that is said.
PYTHON_AGENT = """
import asyncio, hashlib, json, os, signal

def sayer(scope):
    def say(*words):
        with open("/work/log", "a") as file:
            file.write(" ".join(map(str, (scope, *words))) + "\\n")
    return say

def hash_of(value):
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()[:12]

def dies(place, asked):
    if place != asked or os.path.exists("/work/died"):
        return
    open("/work/died", "w").close()
    if place.endswith(".half"):
        os.write(3, bytes([90, 0, 0, 0, 7, 0, 0, 0, 123, 34]))
    os.kill(os.getpid(), signal.SIGKILL)

async def ten(ctx, params):
    die, say, seen = params["die"], sayer("ten"), {}

    def runs(s, name=None):
        name = name or s.name
        dies(name + ".before", die)
        say("run", name, s.idempotency_key)
        dies(name + ".after", die)
        dies(name + ".half", die)

    def got(name, value):
        say("got", name, hash_of(value))
        seen[name] = value

    say("pass", ctx.run.attempt)

    def plain(s):
        runs(s)
        return "p" * 40000
    got("plain", len(await ctx.step("plain", plain)))
    values = [ctx.now(), ctx.random(), ctx.uuid()]

    def retries(s):
        runs(s, f"{s.name}.{s.attempt}")
        if s.attempt == 1:
            raise ValueError("first")
        return "r" * 40000
    got("retries", len(await ctx.step("retries", retries, retries={"max_attempts": 2, "delay": 1})))
    got("values", values)
    ctx.stream({"at": "retries"})

    def once(s):
        runs(s)
        return "done"
    try:
        got("once", await ctx.step("once", once, on_interrupt="fail"))
    except ctx.errors.StepInterruptedError as error:
        got("once", error.code)

    def blob(s):
        runs(s)
        return "b" * 70000
    got("blob", len(await ctx.step("blob", blob)))
    ctx.db.set("key", {"n": 4})
    got("db", ctx.db.get("key"))
    ctx.db.set("gone", 1)
    got("deleted", ctx.db.delete("gone"))
    ctx.journal.step(ctx.run.id, "once")
    got("noted", len([line for line in ctx.journal.entries() if line["type"] == ctx.run.id]))
    got("shell", (await ctx.shell("echo ten run shell shell >> log; echo out")).stdout)
    await ctx.sleep("rest", 5)
    got("rest", None)
    got("event", await ctx.wait_for_event("go"))
    ctx.stream({"at": "event"})
    got("approval", (await ctx.approve("deploy")).approved)

    async def one_of_all(n):
        async def body(s):
            runs(s)
            await asyncio.sleep(n * 7 % 5 / 1000)
            return n
        got(f"all-{n}", await ctx.step(f"all-{n}", body))
    await asyncio.gather(*[one_of_all(n) for n in (1, 2, 3)])
    got("child", await (await ctx.spawn("child", {"n": 5})).result())
    ctx.stream({"at": "end"})
    return {**seen, "values": len(seen["values"]), "once": None}

async def child(ctx, params):
    def work(s):
        sayer("child")("run", s.name, s.idempotency_key)
        return params["n"] * params["n"]
    return await ctx.step("work", work)
"""
AGENTS = {"javascript": AGENT, "python": PYTHON_AGENT}
RESULT = {"plain": 40000, "retries": 40000, "once": None, "blob": 70000, "db": {"n": 4}, "deleted": True, "noted": 1,
          "shell": "out\n", "rest": None, "event": {"pr": 7}, "approval": True, "all-1": 1, "all-2": 2, "all-3": 3, "child": 25, "values": 3}
AT_MOST_ONCE = {("ten", "once")}
STREAMED = ["retries", "event", "end"]


class Broken(Exception):
    """A promise that was not kept: `kind` is lost or repeated."""

    def __init__(self, kind, what):
        super().__init__(f"{kind}: {what}")
        self.kind = kind


def require(holds, kind, what):
    if not holds:
        raise Broken(kind, what)


class Client:
    """Begins a run and gives it what it waits for; each request again until it is answered."""

    def __init__(self, trial, method, params):
        self.trial, self.done = trial, {}
        self.started = {"method": method, "params": params}
        self.key = f"key-{random_id()}"
        self.run_id = None

    def begin(self):
        self.run_id = self.start_again()
        require(self.start_again() == self.run_id, "repeated", "a second start with the same key began another run")

    def start_again(self):
        answer = self.trial.ask("POST", "/runs", self.started, {"Idempotency-Key": self.key})
        require(answer.status in (200, 202), "lost", f"the start of a run was answered by {answer}")
        return answer.json["id"]

    def send(self, event):
        answer = self.trial.ask("POST", f"/runs/{self.run_id}/events", event)
        require(answer.status in (200, 409), "lost", f"an event was answered by {answer}")

    def approve(self, run, approved):
        """Answers the approvals that the run waits for now."""
        for step in run["steps"]:
            if step["kind"] == "approval" and step["status"] == "waiting":
                body = {"approved": True, "step": step["name"]}
                answer = self.trial.ask("POST", f"/runs/{self.run_id}/approve", body)
                require(answer.status in (200, 404, 409), "lost", f"an approval was answered by {answer}")

    def carry_through(self, events):
        self.begin()
        for event in events:
            self.send(event)
        while (run := self.look())["status"] in ("running", "waiting"):
            self.approve(run, True)
            time.sleep(0.006)
        return run

    def look(self):
        """The run as it is shown; what was shown as done stays done."""
        answer = self.trial.ask("GET", f"/runs/{self.run_id}")
        require(answer.status == 200, "lost", f"a run that was acknowledged: {answer}")
        run = answer.json
        done = {s["ordinal"]: s["status"] for s in run["steps"] if s["status"] in ("completed", "failed")}
        for ordinal, status in self.done.items():
            require(done.get(ordinal) == status, "lost", f"step {ordinal} was {status}, and is {done.get(ordinal)}")
        self.done = done
        return run


def random_id():
    return os.urandom(6).hex()


class Said:
    """What one run said, attempt after attempt: SCOPE pass N, SCOPE run STEP KEY, SCOPE got STEP HASH."""

    def __init__(self, scope):
        self.scope, self.executed, self.results, self.keys = scope, collections.Counter(), {}, {}
        self.order, self.place = [], 0

    def take(self, kind, name, more):
        if kind == "pass":
            self.place = 0
        elif kind == "run":
            self.executed[name] += 1
            require(name.split(".")[0] not in self.results, "repeated", f"{name} was executed after its result was given")
            require(self.keys.setdefault(name, more) == more, "lost", f"the idempotency key of {name} changed")
        else:
            require(self.results.setdefault(name, more) == more, "lost", f"{name} gave another result than before")
            if self.place == len(self.order):
                self.order.append(name)
            require(self.order[self.place] == name, "lost", f"{name} came where {self.order[self.place]} had come before")
            self.place += 1


def check_log(lines, kills, at_most_once=frozenset(AT_MOST_ONCE), branches=3):
    """What the runs said of themselves, in order; `branches` is how many steps may be interrupted by one kill."""
    said, again = {}, 0
    for line in lines:
        scope, kind, name, *more = line.split(" ")
        said.setdefault(scope, Said(scope)).take(kind, name, more)
    for scope, one in said.items():
        for name, count in one.executed.items():
            again += count - 1
            most = 1 if (scope, name) in at_most_once else 1 + kills
            require(count <= most, "repeated", f"{name} was executed {count} times with {kills} kills")
    require(again <= kills * branches, "repeated", f"{again} executions too many with {kills} kills")


class Cells:
    """Hands out the cell that the next trial runs in: several use one, as long as its journal is small."""

    TRIALS_MAX = 8

    def __init__(self, daemon, name):
        self.daemon, self.name = daemon, name
        self.cells, self.used = {}, collections.Counter()  # by the agent

    def take(self, fresh, agent, language="javascript"):
        if agent in self.cells and (fresh or self.used[agent] >= self.TRIALS_MAX):
            self.cells.pop(agent).call("DELETE")
        if agent not in self.cells:
            self.cells[agent] = self.daemon.create(customer=f"{self.name}-{random_id()}", agent=agent, agent_language=language)
            self.used[agent] = 0
        self.used[agent] += 1
        for name in ("log", "died", "gate"):
            (self.cells[agent].dir / "work" / name).unlink(missing_ok=True)
        return self.cells[agent]

    def retire(self, agent):
        """The next trial gets another one: what a call that failed left half-made is there until the cell is opened."""
        self.used[agent] = self.TRIALS_MAX

    def forget(self):
        """What they are now is not known."""
        self.cells = {}


# Values are written once, segments and spares made only while the journal is small: for these the cell must be new.
NEEDS_NEW_CELL = ("segment.", "spare.", "blob.")
EVENT = {"id": "e1", "type": "go", "payload": {"pr": 7}}


# Where the agent ends itself: before a step had its effect, after it, and in the middle of a message.
DEATHS = [f"{step}.{place}" for step in ("plain", "retries.1", "once", "blob", "all-2") for place in ("before", "after", "half")]


def run_state(cells, faults, twice=False, fresh=False, die="", language="javascript"):
    """One run with these faults; the trial, with what happened. Raises Broken, or AssertionError."""
    fresh = fresh or any(fault.point.startswith(NEEDS_NEW_CELL) for fault in faults)
    agent = AGENTS[language]
    with Trial(cells.daemon, cells.take(fresh, agent, language), faults) as trial:
        client = Client(trial, "ten", {"die": die})
        run = client.carry_through([EVENT])
        trial.disarm()
        run = client.look()  # It may have been met at the very end, and is started anew here.
        if (trial.cell.dir / "work/died").exists():
            trial.happened.append(Fault(die, 1, "itself"))
        log = trial.cell.dir / "work/log"
        check_log(log.read_text().splitlines(), trial.kills)
        if any(fault.point.startswith("blob.") and fault.victim in ("ENOSPC", "EDQUOT") for fault in trial.happened):
            return refused(cells, agent, trial, run)
        require((run["status"], run.get("result")) == ("completed", RESULT), "lost",
                f"the run is {run['status']} {run.get('reason')} {run.get('error')} {run.get('result')}")
        check_events(trial, run)
        half_made = [p.name for p in (trial.cell.dir / "journal").glob("*.tmp") if not p.name.startswith("spare")]
        failed = any(fault.victim in ERRNOS for fault in faults)
        if failed:
            cells.retire(agent)
        require(not half_made or failed, "lost", f"left behind: {half_made}")
    if twice:
        require_same_after_restart(trial, client, log)
    return trial


def refused(cells, agent, trial, run):
    """A value that there was no room for: its step is not executed again, and the agent is told."""
    require((run["status"], run["error"].get("name")) == ("failed", "JournalFullError"), "lost", f"the run is {run}")
    cells.retire(agent)
    return trial


def check_events(trial, run):
    events = list(trial.cell.events(run["id"]))
    at = [e.json["data"]["at"] for e in events if e.type == "stream"]
    require(at == STREAMED, "lost", f"the stream is {at}")
    ids = [e.id for e in events]
    require(ids == sorted(set(ids)) and events[-1].type == "run.completed", "lost", f"the events are {events}")


def require_same_after_restart(trial, client, log):
    """Recovering again changes nothing."""
    before, said = client.look(), log.read_text()
    trial.daemon.restart()
    trial.disconnect()
    require(client.look() == before, "lost", "a restart changed a run that had ended")
    require(log.read_text() == said, "repeated", "a restart executed something of a run that had ended")
