// A run as a line of time: what its events and its steps say, put together.
import type { CellEvent, RunDetail, Step } from "../api/types";

/** Of one step; older output is cut off. */
export const OUTPUT_CHARS_MAX = 64_000;

export interface Execution { start: number; end: number | null; outcome: "running" | "done" | "failed" | "cut" }
export interface Attempt { number: number; cause: string; at: number }
export interface Output { stream: "stdout" | "stderr"; text: string }

export interface Row {
  ordinal: number;
  name: string;
  kind: string;
  status: Step["status"];
  sensitive: boolean;
  executions: Execution[];
  output: Output[];
  cutOff: number; // characters of output that are not kept
  failures: { attempt: number; message: string }[]; // that were followed by another try
  error: string | null;
  progress: unknown;
  replayedIn: number[]; // attempts of the run that took its value from the journal
  step: Step | null; // what the run itself says of it
}

export interface Timeline { begin: number; end: number; attempts: Attempt[]; rows: Row[] }

const text = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));

export function messageOf(error: unknown): string {
  const { name, message } = (error ?? {}) as { name?: unknown; message?: unknown };
  if (message === undefined) return text(error);
  return name === undefined || name === "Error" ? text(message) : `${text(name)}: ${text(message)}`;
}

/** Takes events in their order, each once. */
export class TimelineFold {
  readonly rows = new Map<number, Row>();
  readonly attempts: Attempt[] = [];
  private begin = Infinity;
  private latest = 0;

  add(event: CellEvent): void {
    const at = Date.parse(event.ts);
    this.begin = Math.min(this.begin, at);
    this.latest = Math.max(this.latest, at);
    const data = (event.data ?? {}) as Record<string, unknown>;
    if (event.type === "run.attempt") return this.attempt(Number(data.attempt), text(data.cause), at);
    if (event.type === "stdout" || event.type === "stderr") return this.print(event.type, data, event.step);
    if (typeof data.ordinal !== "number") return;
    const row = this.row(data.ordinal, text(data.name ?? ""), text(data.kind ?? ""));
    if (event.type === "step.started" || event.type === "reset") {
      this.close(row, at, "cut");
      row.executions.push({ start: at, end: null, outcome: "running" });
      row.status = "running";
    } else if (event.type === "step.completed") {
      this.close(row, at, data.ok === true ? "done" : "failed");
      row.status = data.ok === true ? "completed" : "failed";
      row.error = data.ok === true ? null : messageOf(data.error);
    } else if (event.type === "step.retry") {
      this.close(row, at, "failed");
      row.failures.push({ attempt: Number(data.attempt), message: messageOf(data.error) });
      if (typeof data.next_at === "number") row.executions.push({ start: data.next_at, end: null, outcome: "running" });
    } else if (event.type === "step.interrupted") {
      this.close(row, at, "cut");
    } else if (event.type === "step.progress") {
      row.progress = data.progress;
    }
  }

  /** Everything up to now; `run` says what no event does, or not yet: the fold does not keep it. */
  view(run: RunDetail, now: number): Timeline {
    const all = new Map([...this.rows].map(([ordinal, row]) => [ordinal, { ...row, executions: row.executions.map((each) => ({ ...each })) }]));
    for (const step of run.steps) {
      const row = rowIn(all, step.ordinal, step.name, step.kind);
      row.step = step;
      row.status = step.status;
      row.sensitive = step.sensitive !== undefined;
      if (row.executions.length > 0) continue;
      const end = step.ended_at === undefined ? null : Date.parse(step.ended_at);
      const outcome = end === null ? "running" : step.status === "failed" ? "failed" : "done";
      row.executions.push({ start: Date.parse(step.started_at), end, outcome });
    }
    const ended = run.ended_at === undefined ? null : Date.parse(run.ended_at);
    const isOver = ended !== null || run.status === "paused";
    const rows = [...all.values()].sort((a, b) => a.ordinal - b.ordinal);
    for (const row of rows) if (isOver) this.close(row, ended ?? this.latest, "cut");
    const begin = Math.min(this.begin, Date.parse(run.started_at));
    return { begin, end: Math.max(begin + 1, ended ?? (isOver ? this.latest : now)), attempts: this.attempts, rows };
  }

  private row(ordinal: number, name: string, kind: string): Row {
    return rowIn(this.rows, ordinal, name, kind);
  }

  // Another attempt begins: what was finished is replayed from the journal, what was not is cut off.
  private attempt(number: number, cause: string, at: number): void {
    this.attempts.push({ number, cause, at });
    for (const row of this.rows.values()) {
      if (row.status === "completed" || row.status === "failed") row.replayedIn.push(number);
      else if (!isWait(row.kind)) this.close(row, at, "cut");
    }
  }

  // Events of older runs do not say whose output they are: that is known while one command runs.
  private print(stream: "stdout" | "stderr", data: Record<string, unknown>, step: number | undefined): void {
    const open = step !== undefined ? [this.row(step, "", "")]
      : [...this.rows.values()].filter((row) => row.kind === "shell" && row.executions.at(-1)?.end === null);
    const row = open[0];
    if (row === undefined || open.length > 1) return;
    const piece = typeof data.text === "string" ? data.text : `[${text(data.b64).length} characters of base64]`;
    const last = row.output.at(-1);
    if (last?.stream === stream) last.text += piece;
    else row.output.push({ stream, text: piece });
    let over = row.output.reduce((sum, each) => sum + each.text.length, 0) - OUTPUT_CHARS_MAX;
    while (over > 0) {
      const first = row.output[0]!;
      const cut = Math.min(over, first.text.length);
      first.text = first.text.slice(cut);
      row.cutOff += cut;
      over -= cut;
      if (first.text === "") row.output.shift();
    }
  }

  private close(row: Row, at: number, outcome: Execution["outcome"]): void {
    const last = row.executions.at(-1);
    if (last === undefined || last.end !== null) return;
    last.end = Math.max(at, last.start);
    last.outcome = outcome;
  }
}

function rowIn(rows: Map<number, Row>, ordinal: number, name: string, kind: string): Row {
  let row = rows.get(ordinal);
  if (row === undefined) {
    row = { ordinal, name, kind, status: "running", sensitive: false, executions: [], output: [], cutOff: 0, failures: [], error: null,
      progress: null, replayedIn: [], step: null };
    rows.set(ordinal, row);
  }
  // Output may come before anything that names its step.
  row.name ||= name;
  row.kind ||= kind;
  return row;
}

/** A step that waits for a time, an event, a person or another run needs no process. */
export function isWait(kind: string): boolean {
  return kind === "sleep" || kind === "wait" || kind === "approval" || kind === "child";
}
