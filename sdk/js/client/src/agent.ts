// Calls of the agent's methods: one run each, however often they are sent.

import { AgentError } from "./errors.js";
import { isPassing } from "./follow.js";
import { Items } from "./items.js";
import type { View } from "./runs.js";
import { Scope, backoffMs, pause } from "./scope.js";
import { EventParser, readEvents, type ServerEvent } from "./sse.js";
import { GIVE_UP_MS, connectionError, parsed, segment } from "./transport.js";
import type { Call, CallOptions, Opened, Transport } from "./transport.js";

export interface AgentCallOptions extends CallOptions {
  /** The same call is one run, however often it is sent. Made anew for each call where absent. */
  idempotencyKey?: string | undefined;
}

export interface AgentStreamOptions extends AgentCallOptions {
  /** `committed`: what it streams inside of a step comes once that has ended, from its last attempt only. */
  view?: View | undefined;
}

const RECONNECT_FIRST_MS = 100;
const RECONNECT_MAX_MS = 10_000;
// Answered by the daemon and no run: a second call makes a second record.
const NOT_REPEATABLE = new Set(["db_create"]);
// Why a run is paused. It stays so until somebody decides: to ask again is to be told again.
const PAUSES = new Set([
  "crash_loop",
  "agent_host_missing",
  "replay_mismatch",
  "ambiguous_step",
  "values_sealed",
  "run_too_long",
  "replay_too_large",
  "journal_full",
  "max_awake",
  "user",
]);

function callOf(method: string, options: AgentStreamOptions, call: Pick<Call, "path" | "ownJson" | "headers">): Call {
  return {
    ...call,
    method: "POST",
    query: { view: options.view },
    headers: { ...call.headers, "idempotency-key": options.idempotencyKey ?? newKey() },
    repeat: NOT_REPEATABLE.has(method) ? "refused" : "always",
    finalCodes: PAUSES,
    isDurable: true,
    callee: "agent",
  };
}

export function newKey(): string {
  const bytes = new Uint8Array(16);
  // Node.js 18 has no global `crypto`. A key needs to be a new one, not a secret one.
  if (globalThis.crypto) globalThis.crypto.getRandomValues(bytes);
  else bytes.forEach((_, at) => (bytes[at] = Math.floor(Math.random() * 256)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function cellCall(cellPath: string, method: string, params: unknown, options: AgentStreamOptions): Call {
  const body = params === undefined ? { method } : { method, params };
  return callOf(method, options, { path: `${cellPath}/request`, ownJson: body });
}

export function customerCall(customerId: string, method: string, params: unknown, options: AgentStreamOptions): Call {
  const headers = { "x-customer-id": customerId };
  return callOf(method, options, { path: `/api/v1/agents/${segment("method", method)}`, ownJson: params ?? {}, headers });
}

/** The method's return value; of a method that streams, too. */
export async function request<T>(transport: Transport, call: Call, options: AgentCallOptions): Promise<T> {
  const scope = new Scope([options.signal], options.timeoutMs ?? 0, `${call.method} ${call.path}`);
  try {
    let last: unknown;
    for await (const item of stream<unknown>(transport, call, { signal: scope.signal })) last = item;
    return last as T;
  } finally {
    scope.close();
  }
}

/** What the method streams, and at last its return value. After a break it goes on with the next item. */
export function stream<T>(transport: Transport, call: Call, options: CallOptions): Items<T> {
  const { timeoutMs = 0 } = options; // Until it begins.
  return new Items<T>((signal) => read<T>(transport, { ...call, timeoutMs }, signal), options.signal);
}

async function* read<T>(transport: Transport, call: Call, signal: AbortSignal): AsyncGenerator<T, void, undefined> {
  let after: string | undefined; // the number of the item that was given last
  let failures = 0;
  let brokenSince = 0;
  let wasConnected = false;
  let wasQuiet = false; // the last connection came to an end that was not said to be the stream's
  let ending: AgentError | undefined;
  for (;;) {
    try {
      const headers = { ...call.headers, accept: "text/event-stream", "last-event-id": after };
      const opened = await transport.open({ ...call, headers }, signal);
      wasConnected = true;
      const answer: Answer = { parser: new EventParser() };
      let isNew = false;
      for await (const { id, item } of itemsOf(opened, answer)) {
        failures = brokenSince = 0;
        isNew = true;
        yield item as T;
        after = id;
      }
      // Behind what has no number nothing can be gone on. A server that does not say its end has it where a second
      // connection brings nothing.
      const isAll = isNew ? after === undefined : wasQuiet;
      if (isAll || answer.parser.hasEnded || call.repeat !== "always") {
        ending = answer.failure;
        break;
      }
      wasQuiet = true;
      brokenSince ||= Date.now();
    } catch (error) {
      wasQuiet = false;
      const now = Date.now();
      brokenSince ||= now;
      const isOver = signal.aborted || !isPassing(error) || PAUSES.has(error.code);
      if (isOver || call.repeat !== "always" || !wasConnected || now - brokenSince > GIVE_UP_MS) throw error;
    }
    await pause(backoffMs(failures, RECONNECT_FIRST_MS, RECONNECT_MAX_MS), signal);
    failures += 1;
  }
  if (ending) throw ending;
}

/** One connection's part of it. */
interface Answer {
  readonly parser: EventParser;
  /** That of the run, where it is the last thing that came. */
  failure?: AgentError;
}

async function* itemsOf(opened: Opened, answer: Answer): AsyncGenerator<{ id: string | undefined; item: unknown }> {
  const { response, scope } = opened;
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    yield { id: undefined, item: parsed(response, await textOf(opened)) };
    return;
  }
  const run = response.headers.get("x-cellar-run");
  let held: { failure: AgentError; id: string | undefined; item: unknown } | undefined;
  for await (const event of readEvents({ response, scope }, answer.parser)) {
    if (held) yield held; // Something followed: it was the agent's own.
    held = undefined;
    if (event.data === "[DONE]") continue;
    const { id } = event;
    const item: unknown = JSON.parse(event.data);
    const failure = failureIn(item, run, event);
    if (failure) held = { failure, id, item };
    else yield { id, item };
  }
  if (held) answer.failure = held.failure;
}

async function textOf({ response, scope }: Opened): Promise<string> {
  try {
    return await response.text();
  } catch (error) {
    if (scope.signal.aborted) throw scope.signal.reason;
    throw connectionError(error, "the answer of an agent");
  } finally {
    scope.close();
  }
}

/** How a stream tells that its run failed, if it is the last thing in it. */
function failureIn(item: unknown, run: string | null, event: ServerEvent): AgentError | undefined {
  if (run === null || event.type !== "message" || item === null || typeof item !== "object") return undefined;
  const said = item as { error?: unknown; code?: unknown; run?: unknown };
  if (said.run !== run || typeof said.error !== "string" || typeof said.code !== "string") return undefined;
  return new AgentError(said.error, { code: said.code, run });
}
