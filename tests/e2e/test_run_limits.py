"""The limits of a run, each reached: what is too much is refused by name, and nothing is lost by it."""
import hashlib
import os
import signal

import harness

AGENT = """
const fs = require("fs");
function say(ctx, header, body) {  // The daemon reads it without the host between them.
  const texts = [JSON.stringify({ ...header, run: ctx.run.id, a: ctx.run.attempt }), JSON.stringify(body)];
  const sizes = Buffer.alloc(8);
  sizes.writeUInt32LE(texts[0].length, 0);
  sizes.writeUInt32LE(texts[1].length, 4);
  let frame = Buffer.concat([sizes, Buffer.from(texts.join(""))]);
  while (frame.length > 0) frame = frame.subarray(fs.writeSync(3, frame));
}
module.exports = {
  async setup(ctx) {
    const code = await ctx.spawn("other").catch((e) => e.code);
    fs.writeFileSync("/work/setup", code);
  },
  async other() { return 1; },
  async waits(ctx, { count }) {
    const all = Array.from({ length: count }, (_, i) => ctx.waitForEvent("e" + i));
    const refused = await Promise.race(all.map((wait) => wait.catch((e) => e.code)));
    return refused;
  },
  async counts(ctx) { for (;;) ctx.now(); },
  async streams(ctx) {
    const line = "x".repeat(1 << 20 - 2);
    for (let i = 0; i < 100; i += 1) ctx.stream(line);
    return ctx.db.keys().length;
  },
  async records(ctx) {
    for (let i = 0; i < 5; i += 1) await ctx.step("large", () => "v".repeat(250_000));
    await ctx.waitForEvent("end");
  },
  async both(ctx) {
    const large = ctx.shellAsync("head -c 4000000 /dev/zero | tr -c x a; touch /work/printed");
    const small = ctx.shell("while [ ! -e /work/printed ]; do sleep 0.02; done; echo small").stdout;
    return [small, (await large).stdout.length];
  },
  async complains(ctx) { throw new Error("m".repeat(5_000_000)); },
  async lies(ctx) {
    say(ctx, { t: "end", ok: false }, { name: "Error", message: "m".repeat(2 << 20) });
    await new Promise(() => {});
  },
  async odd(ctx) {
    say(ctx, { t: "cmd", o: 9, k: "wait", n: "odd", fp: "", x: 1 }, { type: "go", match: 7 });
    await new Promise(() => {});
  },
  async names(ctx) {
    for (let o = 100; o < 1300; o += 1) say(ctx, { t: "value", o, k: "now", n: "n".repeat(60_000), fp: "" }, 1);
    process.kill(process.pid, "SIGKILL");
  },
  async prints(ctx) {
    const print = "head -c 22M /dev/zero | tr '\\\\0' '\\\\1'";
    const { stdout, truncated } = await ctx.shellAsync(`${print}; ${print} >&2`, { maxOutputBytes: 64 << 20 });
    return [stdout.length, truncated];
  },
};
"""


class RunLimitsTest(harness.CellTest):
    options = ("--run-replay-bytes-max", "1000000", "--agent-stall-timeout-ms", "4000")

    def test_what_a_run_waits_for_at_once_is_limited(self):
        cell, run = self.begin(AGENT, "waits", count=1001)
        self.assertEqual("too_many_waits", cell.settled(run)["result"])

    def test_a_wait_for_events_that_match_no_object_ends_at_once_and_takes_none(self):
        cell, run = self.begin(AGENT, "odd")

        def ended():
            return [step for step in cell.run(run)["steps"] if step["name"] == "odd" and step["status"] != "waiting"]

        step, = harness.eventually("the wait has ended", ended)
        self.assertEqual("failed", step["status"], step)
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/cancel").status)

    def test_a_run_that_asks_without_end_is_paused(self):
        cell = self.cell(agent=AGENT)
        answer = cell.request("counts")
        self.assertEqual((409, "run_too_long", False), (answer.status, answer.json["code"], answer.json["retryable"]), answer)
        self.assertNotIn("Retry-After", answer.headers)
        run = cell.call("GET", "/runs").json["runs"][0]
        self.assertEqual(("paused", "run_too_long"), (run["status"], run["reason"]))
        self.assertIn(f"POST …/runs/{run['id']}/resume", answer.json["remediation"])
        self.assertEqual(1, cell.request("other").json)  # Once the agent, which never stops, is ended.

    def test_an_agent_that_streams_faster_than_the_disk_waits(self):
        cell, run = self.begin(AGENT, "streams")
        self.assertEqual(("completed", 0), (cell.settled(run)["status"], cell.run(run)["result"]))
        self.assertEqual(1, cell.run(run)["attempt"])

    def test_a_run_that_records_more_than_an_agent_can_be_given_is_paused(self):
        cell, run = self.begin(AGENT, "records")
        harness.eventually("all is recorded", lambda: cell.run(run)["status"] == "waiting")
        os.kill(cell.agent_pid(), signal.SIGKILL)
        paused = cell.settled(run)
        self.assertEqual(("paused", "replay_too_large"), (paused["status"], paused["reason"]))
        self.assertEqual(1, cell.request("other").json)

    def test_a_large_result_and_a_synchronous_call_do_not_wait_for_each_other(self):
        cell, run = self.begin(AGENT, "both")
        small, large = cell.settled(run)["result"]
        self.assertEqual("small\n", small)
        self.assertGreater(large, 500_000)

    def test_of_an_error_so_much_is_told(self):
        cell = self.cell(agent=AGENT)
        answer = cell.request("complains")
        self.assertIn("m" * 65_536 + "… (4934464 characters more)", answer.json["error"])
        self.assertLess(len(answer.body), 200_000)
        self.assertIn("an error that cannot be shown: larger than 1 MiB", cell.request("lies").json["error"])
        self.assertEqual(1, cell.request("other").json)

    def test_names_of_a_run_are_limited_together(self):
        cell, run = self.begin(AGENT, "names")
        paused = cell.settled(run)
        self.assertEqual(("paused", "run_too_long"), (paused["status"], paused["reason"]))
        self.assertEqual(1, cell.request("other").json)

    def test_setup_begins_no_runs(self):
        cell, run = self.begin(AGENT, "other")
        self.assertEqual(1, cell.settled(run)["result"])
        self.assertEqual(b"spawn_in_setup", cell.call("GET", "/files/setup").body)


class LargeOutputTest(harness.CellTest):
    def test_output_of_a_command_is_cut_to_what_an_agent_can_be_given(self):
        cell, run = self.begin(AGENT, "prints")
        ended = cell.settled(run)
        self.assertEqual([11 << 20, True], ended.get("result"), ended)


LARGE = """
const { createHash } = require("node:crypto");
exports.fills = async (ctx) => {
  const hash = createHash("sha256");
  for (let i = 0; i < 300; i++) hash.update(await ctx.step("small", () => String(i % 10).repeat(60_000)));
  for (let i = 0; i < 20; i++) hash.update(await ctx.step("large", () => Buffer.alloc(1 << 20, i)));
  for (let i = 0; i < 200; i++) hash.update(await ctx.step("secret", () => String(i % 10).repeat(3000), { sensitive: "output" }));
  for (let i = 0; i < 9; i++) hash.update(await ctx.step("few", () => `${i}`));
  await ctx.waitForEvent("go", { type: "go" });
  return hash.digest("hex");
};
"""


class LargeRunTest(harness.CellTest):
    def test_a_run_that_has_recorded_much_is_given_it_in_pieces(self):
        cell, run = self.begin(LARGE, "fills")  # 46 MB: more than is held in memory at once.
        harness.eventually("all is recorded", lambda: cell.run(run)["status"] == "waiting")
        os.kill(cell.agent_pid(), signal.SIGKILL)
        self.daemon.restart()
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/events", {"type": "go"}).status)
        want = hashlib.sha256()
        for number in range(300):
            want.update(str(number % 10).encode() * 60_000)
        for number in range(20):
            want.update(bytes([number]) * (1 << 20))
        for number in range(200):
            want.update(str(number % 10).encode() * 3000)
        want.update(b"012345678")
        settled = cell.settled(run)
        self.assertEqual(("completed", want.hexdigest()), (settled["status"], cell.run(run)["result"]))
