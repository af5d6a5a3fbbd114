"""Random programs against what they must give: steps, retries, shells, waits, children and values, one after the
other and side by side, that go on as another one, or fail and undo what they did, while something is killed."""
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
    any: ({ of }, at) => Promise.any(of.map((op, i) => play(op, `${at}-${i}`))),
    settled: ({ of }, at) => Promise.allSettled(of.map((op, i) => play(op, `${at}-${i}`)))
      .then((all) => all.map((one) => (one.status === "fulfilled" ? one.value : one.reason.message))),
    rejects: ({ value }, at) => ctx.step(at, (s) => { say("run", `${at}.1`, s.idempotencyKey); throw new Error(value); }),
    step: ({ ms, value, size, fails, attempts, policy, undo }, at) => ctx.step(at, async (s) => {
      say("run", `${at}.${s.attempt}`, s.idempotencyKey);
      if (ms > 0) await pause(ms);
      if (s.attempt <= fails) throw new Error("failed");
      return size > 0 ? value.repeat(size) : value;
    }, { retries: { maxAttempts: attempts, delay: 1 }, onInterrupt: policy,
      rollback: undo ? (s) => say("undo", at, s.idempotencyKey) : undefined })
      .then((result) => (size > 0 ? result.length : result), (error) => error.code ?? error.message),
    shell: ({ value }, at) => ctx.shellAsync(`echo ${scope} run ${at} shell >> log; echo ${value}`)
      .then((result) => result.stdout.trim()),
    sleep: ({ ms }, at) => ctx.sleep(at, ms).then(() => "slept"),
    begin: async ({ value, between }, at) => {
      const step = await ctx.beginStep(at);
      if (between) await ctx.sleep(`${at}-between`, 1);
      if (!step.done) await ctx.completeStep(step, value);
      return step.done ? step.value : value;
    },
    event: (op, at) => ctx.waitForEvent(at),
    timeout: ({ ms }, at) => ctx.waitForEvent(at, { timeout: ms }).catch((e) => e.code),
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
  // One program after the other, each in a generation of its own.
  async main(ctx, { programs, fails, before = [] }) {
    const at = String(before.length);
    const all = [...before, await player(ctx, `main.${at}`)(programs[before.length], at)];
    if (all.length < programs.length) return ctx.continueAs({ programs, fails, before: all });
    if (fails) throw new Error("original");
    return all;
  },
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
        self.rng, self.leaves, self.events, self.undoes, self.leaves_nothing = rng, 0, [], False, False

    def programs(self):
        """Mostly one. What goes on with another one leaves nothing open."""
        count = self.rng.choice((1, 1, 1, 2, 3))
        self.leaves_nothing, self.undoes = count > 1, self.rng.random() < 0.25
        return [self.program(str(number)) for number in range(count)]

    def program(self, at="0", depth=0, in_child=False):
        left = () if self.leaves_nothing else ("race", "any")
        kind = "seq" if depth == 0 else self.rng.choice(("seq", "all", "all", "settled", *left))
        count = self.rng.randint(3, 6) if depth == 0 else self.rng.randint(2, 3)
        of = [self.part(f"{at}-{i}", depth + 1, in_child) for i in range(count)]
        if kind in ("any", "settled") and self.rng.random() < 0.5:
            self.leaves += 1
            of.append({"op": "rejects", "value": f"rejects{self.leaves}"})
        return {"op": kind, "of": of}

    def part(self, at, depth, in_child):
        if depth < DEPTH_MAX and self.leaves < LEAVES_MAX and self.rng.random() < 0.3:
            return self.program(at, depth, in_child)
        return self.leaf(at, in_child)

    def leaf(self, at, in_child):
        self.leaves += 1
        rng, value = self.rng, f"v{self.leaves}"
        outside = () if in_child else ("event", "approval", "child")
        kind = rng.choice(("step", "step", "step", "shell", "sleep", "values", "db", "stream", "llm", "begin", "timeout", *outside))
        if kind == "step":
            fails = rng.choice((0, 0, 0, 1, 2))
            return {"op": kind, "value": value, "size": rng.choice((0, 0, 0, 2000, 40000)), "fails": fails,
                    "attempts": rng.randint(1, 3), "ms": rng.choice((0, 0, 3)),
                    "policy": rng.choice(("retry", "retry", "retry", "fail")), "undo": self.undoes and rng.random() < 0.7}
        if kind in ("sleep", "timeout"):
            return {"op": kind, "ms": rng.choice((1, 5, 20))}
        if kind == "begin":  # Beside others, the record does not tell what was asked for between its two ends.
            return {"op": kind, "value": value, "between": self.leaves_nothing and not in_child and at.count("-") == 1}
        if kind == "event":
            self.events.append({"id": f"id-{at}", "type": at, "payload": {"at": at}})
        if kind == "child":
            return {"op": kind, "program": self.program("0", DEPTH_MAX - 1, in_child=True)}
        return {"op": kind, "value": value}


def fits(op, at, result, interrupted):
    """Whether a program may give this result; `interrupted`: something of it may have been."""
    kind = op["op"]
    if kind in ("seq", "all", "settled"):
        return isinstance(result, list) and len(result) == len(op["of"]) and all(
            fits(part, f"{at}-{i}", value, interrupted) for i, (part, value) in enumerate(zip(op["of"], result)))
    if kind in ("race", "any"):
        parts = [(i, part) for i, part in enumerate(op["of"]) if part["op"] != "rejects"]
        return any(fits(part, f"{at}-{i}", result, interrupted) for i, part in parts)
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
    value = op.get("value")
    return result == {"shell": value, "db": value, "begin": value, "rejects": value, "sleep": "slept", "timeout": "wait_timeout",
                      "event": {"at": at}, "approval": True, "stream": None}[kind]


def at_most_once(op, at, scope):
    """(scope, name of an execution) of each step that is not executed again."""
    if op["op"] == "child":
        yield from at_most_once(op["program"], "0", f"{scope}/{at}")
    for i, part in enumerate(op.get("of", ())):
        yield from at_most_once(part, f"{at}-{i}", scope)
    if op["op"] == "step" and op["policy"] == "fail":
        yield from ((scope, f"{at}.{attempt}") for attempt in range(1, 4))


def undoable(op, at):
    """The names of the steps that are undone once they are completed; those of children are not."""
    if op.get("undo"):
        yield at
    for i, part in enumerate(op.get("of", ())):
        yield from undoable(part, f"{at}-{i}")


def check_undone(run, program, at, undone, kills):
    """`undone`: (name, key) as it was said. Undone is what the journal has as completed, in one order, each with one key."""
    require((run["status"], run["error"]["message"]) == ("failed", "original"), "lost", f"the run is {run}")
    names = set(undoable(program, at))
    completed = {step["name"] for step in run["steps"] if step["status"] == "completed"} & names
    done = run["error"].get("rollback", {}).get("done", [])
    require(len(done) == len(set(done)) and set(done) == completed, "lost", f"{done} is undone, and {completed} completed")
    order = [name for place, (name, _) in enumerate(undone) if place == 0 or undone[place - 1][0] != name]
    require(order == done, "repeated", f"undone was {order}, and told is {done}")
    require(len(undone) <= len(done) + kills and len(set(undone)) == len(done), "repeated", f"{undone} with {kills} kills")


class Player(Client):
    """Sends its events some time, and may pause and resume the run, or cancel it."""

    def __init__(self, trial, programs, fails, events, rng, control):
        super().__init__(trial, "main", {"programs": programs, "fails": fails})
        self.generation = 1
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

    def look(self):
        """Steps are shown of the last generation only."""
        before, self.done = self.done, {}
        run = super().look()
        if run.get("generation", 1) == self.generation:
            lost = {ordinal: status for ordinal, status in before.items() if self.done.get(ordinal) != status}
            require(not lost, "lost", f"steps that were {lost} are {self.done}")
        self.generation = run.get("generation", 1)
        return run

    def control(self, what):
        answer = self.trial.ask("POST", f"/runs/{self.run_id}/{what}", {})
        require(answer.status in (200, 409), "lost", f"{what} was answered by {answer}")


def run_state(cells, seed, points, control=False):
    rng = random.Random(seed)
    maker = Maker(rng)
    programs = maker.programs()
    faults = [Fault(rng.choice(points), rng.randint(1, 10) if n == 0 else 1, rng.choice(VICTIMS))
              for n in range(rng.randint(0, 3))]
    return play(cells, programs, faults, maker, rng, control)


def llm_state(cells, faults):
    """Calls of models, with these faults."""
    rng = random.Random(1)
    maker = Maker(rng)
    maker.leaves = LLM_CALLS + 1
    return play(cells, [LLM_PROGRAM], faults, maker, rng, control=False)


def wide_state(cells, faults):
    """As many steps at once, with these faults."""
    rng = random.Random(1)
    maker = Maker(rng)
    maker.leaves = BRANCHES
    return play(cells, [WIDE_PROGRAM], faults, maker, rng, control=False)


def play(cells, programs, faults, maker, rng, control):
    provider = cells.daemon.provider
    provider.forget()
    with Trial(cells.daemon, cells.take(False, AGENT), faults) as trial:
        player = Player(trial, programs, maker.undoes, maker.events, rng, control)
        player.play()
        trial.disarm()
        run = player.look()  # The daemon may have been met at the very end, and is started anew here.
        interrupts = trial.kills + player.interrupts
        path = trial.cell.dir / "work/log"
        log = path.read_text().splitlines() if path.exists() else []  # It may be cancelled before it begins.
        if player.cancelled:  # In the middle of a replay, too: then that is what comes instead of what had come before.
            log = [line for line in log if not line.endswith(f" {CANCELED}")]
        undone = [tuple(line.split()[2:4]) for line in log if line.split()[1] == "undo"]
        log = [line for line in log if line.split()[1] != "undo"]
        try:
            once = {name for at, program in enumerate(programs) for name in at_most_once(program, str(at), f"main.{at}")}
            check_log(log, interrupts, once, maker.leaves + 1)
            require(provider.most() <= 1 + interrupts, "repeated", f"a model was asked {provider.most()} times for one answer")
            if player.cancelled:  # Its code may have caught that, and gone on to any end.
                return trial
            if maker.undoes:
                check_undone(run, programs[-1], str(len(programs) - 1), undone, interrupts)
                return trial
            require(run["status"] == "completed", "lost", f"the run is {run['status']} {run.get('error')}")
            result = run.get("result")
            fit = len(result) == len(programs) and all(
                fits(program, str(at), result[at], interrupts > 0) for at, program in enumerate(programs))
            require(fit, "lost", f"it gave {result}")
        except Broken as broken:
            raise Broken(broken.kind, f"{broken} faults {trial.happened} programs {programs} log {log}") from broken
    return trial
