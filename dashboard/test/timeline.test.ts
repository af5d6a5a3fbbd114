import assert from "node:assert/strict";
import { test } from "node:test";
import type { CellEvent, RunDetail } from "../src/api/types";
import { scaleOf } from "../src/model/scale";
import { OUTPUT_CHARS_MAX, TimelineFold } from "../src/model/timeline";

const BEGIN = Date.parse("2026-01-01T00:00:00Z");
const iso = (ms: number) => new Date(BEGIN + ms).toISOString();

/** Events as [time in ms, type, data]. */
function folded(events: [number, string, unknown][], fold = new TimelineFold()): TimelineFold {
  events.forEach(([ms, type, data], seq) => fold.add({ seq, ts: iso(ms), type, data } as CellEvent));
  return fold;
}

const run = (fields: Partial<RunDetail> = {}): RunDetail =>
  ({ id: "run_1", method: "fix", status: "running", attempt: 1, started_at: iso(0), steps_done: 0, params: {}, steps: [], ...fields });

const started = (ordinal: number, name: string, kind = "step") => ({ ordinal, name, kind, execution: 1 });

test("after a crash finished steps are replayed, and the one that was cut off is executed again", () => {
  const fold = folded([
    [0, "step.started", started(1, "build")], [100, "step.completed", { ordinal: 1, ok: true }],
    [100, "step.started", started(2, "test")],
    [250, "run.attempt", { attempt: 2, cause: "agent_exit" }],
    [300, "reset", { ...started(2, "test"), execution: 2 }], [400, "step.completed", { ordinal: 2, ok: true }],
  ]);
  const { rows, attempts } = fold.view(run(), BEGIN + 500);
  assert.deepEqual(attempts, [{ number: 2, cause: "agent_exit", at: BEGIN + 250 }]);
  assert.deepEqual(rows.map((row) => [row.name, row.status, row.replayedIn]), [["build", "completed", [2]], ["test", "completed", []]]);
  assert.deepEqual(rows[1]!.executions.map((each) => [each.start - BEGIN, each.end! - BEGIN, each.outcome]), [[100, 250, "cut"], [300, 400, "done"]]);
});

test("an attempt that failed is shown beside the one that followed it", () => {
  const fold = folded([
    [0, "step.started", started(1, "upload")],
    [10, "step.retry", { ordinal: 1, attempt: 1, error: { name: "TypeError", message: "503" }, next_at: BEGIN + 200 }],
    [260, "step.completed", { ordinal: 1, ok: false, error: { name: "Error", message: "gone" } }],
  ]);
  const [row] = fold.view(run(), BEGIN + 300).rows;
  assert.deepEqual(row!.executions.map((each) => [each.start - BEGIN, each.end! - BEGIN, each.outcome]), [[0, 10, "failed"], [200, 260, "failed"]]);
  assert.deepEqual([row!.failures, row!.error, row!.status], [[{ attempt: 1, message: "TypeError: 503" }], "gone", "failed"]);
});

test("output belongs to the command that runs, in its order, and its oldest part is cut off", () => {
  const fold = folded([[0, "step.started", started(1, "npm test", "shell")], [1, "stdout", { text: "a" }], [2, "stdout", { text: "b" }], [3, "stderr", { text: "c" }]]);
  assert.deepEqual(fold.rows.get(1)!.output, [{ stream: "stdout", text: "ab" }, { stream: "stderr", text: "c" }]);
  folded([[4, "stdout", { text: "x".repeat(OUTPUT_CHARS_MAX) }]], fold);
  const { output, cutOff } = fold.rows.get(1)!;
  assert.deepEqual([output.reduce((sum, each) => sum + each.text.length, 0), cutOff], [OUTPUT_CHARS_MAX, 3]);
});

test("output of commands that run at once is shown with none of them", () => {
  const fold = folded([[0, "step.started", started(1, "a", "shell")], [0, "step.started", started(2, "b", "shell")], [1, "stdout", { text: "whose?" }],
    [2, "step.completed", { ordinal: 1, ok: true }], [3, "stdout", { text: "b's" }]]);
  assert.deepEqual([...fold.rows.values()].map((row) => row.output), [[], [{ stream: "stdout", text: "b's" }]]);
});

test("output that says whose it is is shown with that step, also with others at once and before its name", () => {
  const fold = folded([[0, "step.started", started(1, "a", "shell")], [0, "step.started", started(2, "b", "shell")]]);
  [[2, "b's"], [1, "a's"], [3, "c's"]].forEach(([step, text], seq) => fold.add({ seq, ts: iso(1), type: "stdout", step, data: { text } } as CellEvent));
  folded([[2, "step.completed", { ordinal: 3, name: "c", kind: "shell", ok: true }]], fold);
  assert.deepEqual([...fold.rows.values()].map((row) => [row.name, row.kind, row.output[0]!.text]), [["a", "shell", "a's"], ["b", "shell", "b's"], ["c", "shell", "c's"]]);
});

test("what the run says before its events come is not executed once more when they do", () => {
  const fold = new TimelineFold();
  const step = { ordinal: 1, name: "build", kind: "step", status: "running", attempts: 1, executed: 1, started_at: iso(0) } as const;
  assert.equal(fold.view(run({ steps: [step] }), BEGIN + 50).rows[0]!.executions.length, 1);
  folded([[0, "step.started", started(1, "build")]], fold);
  assert.equal(fold.view(run({ steps: [step] }), BEGIN + 50).rows[0]!.executions.length, 1);
});

test("a committed step, which only ends, is drawn as the run says", () => {
  const fold = folded([[400, "step.completed", { ordinal: 1, name: "test", kind: "step", ok: true }]]);
  const step = { ordinal: 1, name: "test", kind: "step", status: "completed", attempts: 1, executed: 2, started_at: iso(300), ended_at: iso(400) } as const;
  const [row] = fold.view(run({ steps: [step] }), BEGIN + 500).rows;
  assert.deepEqual([row!.name, row!.status, row!.executions], ["test", "completed", [{ start: BEGIN + 300, end: BEGIN + 400, outcome: "done" }]]);
});

test("what no event told is taken from the run itself, and nothing goes on in a run that has ended", () => {
  const step = { ordinal: 4, name: "deploy", kind: "approval", status: "waiting", attempts: 1, executed: 1, started_at: iso(50) } as const;
  const live = new TimelineFold().view(run({ status: "waiting", steps: [step] }), BEGIN + 90);
  assert.deepEqual([live.end - BEGIN, live.rows[0]!.executions[0]!.end], [90, null]);
  const over = new TimelineFold().view(run({ status: "cancelled", ended_at: iso(70), steps: [step] }), BEGIN + 90);
  assert.deepEqual([over.end - BEGIN, over.rows[0]!.executions[0]], [70, { start: BEGIN + 50, end: BEGIN + 70, outcome: "cut" }]);
});

test("a long wait is drawn short, and every time has its place in order", () => {
  const fold = folded([
    [0, "step.started", started(1, "build")], [1000, "step.completed", { ordinal: 1, ok: true }],
    [1000, "step.started", started(2, "ask", "approval")], [3_600_000, "step.completed", { ordinal: 2, ok: true }],
    [3_600_000, "step.started", started(3, "deploy")], [3_601_000, "step.completed", { ordinal: 3, ok: true }],
  ]);
  const scale = scaleOf(fold.view(run({ status: "completed", ended_at: iso(3_601_000) }), 0));
  assert.equal(scale.gaps.length, 1);
  assert.ok(scale.gaps[0]!.width < 15 && scale.gaps[0]!.ms === 3_599_000, JSON.stringify(scale.gaps));
  const places = [0, 500, 1000, 2_000_000, 3_600_000, 3_600_500, 3_601_000].map((ms) => scale.place(BEGIN + ms));
  assert.deepEqual(places, [...places].sort((a, b) => a - b));
  assert.deepEqual([places[0], Math.round(places.at(-1)!)], [0, 100]);
  for (const ms of [250, 3_600_250]) assert.ok(Math.abs(scale.at(scale.place(BEGIN + ms)) - BEGIN - ms) < 1);
});

test("a run without steps, and one that only waits, have a line of time, too", () => {
  assert.deepEqual(scaleOf(new TimelineFold().view(run({ status: "failed", ended_at: iso(0) }), 0)).gaps, []);
  const waits = folded([[0, "step.started", started(1, "sleep", "sleep")]]).view(run(), BEGIN + 1000);
  assert.deepEqual([scaleOf(waits).place(BEGIN + 500), scaleOf(waits).gaps.length], [50, 0]);
});
