// Runs of a cell: begun, waited for, watched, decided about.

import { newKey, type AgentCallOptions } from "./agent.js";
import { CellarError, ConnectionError, TimeoutError } from "./errors.js";
import { follow, type FollowOptions } from "./follow.js";
import type * as api from "./generated.js";
import type { Items } from "./items.js";
import { fromWire } from "./names.js";
import { pages } from "./pages.js";
import { Scope, checkedTimeout, pause } from "./scope.js";
import { Tries, segment, type Call, type CallOptions, type Transport } from "./transport.js";

export interface AwaitOptions extends CallOptions {
  /** How long to wait in all; without it, until the run is settled. */
  timeoutMs?: number | undefined;
  view?: View | undefined;
}

/** `committed`: only what can never be thrown away again, steps that have ended and what they said. */
export type View = "live" | "committed";

export interface RunEventsOptions extends FollowOptions {
  view?: View | undefined;
}

const LAST = new Set(["run.completed", "run.failed", "run.cancelled"]);
const SETTLED = new Set<api.Run["status"]>(["completed", "failed", "cancelled", "paused"]);
const ENDED = new Set<api.Run["status"]>(["completed", "failed", "cancelled"]);
const WAIT_S = 45; // of one call: proxies end what is silent for a minute
const WAIT_SLACK_MS = 30_000;

type Again = Pick<Call, "repeat" | "isDurable">;
const DURABLE = { repeat: "always", isDurable: true } as const;

/** Of one poll: nobody is at the other end any more. How long it took tells nothing of that. */
const silenceOf = (error: TimeoutError) => new ConnectionError(error.message, { code: "silence", retryable: true });

/** What begins a run: with its key it is one, however often it is sent. */
function asOne({ idempotencyKey, ...options }: AgentCallOptions) {
  return { headers: { "idempotency-key": idempotencyKey ?? newKey() }, ...DURABLE, ...options };
}

export class Runs {
  readonly #transport: Transport;
  readonly #path: string;

  constructor(transport: Transport, cellPath: string) {
    this.#transport = transport;
    this.#path = `${cellPath}/runs`;
  }

  /** Begins a run and does not wait for it. It is on disk when this resolves; tried again, it is still one run. */
  start(method: string, params?: unknown, options: AgentCallOptions = {}): Promise<api.RunDetail> {
    const body = params === undefined ? { method } : { method, params };
    return this.#transport.json({ method: "POST", path: this.#path, ownJson: body, ...asOne(options) });
  }

  /** All that are kept, the newest first, over as many pages of `limit` as it takes. */
  list(options: CallOptions & { limit?: number } = {}): Items<api.Run> {
    const { limit, ...rest } = options;
    return pages<api.Run, api.Run>(this.#transport, this.#path, "runs", limit ?? 100, rest, (run) => run);
  }

  get(run: string, options: CallOptions & { view?: View | undefined } = {}): Promise<api.RunDetail> {
    const { view, ...rest } = options;
    return this.#transport.json({ method: "GET", path: this.#one(run), query: { view }, repeat: "always", ...rest });
  }

  /**
   * Waits until it is completed, failed, cancelled or paused; also resolves, as it is then, when the time is over. A daemon
   * that is started again meanwhile is waited for as long as a stream is looked for.
   */
  async await(run: string, options: AwaitOptions = {}): Promise<api.RunDetail> {
    const end = Date.now() + checkedTimeout(options.timeoutMs ?? Infinity);
    const call: Call = { method: "GET", path: `${this.#one(run)}/await`, ...DURABLE };
    const scope = new Scope([options.signal, this.#transport.closing]);
    const tries = new Tries(call, this.#transport.retries);
    try {
      for (;;) {
        const began = Date.now();
        const timeout = Math.min(WAIT_S, Math.max(0, Math.ceil((end - began) / 1000)));
        const query = { timeout, view: options.view };
        const timeoutMs = timeout * 1000 + WAIT_SLACK_MS;
        try {
          // Each time with what is left of the time, so that it is tried again here.
          const once = { ...call, query, signal: scope.signal, timeoutMs, retries: 0, isDurable: false };
          const now = await this.#transport.json<api.RunDetail>(once);
          if (SETTLED.has(now.status) || Date.now() >= end) return now;
          tries.heard();
        } catch (error) {
          if (scope.signal.aborted || !(error instanceof CellarError) || Date.now() >= end) throw error;
          const pauseMs = error instanceof TimeoutError ? tries.after(silenceOf(error), 0) : tries.after(error, Date.now() - began);
          if (pauseMs === undefined) throw error;
          await pause(Math.min(pauseMs, Math.max(0, end - Date.now())), scope.signal);
        }
      }
    } finally {
      scope.close();
    }
  }

  /** Its events, each once and in order, until it has ended. `reset` comes where a step is executed again, and never in the view `committed`. */
  events(run: string, options: RunEventsOptions = {}): Items<api.Event> {
    return follow<api.Event>({
      transport: this.#transport,
      call: { method: "GET", path: `${this.#one(run)}/events`, query: { view: options.view }, repeat: "always" },
      options,
      take: ({ data }) => fromWire<api.Event>(JSON.parse(data)),
      isLast: ({ type }) => LAST.has(type),
      isOver: async (signal) => ENDED.has((await this.get(run, { signal })).status),
    });
  }

  /** Answers when it has ended. */
  cancel(run: string, how: api.CancelRunBody = {}, options: CallOptions = {}): Promise<api.RunDetail> {
    return this.#change(run, "cancel", how, { timeoutMs: this.#transport.timeoutMs + (how.graceMs ?? 0), ...options });
  }

  /** Answers one that waits for an approval. */
  approve(run: string, answer: api.ApproveStepBody, options: CallOptions = {}): Promise<api.RunDetail> {
    return this.#change(run, "approve", answer, options);
  }

  pause(run: string, options: CallOptions = {}): Promise<api.RunDetail> {
    return this.#change(run, "pause", undefined, options);
  }

  /** Lets a paused one go on, with a decision about its interrupted step where it waits for that. */
  resume(run: string, how: api.ResumeRunBody = {}, options: CallOptions = {}): Promise<api.RunDetail> {
    return this.#change(run, "resume", how, options);
  }

  /** Tries it with another agent, or with the cell's of today; nothing of it changes. */
  replay(run: string, what: api.ReplayRunBody = {}, options: CallOptions = {}): Promise<api.ReplayRunAnswer> {
    return this.#post(run, "replay", what, { repeat: "always" }, options);
  }

  /** Begins it again as a new run, one however often it is sent: from its beginning, from a step, or behind all that is recorded. */
  restart(run: string, what: api.RestartRunBody = {}, options: AgentCallOptions = {}): Promise<api.RunDetail> {
    return this.#transport.json({ method: "POST", path: `${this.#one(run)}/restart`, json: what, ...asOne(options) });
  }

  /** Sends it an event. With its `id` (made where absent) it is taken once, however often it is sent. */
  sendEvent(run: string, event: api.SendEventBody, options: CallOptions = {}): Promise<api.SendEventAnswer> {
    return this.#post(run, "events", { ...event, id: event.id ?? newKey() }, DURABLE, options);
  }

  #one(run: string): string {
    return `${this.#path}/${segment("run", run)}`;
  }

  #change(run: string, verb: string, json: unknown, options: CallOptions): Promise<api.RunDetail> {
    return this.#post(run, verb, json, { repeat: "refused" }, options);
  }

  #post<T>(run: string, verb: string, json: unknown, again: Again, options: CallOptions): Promise<T> {
    return this.#transport.json<T>({ method: "POST", path: `${this.#one(run)}/${verb}`, json, ...again, ...options });
  }
}
