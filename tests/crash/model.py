"""Random programs against what they must give: steps, retries, shells, waits, children and values, one after the
other and side by side, while something is killed."""
import hashlib
import random
import time

from canonical import Broken, Client, check_log, require
from faulty import VICTIMS, Fault, Trial

# Plays a program: {op, …} with `of` for those that hold others. Lines of the log as in canonical.py.
AGENT = """
const fs = require("fs");
const { createHash } = require("crypto");
const hash = (value) => createHash("sha256").update(JSON.stringify(value) ?? "").digest("hex").slice(0, 12);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const player = (ctx, scope) => {
  const say = (...words) => fs.appendFileSync("/work/log", [scope, ...words].join(" ") + "\\n");
  say("pass", ctx.run.attempt);
  const kinds = {
    async seq({ of }, at) {
      const all = [];
      for (const [i, op] of of.entries()) all.push(await play(op, `${at}-${i}`));
      return all;
    },
    all: ({ of }, at) => Promise.all(of.map((op, i) => play(op, `${at}-${i}`))),
    race: ({ of }, at) => Promise.race(of.map((op, i) => play(op, `${at}-${i}`))),
    step: ({ ms, value, size, fails, attempts, policy }, at) => ctx.step(at, async (s) => {
      say("run", `${at}.${s.attempt}`, s.idempotencyKey);
      if (ms > 0) await pause(ms);
      if (s.attempt <= fails) throw new Error("failed");
      return size > 0 ? value.repeat(size) : value;
    }, { retries: { maxAttempts: attempts, delay: 1 }, onInterrupt: policy })
      .then((result) => (size > 0 ? result.length : result), (error) => error.code ?? error.message),
    shell: ({ value }, at) => ctx.shellAsync(`echo ${scope} run ${at} shell >> log; echo ${value}`)
      .then((result) => result.stdout.trim()),
    sleep: ({ ms }, at) => ctx.sleep(at, ms).then(() => "slept"),
    event: (op, at) => ctx.waitForEvent(at),
    approval: (op, at) => ctx.approve(at).then((answer) => answer.approved),
    child: async ({ program }, at) => (await ctx.spawn("child", { program, scope: `${scope}/${at}` })).result(),
    values: async () => [ctx.now(), ctx.random(), ctx.uuid()],
    db: async ({ value }, at) => { ctx.db.set(at, value); return ctx.db.get(at); },
    stream: async (op, at) => ctx.stream({ at }),
    llm: (op, at) => ctx.llm.chat({ name: at, messages: [{ role: "user", content: `${ctx.run.id} ${at}` }] })
      .then((reply) => reply.content),
  };
  const play = async (op, at) => {
    const result = await kinds[op.op](op, at);
    // What is done at once is on disk with what comes next: until then nobody outside may hear of it.
    if (op.of === undefined && !["values", "db", "stream"].includes(op.op)) say("got", at, hash(result));
    return result ?? null;
  };
  return play;
};
module.exports = {
  main: (ctx, { program }) => player(ctx, "main")(program, "0"),
  child: (ctx, { program, scope }) => player(ctx, scope)(program, "0"),
};
"""
# Where something is killed, besides those of the canonical agent that the caller knows.
POINTS = ("attempt.before_agent", "attempt.before_given", "attempt.given", "attempt.before_written", "journal.after_sync",
          "journal.before_sync", "journal.before_write", "result.before_sent", "result.sent", "run.ended", "shell.ended",
          "spawn.begun", "step.acked", "step.attempt_failed", "step.before_ack", "step.before_began", "step.before_end",
          "step.before_start", "step.done", "step.ended", "step.started", "value.before_written", "wait.before_begun",
          "wait.before_ended", "wait.begun", "wait.ended", "event.received", "approval.before_answer", "call.done",
          "interrupted.before_written", "recovery.before_sync", "run.suspended")
LLM_POINTS = ("llm.before_asked", "llm.answered", "llm.before_counted", "llm.counted", "llm.before_ended", "llm.ended")
# Models asked one after the other, and beside each other and a step.
LLM_PROGRAM = {"op": "seq", "of": [{"op": "llm"}, {"op": "all", "of": [{"op": "llm"}, {"op": "llm"}, {
    "op": "step", "value": "v", "size": 0, "fails": 0, "attempts": 1, "ms": 3, "policy": "retry"}]}, {"op": "llm"}]}
LLM_CALLS = 4
# Many side by side, which end in another order than they begin.
BRANCHES = 64
WIDE_PROGRAM = {"op": "all", "of": [
    {"op": "step", "value": f"v{n}", "size": 0, "fails": 0, "attempts": 1, "ms": n * 7 % 5, "policy": "retry"} for n in range(BRANCHES)]}
CANCELED = hashlib.sha256(b'"canceled"').hexdigest()[:12]  # as the agent says it
LEAVES_MAX = 14
DEPTH_MAX = 3


class Maker:
    """A program from a seed. Children wait for nobody from outside: the client does not know them."""

    def __init__(self, rng):
        self.rng, self.leaves, self.events = rng, 0, []

    def program(self, at="0", depth=0, in_child=False):
        kind = "seq" if depth == 0 else self.rng.choice(("seq", "all", "all", "race"))
        count = self.rng.randint(3, 6) if depth == 0 else self.rng.randint(2, 3)
        return {"op": kind, "of": [self.part(f"{at}-{i}", depth + 1, in_child) for i in range(count)]}

    def part(self, at, depth, in_child):
        if depth < DEPTH_MAX and self.leaves < LEAVES_MAX and self.rng.random() < 0.3:
            return self.program(at, depth, in_child)
        return self.leaf(at, in_child)

    def leaf(self, at, in_child):
        self.leaves += 1
        rng, value = self.rng, f"v{self.leaves}"
        outside = () if in_child else ("event", "approval", "child")
        kind = rng.choice(("step", "step", "step", "shell", "sleep", "values", "db", "stream", "llm", *outside))
        if kind == "step":
            fails = rng.choice((0, 0, 0, 1, 2))
            return {"op": kind, "value": value, "size": rng.choice((0, 0, 0, 2000, 40000)), "fails": fails,
                    "attempts": rng.randint(1, 3), "ms": rng.choice((0, 0, 3)),
                    "policy": rng.choice(("retry", "retry", "retry", "fail"))}
        if kind == "sleep":
            return {"op": kind, "ms": rng.choice((0, 1, 5, 20))}
        if kind == "event":
            self.events.append({"id": f"id-{at}", "type": at, "payload": {"at": at}})
        if kind == "child":
            return {"op": kind, "program": self.program("0", DEPTH_MAX - 1, in_child=True)}
        return {"op": kind, "value": value}


def fits(op, at, result, interrupted):
    """Whether a program may give this result; `interrupted`: something of it may have been."""
    kind = op["op"]
    if kind in ("seq", "all"):
        return isinstance(result, list) and len(result) == len(op["of"]) and all(
            fits(part, f"{at}-{i}", value, interrupted) for i, (part, value) in enumerate(zip(op["of"], result)))
    if kind == "race":
        return any(fits(part, f"{at}-{i}", result, interrupted) for i, part in enumerate(op["of"]))
    if kind == "child":
        return fits(op["program"], "0", result, interrupted)
    if kind == "step":
        given = len(op["value"]) * op["size"] if op["size"] else op["value"]
        expected = [given if op["fails"] < op["attempts"] else "failed"]
        return result in expected + ["step_interrupted"] * (interrupted and op["policy"] == "fail")
    if kind == "values":
        return isinstance(result, list) and len(result) == 3
    if kind == "llm":  # Which answer it was: the first one, or one to a call that was made again.
        asked, _, times = result.rpartition(" ") if isinstance(result, str) else ("", "", "")
        return asked.endswith(f" {at}") and (interrupted or times == "1")
    return result == {"shell": op.get("value"), "db": op.get("value"), "sleep": "slept", "event": {"at": at},
                      "approval": True, "stream": None}[kind]


def at_most_once(op, at, scope):
    """(scope, name of an execution) of each step that is not executed again."""
    if op["op"] == "child":
        yield from at_most_once(op["program"], "0", f"{scope}/{at}")
    for i, part in enumerate(op.get("of", ())):
        yield from at_most_once(part, f"{at}-{i}", scope)
    if op["op"] == "step" and op["policy"] == "fail":
        yield from ((scope, f"{at}.{attempt}") for attempt in range(1, 4))


class Player(Client):
    """Sends its events some time, and may pause and resume the run, or cancel it."""

    def __init__(self, trial, program, events, rng, control):
        super().__init__(trial, "main", {"program": program})
        self.events, self.rng = list(events), rng
        self.pauses = rng.randint(1, 2) if control and rng.random() < 0.6 else 0
        self.cancels = control and rng.random() < 0.3
        self.interrupts, self.cancelled = 0, False
        rng.shuffle(self.events)

    def play(self):
        self.begin()
        while (run := self.look())["status"] in ("running", "waiting", "paused"):
            if self.events and self.rng.random() < 0.4:
                self.send(self.events.pop())
            self.approve(run, True)
            if run["status"] == "paused":
                require(run["reason"] == "user", "lost", f"the run is paused: {run['reason']} {run.get('detail')}")
                self.control("resume")
            elif self.pauses and self.rng.random() < 0.2:
                self.pauses, self.interrupts = self.pauses - 1, self.interrupts + 1
                self.control("pause")
            elif self.cancels and self.rng.random() < 0.1:
                self.cancels, self.cancelled, self.interrupts = False, True, self.interrupts + 1
                self.control("cancel")
            time.sleep(0.006)
        return run

    def control(self, what):
        answer = self.trial.ask("POST", f"/runs/{self.run_id}/{what}", {})
        require(answer.status in (200, 409), "lost", f"{what} was answered by {answer}")


def run_state(cells, seed, points, control=False):
    rng = random.Random(seed)
    maker = Maker(rng)
    program = maker.program()
    faults = [Fault(rng.choice(points), rng.randint(1, 10) if n == 0 else 1, rng.choice(VICTIMS))
              for n in range(rng.randint(0, 3))]
    return play(cells, program, faults, maker, rng, control)


def llm_state(cells, faults):
    """Calls of models, with these faults."""
    rng = random.Random(1)
    maker = Maker(rng)
    maker.leaves = LLM_CALLS + 1
    return play(cells, LLM_PROGRAM, faults, maker, rng, control=False)


def wide_state(cells, faults):
    """As many steps at once, with these faults."""
    rng = random.Random(1)
    maker = Maker(rng)
    maker.leaves = BRANCHES
    return play(cells, WIDE_PROGRAM, faults, maker, rng, control=False)


def play(cells, program, faults, maker, rng, control):
    provider = cells.daemon.provider
    provider.forget()
    with Trial(cells.daemon, cells.take(False, AGENT), faults) as trial:
        player = Player(trial, program, maker.events, rng, control)
        player.play()
        trial.disarm()
        run = player.look()  # The daemon may have been met at the very end, and is started anew here.
        interrupts = trial.kills + player.interrupts
        path = trial.cell.dir / "work/log"
        log = path.read_text().splitlines() if path.exists() else []  # It may be cancelled before it begins.
        if player.cancelled:  # In the middle of a replay, too: then that is what comes instead of what had come before.
            log = [line for line in log if not line.endswith(f" {CANCELED}")]
        try:
            check_log(log, interrupts, set(at_most_once(program, "0", "main")), maker.leaves + 1)
            require(provider.most() <= 1 + interrupts, "repeated", f"a model was asked {provider.most()} times for one answer")
            if not player.cancelled:  # Else its code may have caught that, and gone on to any end.
                require(run["status"] == "completed", "lost", f"the run is {run['status']} {run.get('error')}")
                require(fits(program, "0", run.get("result"), interrupts > 0), "lost", f"it gave {run.get('result')}")
        except Broken as broken:
            raise Broken(broken.kind, f"{broken} faults {trial.happened} program {program} log {log}") from broken
    return trial
