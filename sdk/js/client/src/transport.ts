// Calls over HTTP: addresses, keys, time, and which calls are sent again.

import { CellarError, ConnectionError, InternalError, InvalidArgumentError, PASSING, errorOf, type Callee } from "./errors.js";
import { fromWire, toWire } from "./names.js";
import { Scope, backoffMs, checkedTimeout, pause } from "./scope.js";

export interface CellarOptions {
  /** Where the daemon is; `CELLAR_URL`, or `http://127.0.0.1:4750`. */
  baseUrl?: string;
  /** `CELLAR_API_KEY` where absent. `null`: none is sent, for pages whose own server adds it. */
  apiKey?: string | null;
  /** Instead of the global one. */
  fetch?: typeof fetch;
  /** Of a call with all its tries, in milliseconds; 60,000 where absent, 0 or Infinity: none. Not of streams and of calls of the agent. */
  timeoutMs?: number;
  /** How often a call that may be repeated is sent again; 2 where absent. */
  retries?: number;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

export interface Call extends CallOptions {
  method: string;
  /** With its parts encoded. */
  path: string;
  query?: Record<string, string | number | boolean | null | undefined>;
  headers?: Record<string, string | undefined>;
  /** Becomes JSON, with the wire's names. */
  json?: unknown;
  /** Becomes JSON as it is. */
  ownJson?: unknown;
  body?: BodyInit | null;
  /**
   * What may be done again: `always`, where a second time changes nothing; `refused`, only where the first one was
   * refused before anything was done.
   */
  repeat: "always" | "refused";
  callee?: Callee;
  /** Told the status of an answer that is no error; and whether a try before it may have done it. */
  onStatus?: (status: number, mayBeDone: boolean) => void;
  /** Codes of 503s that another try does not change. */
  finalCodes?: ReadonlySet<string>;
  /** How often it is sent again; as the client says where absent. */
  retries?: number;
  /** One thing, however often it is sent: once somebody had it, it is sent again for as long as a stream is looked for. */
  isDurable?: boolean;
  /** Statuses from 300 on that are answers, and no errors. */
  accepts?: readonly number[];
}

/** An answer whose body is still to be read. `scope` is to be closed then. */
export interface Opened {
  response: Response;
  scope: Scope;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_RETRIES = 2;
const FIRST_PAUSE_MS = 100;
const PAUSE_MAX_MS = 5_000;
/** Longer than this the server is not waited for: the caller is told instead; of a stream, it is asked again. */
export const RETRY_AFTER_MAX_MS = 60_000;
// Whoever waited so long for an answer that broke off has not failed at once: its tries begin anew.
const LONG_WAIT_MS = 30_000;
/** For how long what goes on by itself is looked for, before the error is thrown. */
export const GIVE_UP_MS = 300_000;
const PATIENT_PAUSE_MAX_MS = 10_000;
// Of what is durable where the runtime does not say whether anybody had it (browsers): some 5 s together.
const UNSURE_RETRIES = 6;
// 503s that say that nothing was begun.
const REFUSALS = new Set(["no_capacity", "cell_not_opened", "too_many_connections"]);
// What fetch of Node.js says where no connection came about.
const NOT_CONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]);
// And where nobody could be reached: at once, or in the middle of a connection that was there.
const UNREACHABLE = new Set(["EHOSTUNREACH", "ENETUNREACH"]);
// And where one broke that was there.
const CUT = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);

export const encode = encodeURIComponent;

/** A part of a path. What an address takes for a step up or for nothing would lead to another call. */
export function segment(what: string, value: string): string {
  if (typeof value === "string" && value !== "" && value !== "." && value !== "..") return encode(value);
  throw new InvalidArgumentError(`${what} must be a name, and is ${JSON.stringify(value)}`, {
    code: `invalid_${what.replace(/ /g, "_")}`,
  });
}

/** A header's value for fetch, whose letters are bytes: those of UTF-8. */
function headerOf(value: string): string {
  return Array.from(new TextEncoder().encode(value), (byte) => String.fromCharCode(byte)).join("");
}

function environment(name: string): string | undefined {
  return (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env?.[name];
}

function addressOf(baseUrl: string): string {
  let url: URL;
  try {
    url = new URL(baseUrl);
  } catch {
    throw new InvalidArgumentError(`baseUrl "${baseUrl}" is no address`, {
      code: "invalid_base_url",
      remediation: "give it with its scheme, such as http://127.0.0.1:4750",
    });
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new InvalidArgumentError(`baseUrl "${baseUrl}" must begin with http:// or https://`, { code: "invalid_base_url" });
  }
  return url.href.replace(/[?#].*$/, "").replace(/\/+$/, "");
}

interface Failure {
  code?: unknown;
  syscall?: unknown;
  cause?: unknown;
  /** Of a name with several addresses: one for each. */
  errors?: unknown[];
}

function isCausedBy(is: (failure: Failure) => boolean, error: unknown): boolean {
  for (let at = error as Failure | undefined, depth = 0; at && depth < 4; depth += 1) {
    if (is(at)) return true;
    at = (at.cause ?? at.errors?.[0]) as Failure | undefined;
  }
  return false;
}

const hasCode = (codes: ReadonlySet<string>, { code }: Failure) => typeof code === "string" && codes.has(code);

/** Whether the connection never came about: nothing was sent. */
const wasNeverSent = (error: unknown) =>
  isCausedBy((at) => hasCode(NOT_CONNECTED, at) || (at.syscall === "connect" && hasCode(UNREACHABLE, at)), error);

/** Whether a connection broke that was there, or may have been. */
const mayHaveBeenSent = (error: unknown) => error instanceof ConnectionError && !wasNeverSent(error);

/** A gateway says 502 and 504 of what it had passed on, too. */
const mayHaveBeenDone = (error: CellarError) => mayHaveBeenSent(error) || error.status === 502 || error.status === 504;

/** How often one call is sent again, over all its failures. */
export class Tries {
  readonly #call: Call;
  readonly #retries: number;
  #failures = 0;
  #brokenSince = 0;
  #wasSent = false;
  #wasMaybeSent = false;

  constructor(call: Call, retries: number) {
    this.#call = call;
    this.#retries = retries;
  }

  /** Something came: whoever had it has it still, and the tries begin anew. */
  heard(): void {
    this.#wasSent = true;
    this.#failures = this.#brokenSince = 0;
  }

  /** The pause after a try that took so long, before the next one; undefined: there is none. */
  after(error: CellarError, tookMs: number): number | undefined {
    if (tookMs > LONG_WAIT_MS && mayHaveBeenSent(error)) this.heard();
    this.#brokenSince ||= Date.now();
    this.#wasSent ||= error instanceof ConnectionError && isCausedBy((at) => hasCode(CUT, at), error);
    this.#wasMaybeSent ||= !wasNeverSent(error);
    const isPatient = this.#call.isDurable === true && this.#wasSent;
    const isOver = isPatient ? Date.now() - this.#brokenSince > GIVE_UP_MS : this.#failures >= this.#retriesMax();
    if (isOver || !mayRepeat(this.#call, error)) return undefined;
    const ms = backoffMs(this.#failures, FIRST_PAUSE_MS, isPatient ? PATIENT_PAUSE_MAX_MS : PAUSE_MAX_MS);
    this.#failures += 1;
    return Math.max(error.retryAfterMs ?? 0, ms);
  }

  #retriesMax(): number {
    return this.#call.isDurable && this.#wasMaybeSent ? Math.max(this.#retries, UNSURE_RETRIES) : this.#retries;
  }
}

/** A call after a try of it that failed, which may have done it all the same. */
function afterwards(call: Call, error: CellarError): Call {
  const { onStatus } = call;
  const isDone = mayHaveBeenDone(error);
  // What was deleted is not there any more: that is what was wanted.
  if (call.method === "DELETE") return isDone ? { ...call, accepts: [404] } : call;
  // A daemon that ends says 503 of what it was at.
  const isUnknown = isDone || (error.status === 503 && !REFUSALS.has(error.code));
  return isUnknown && onStatus ? { ...call, onStatus: (status) => onStatus(status, true) } : call;
}

function mayRepeat(call: Call, error: CellarError): boolean {
  if (call.body instanceof ReadableStream) return false; // It is read already.
  if (error instanceof ConnectionError) return call.repeat === "always" || wasNeverSent(error);
  if ((error.retryAfterMs ?? 0) > RETRY_AFTER_MAX_MS) return false;
  if (error.status === 429) return true;
  if (!PASSING.has(error.status)) return false;
  if (call.finalCodes?.has(error.code)) return false;
  return REFUSALS.has(error.code) || (call.repeat === "always" && error.retryable);
}

export class Transport {
  readonly baseUrl: string;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly #apiKey: string | null;
  readonly #fetch: typeof fetch;
  readonly #closing = new AbortController();

  constructor(options: CellarOptions) {
    this.baseUrl = addressOf(options.baseUrl ?? environment("CELLAR_URL") ?? "http://127.0.0.1:4750");
    const apiKey = options.apiKey === undefined ? environment("CELLAR_API_KEY") : options.apiKey;
    if (apiKey === undefined || apiKey === "") {
      throw new InvalidArgumentError("there is no API key", {
        code: "api_key_missing",
        remediation: "set CELLAR_API_KEY or give apiKey (null: none is sent)",
      });
    }
    this.#apiKey = apiKey;
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.timeoutMs = checkedTimeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    this.retries = options.retries ?? DEFAULT_RETRIES;
  }

  /** Ends every call and stream that is under way. */
  close(): void {
    this.#closing.abort(new ConnectionError("the client was closed", { code: "client_closed" }));
  }

  /** Aborted when the client is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** What every call has; without a key nothing. */
  get keyHeaders(): Record<string, string> {
    return this.#apiKey === null ? {} : { authorization: headerOf(`Bearer ${this.#apiKey}`) };
  }

  url(path: string, query: Call["query"] = {}): string {
    const words = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
    const text = words.map(
      ([name, value]) => `${encode(name)}=${encode(value === true ? 1 : value === false ? 0 : String(value))}`,
    );
    return `${this.baseUrl}${path}${text.length > 0 ? `?${text.join("&")}` : ""}`;
  }

  /** The answer's JSON, with this SDK's names. */
  json<T>(call: Call): Promise<T> {
    return this.read(call, async (response) => fromWire<T>(parsed(response, await response.text())));
  }

  async nothing(call: Call): Promise<void> {
    await this.read(call, (response) => response.arrayBuffer());
  }

  /** What `take` makes of the answer; broken off in the middle, the call is tried again like any other. */
  read<T>(call: Call, take: (response: Response) => Promise<T>): Promise<T> {
    return this.#tries(call, async (response, scope) => {
      const taken = await take(response);
      scope.close();
      return taken;
    });
  }

  /** The answer with its body unread, and without its clock. `leave` ends it, too. */
  open(call: Call, leave?: AbortSignal): Promise<Opened> {
    const opened = async (response: Response, scope: Scope): Promise<Opened> => {
      scope.stopClock();
      return { response, scope };
    };
    return this.#tries(call, opened, leave);
  }

  async #tries<T>(call: Call, take: (response: Response, scope: Scope) => Promise<T>, leave?: AbortSignal): Promise<T> {
    const what = `${call.method} ${call.path}`;
    const scope = new Scope([call.signal, leave, this.#closing.signal], call.timeoutMs ?? this.timeoutMs, what);
    try {
      let sent: Call = call;
      const tries = new Tries(call, call.retries ?? this.retries);
      for (;;) {
        const began = Date.now();
        try {
          return await this.#once(sent, scope, take);
        } catch (error) {
          if (scope.signal.aborted) throw scope.signal.reason;
          if (error instanceof CellarError) sent = afterwards(sent, error);
          const pauseMs = tries.after(error as CellarError, Date.now() - began);
          if (pauseMs === undefined) throw error;
          await pause(pauseMs, scope.signal);
        }
      }
    } catch (error) {
      scope.close();
      throw error;
    }
  }

  async #once<T>(call: Call, scope: Scope, take: (response: Response, scope: Scope) => Promise<T>): Promise<T> {
    const init = this.#init(call, scope.signal); // Throws TypeError for what no JSON and no header can hold.
    try {
      const response = await this.#fetch(this.url(call.path, call.query), init);
      if (response.ok || call.accepts?.includes(response.status)) {
        call.onStatus?.(response.status, false);
        return await take(response, scope);
      }
      if (response.type === "opaqueredirect") throw redirected(this.baseUrl);
      throw errorOf(response.status, await response.text(), response.headers, call.callee);
    } catch (error) {
      if (error instanceof CellarError || scope.signal.aborted) throw error;
      throw connectionError(error, `${call.method} ${call.path} of ${this.baseUrl}`);
    }
  }

  #init(call: Call, signal: AbortSignal): RequestInit {
    const headers = new Headers(this.keyHeaders);
    for (const [name, value] of Object.entries(call.headers ?? {})) {
      if (value !== undefined) headers.set(name, headerOf(value));
    }
    // Followed, a POST would become a GET whose answer looks like one.
    const init: RequestInit & { duplex?: "half" } = { method: call.method, headers, signal, redirect: "manual" };
    if (call.json !== undefined || call.ownJson !== undefined) {
      headers.set("content-type", "application/json");
      init.body = JSON.stringify(call.json !== undefined ? toWire(call.json) : call.ownJson);
    } else if (call.body !== undefined && call.body !== null) {
      headers.set("content-type", "application/octet-stream");
      init.body = call.body;
      if (call.body instanceof ReadableStream) init.duplex = "half";
    }
    return init;
  }
}

/** A browser says of a redirect only that it is one. */
function redirected(baseUrl: string): InvalidArgumentError {
  return new InvalidArgumentError(`${baseUrl} answered with a redirect, which is not followed`, {
    code: "redirected",
    remediation: "give the address that it leads to as baseUrl",
  });
}

/** The JSON of an answer. */
export function parsed(response: Response, text: string): unknown {
  if (response.headers.get("content-type")?.includes("json")) return JSON.parse(text);
  throw new InternalError(`${response.url} did not answer with JSON`, {
    status: response.status,
    code: "unexpected_answer",
    remediation: "the daemon may be older than this client, or the address another program's",
  });
}

export function connectionError(cause: unknown, what: string): ConnectionError {
  const words: string[] = [];
  for (let at = cause as { message?: string; cause?: unknown } | undefined, depth = 0; at && depth < 4; depth += 1) {
    if (at.message) words.push(at.message);
    at = at.cause as typeof at;
  }
  return new ConnectionError(`${what}: ${words.join(": ") || "no answer"}`, { code: "connection", cause, retryable: true });
}
