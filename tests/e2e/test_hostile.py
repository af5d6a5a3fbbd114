"""An agent that says to the daemon what no agent host does: it harms its own runs at most, and nothing for long."""
import re

import harness

AGENT = """
const fs = require("fs");
function frame(header, body = "") {
  const sizes = Buffer.alloc(8);
  sizes.writeUInt32LE(Buffer.byteLength(header), 0);
  sizes.writeUInt32LE(Buffer.byteLength(body), 4);
  return Buffer.concat([sizes, Buffer.from(header + body)]);
}
function write(bytes) { while (bytes.length > 0) bytes = bytes.subarray(fs.writeSync(3, bytes)); }
function say(ctx, header, body = null) {  // The daemon reads it without the host between them.
  write(frame(JSON.stringify({ ...header, run: ctx.run.id, a: ctx.run.attempt }), JSON.stringify(body)));
}
const WAIT = { t: "cmd", o: 50, k: "wait", n: "w", fp: "", x: 1 };
const SAYS = {
  "no header": () => write(frame("{nope")),
  "a header that is too large": () => write(frame("x".repeat(70_000))),
  "a frame that is too large": () => write(Buffer.alloc(16, 255)),
  "an empty frame": () => write(Buffer.alloc(8)),
  "a frame of no type": (ctx) => say(ctx, {}),
  "a kind that there is not": (ctx) => say(ctx, { t: "cmd", o: 50, k: "odd", n: "n", fp: "" }),
  "a fingerprint that is none": (ctx) => say(ctx, { t: "cmd", o: 50, k: "step", n: "n", fp: "f".repeat(60_000) }),
  "the end of a step that has not begun": (ctx) => say(ctx, { t: "done", o: 50, ok: true }, 1),
  "a value in the place of a wait": (ctx) => {
    say(ctx, WAIT, { type: "go", timeout: 2000 });
    say(ctx, { t: "value", o: 50, k: "wait", n: "w", fp: "" });
  },
  "a step in the place of a wait": (ctx) => {
    say(ctx, WAIT, { type: "go", timeout: 2000 });
    say(ctx, { t: "cmd", o: 50, k: "step", n: "w", fp: "" });
  },
  "that it lets go, unasked": (ctx) => say(ctx, { t: "suspended", n: -1 }),
  "an end of setup that is none": (ctx) => say(ctx, { t: "value", o: 50, k: "setup", n: "", fp: "" }),
  "a state in a place that is taken": async (ctx) => {
    await ctx.step("first", () => 1);
    say(ctx, { t: "continue", o: 1 }, {});
  },
};
module.exports = {
  async waits(ctx) { return ctx.waitForEvent("go"); },
  async says(ctx, { what }) {
    const marker = "/work/" + what.replaceAll(" ", "_");
    if (fs.existsSync(marker)) return what;
    fs.writeFileSync(marker, "");
    await SAYS[what](ctx);
    for (;;) await new Promise((resolve) => setTimeout(resolve, 1000));  // It is ended for it.
  },
  async ends_twice(ctx) {
    say(ctx, { t: "cmd", o: 50, k: "step", n: "n", fp: "" });
    for (const value of [1, 2]) say(ctx, { t: "done", o: 50, ok: true }, value);
    return "ended";
  },
  async goes_on_with_no_json(ctx) {
    write(frame(JSON.stringify({ t: "continue", o: 50, run: ctx.run.id, a: ctx.run.attempt }), "{nope"));
    await new Promise(() => {});
  },
  async begins(ctx) {
    say(ctx, { t: "cmd", o: 50, k: "spawn", n: "child", fp: "", x: 1 }, { method: "m".repeat(257) });
    await new Promise(() => {});
  },
  async differs(ctx) {
    say(ctx, { t: "mismatch", o: 1 }, { expected: { n: "x".repeat(1_000_000) }, got: { n: "y" }, matched: [] });
    await new Promise(() => {});
  },
  async undoes_without_end(ctx) {
    say(ctx, { t: "rollback", o: 50, n: "failed" }, { name: "Error", message: "m" });
    say(ctx, { t: "cmd", o: 300_001, k: "step", n: "rollback a", fp: "" });
    await new Promise(() => {});
  },
  async asks_and_reads_nothing(ctx) {
    if (ctx.run.attempt > 1) return "ended";
    ctx.db.set("large", "v".repeat(15_000_000));
    const header = JSON.stringify({ t: "call", o: 0, op: "db.get", fp: "", run: ctx.run.id, a: 1 });
    write(Buffer.concat(Array(400).fill(frame(header, '{"key":"large"}'))));
    for (;;) { /* Nothing is read. */ }
  },
  async says_half(ctx) {
    setTimeout(() => {
      const sizes = Buffer.alloc(8);
      sizes.writeUInt32LE(2, 0);
      sizes.writeUInt32LE(100_000_000, 4);
      write(Buffer.concat([sizes, Buffer.from("{}"), Buffer.alloc(1_000_000)]));
      fs.writeFileSync("/work/half", "");
    }, 100);
    return process.pid;
  },
};
"""
WHATS = re.findall(r'^  "(.*)": (?:async )?\(', AGENT, re.MULTILINE)


class HostileTest(harness.CellTest):
    options = ("--agent-stall-timeout-ms", "2000")

    def high_water_bytes(self):
        with open(f"/proc/{self.daemon.process.pid}/status", encoding="utf-8") as status:
            return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024

    def test_what_is_no_frame_ends_the_host_at_once_and_its_runs_go_on(self):
        self.assertEqual(13, len(WHATS))
        cell, waits = self.begin(AGENT, "waits")
        harness.eventually("it waits", lambda: cell.run(waits)["status"] == "waiting")
        for what in WHATS:
            with self.subTest(what=what):
                run = cell.call("POST", "/runs", {"method": "says", "params": {"what": what}}).json["id"]
                ended = cell.settled(run)
                self.assertEqual(("completed", what, 2), (ended["status"], ended["result"], ended["attempt"]), ended)
        self.assertNotIn("answers nothing", self.daemon.log())  # It was not ended for its silence.
        self.daemon.restart()
        cell.call("POST", f"/runs/{waits}/events", {"type": "go", "payload": 7})
        self.assertEqual(7, cell.settled(waits)["result"])

    def test_a_state_that_is_no_json_ends_its_run(self):
        cell, run = self.begin(AGENT, "goes_on_with_no_json")
        ended = cell.settled(run)
        self.assertEqual(("failed", "not_serialisable"), (ended["status"], ended["error"]["code"]))
        self.assertEqual(200, cell.call("GET", f"/runs/{run}").status)

    def test_the_method_of_a_child_is_as_short_as_that_of_any_run(self):
        cell, run = self.begin(AGENT, "begins")
        failed = harness.eventually("it has failed", lambda: [step for step in cell.run(run)["steps"] if step["status"] == "failed"])
        self.assertEqual(["child"], [step["name"] for step in failed])
        self.assertEqual([run], [one["id"] for one in cell.call("GET", "/runs").json["runs"]])
        cell.call("POST", f"/runs/{run}/cancel")

    def test_a_step_ends_once(self):
        cell, run = self.begin(AGENT, "ends_twice")
        cell.settled(run)
        ends = [event.json["data"] for event in cell.events(run) if event.type == "step.completed"]
        self.assertEqual(["n"], [end["name"] for end in ends if end["name"] == "n"], ends)

    def test_of_what_differs_so_much_is_kept(self):
        cell, run = self.begin(AGENT, "differs")
        paused = cell.settled(run)
        self.assertEqual(("replay_mismatch", 1024 + 1), (paused["reason"], len(paused["detail"]["expected"]["n"])))

    def test_a_run_that_undoes_without_end_is_paused(self):
        cell, run = self.begin(AGENT, "undoes_without_end")
        paused = cell.settled(run)
        self.assertEqual(("paused", "run_too_long"), (paused["status"], paused["reason"]))

    def test_answers_that_nobody_reads_take_so_much_memory(self):
        cell, run = self.begin(AGENT, "asks_and_reads_nothing")
        self.assertEqual("ended", cell.settled(run)["result"])
        self.assertIn("the agent host reads nothing: it is ended", self.daemon.log())
        self.assertLess(self.high_water_bytes(), 800_000_000)  # 400 of them are 6 GB.

    def test_who_says_half_a_frame_is_ended_also_where_it_has_no_run(self):
        cell, run = self.begin(AGENT, "says_half")
        cell.settled(run)
        pid = cell.agent_pid()
        harness.eventually("half of it is said", lambda: cell.call("GET", "/files/half").status == 200)
        harness.eventually("it is ended", lambda: cell.agent_pid() != pid)
