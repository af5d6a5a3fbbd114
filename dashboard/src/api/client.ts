// The one place that talks to the daemon: with the visitor's key, on the page's own origin.
import { EventParser, type ServerEvent } from "./sse";
import { asSegments } from "../model/route";

export class ApiError extends Error {
  constructor(message: string, readonly status: number, readonly code: string, readonly remediation: string, readonly requestId: string) {
    super(message);
  }
}

/** What a caller can say that the daemon said nothing: it does not run, or the network is away. */
export class Unreachable extends Error {}

export interface Options {
  method?: string;
  body?: unknown; // JSON, but for strings and bytes, which are sent as they are
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export interface StreamHandlers {
  onEvent(event: ServerEvent): void;
  onState(state: "open" | "waiting"): void;
}

const RETRY_MS_MAX = 15_000;

async function errorOf(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  try {
    const told = JSON.parse(text);
    return new ApiError(String(told.error), response.status, String(told.code ?? ""), String(told.remediation ?? ""), String(told.request_id ?? ""));
  } catch {
    return new ApiError(`the daemon answers ${response.status}`, response.status, "", "look into the daemon's log", "");
  }
}

export class Client {
  private description: Promise<Record<string, unknown>> | null = null;

  /**
   * `onRefused` hears that the key is not taken any more. `retryMs`: until the first try to make a broken stream anew;
   * `unseenMs`: how long one is kept for a page that nobody sees.
   */
  constructor(readonly key: string, private readonly onRefused: () => void, readonly retryMs = 500, private readonly unseenMs = 20_000) {}

  static pathOf(cellId: string, rest = ""): string {
    return `/api/v1/cells/${encodeURIComponent(cellId)}${rest}`;
  }

  static fileOf(cellId: string, path: string): string {
    return Client.pathOf(cellId, `/files/${asSegments(path)}`);
  }

  /** The answer as it is. Throws ApiError, or Unreachable. */
  async fetch(path: string, options: Options = {}): Promise<Response> {
    const headers: Record<string, string> = { Authorization: `Bearer ${this.key}`, ...options.headers };
    let body = options.body as BodyInit | undefined;
    if (body !== undefined && typeof body !== "string" && !(body instanceof Uint8Array)) {
      body = JSON.stringify(options.body);
      headers["Content-Type"] = "application/json";
    }
    let response: Response;
    try {
      response = await fetch(path, { method: options.method ?? "GET", body, headers, signal: options.signal, cache: "no-store" });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new Unreachable("The daemon does not answer. Is cellard running, and is this machine online?");
    }
    if (response.status === 401) this.onRefused();
    if (!response.ok) throw await errorOf(response);
    return response;
  }

  /** The answer's JSON; undefined where it has none. */
  async call<T>(path: string, options: Options = {}): Promise<T> {
    const response = await this.fetch(path, options);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  post<T>(path: string, body?: unknown): Promise<T> {
    return this.call<T>(path, { method: "POST", body });
  }

  /** Whether this daemon serves a path of the API, as its description says. */
  async serves(template: string): Promise<boolean> {
    this.description ??= this.call<Record<string, unknown>>("/openapi.json").catch((error) => {
      this.description = null;
      throw error;
    });
    return template in ((await this.description).paths as object);
  }

  /**
   * Follows a stream until `signal`, or until its server ends it having said `last`. A connection that breaks is made
   * anew behind the last event, and so is one that was given up as nobody saw the page. Throws ApiError for what trying again does not change.
   */
  async follow(path: string, handlers: StreamHandlers, signal: AbortSignal, last: (event: ServerEvent) => boolean = () => false): Promise<void> {
    let lastId: string | null = null;
    let pause = this.retryMs;
    while (!signal.aborted) {
      await untilSeen(signal);
      const seen = new Seen(signal, this.unseenMs);
      try {
        const headers: Record<string, string> = { Accept: "text/event-stream" };
        if (lastId !== null) headers["Last-Event-ID"] = lastId;
        const response = await this.fetch(path, { headers, signal: seen.signal });
        handlers.onState("open");
        for await (const event of eventsOf(response)) {
          pause = this.retryMs;
          lastId = event.id ?? lastId;
          handlers.onEvent(event);
          if (last(event)) return;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (seen.signal.aborted) continue;
        if (error instanceof ApiError && error.status < 500) throw error;
      } finally {
        seen.release();
      }
      handlers.onState("waiting");
      await sleep(pause, signal);
      pause = Math.min(pause * 2, RETRY_MS_MAX);
    }
  }
}

async function* eventsOf(response: Response): AsyncGenerator<ServerEvent> {
  const parser = new EventParser();
  const decoder = new TextDecoder();
  const reader = response.body!.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    yield* parser.push(decoder.decode(value, { stream: true }));
  }
}

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done);
  });
}

/** A signal that is aborted with another one, and when nobody has seen the page for a while: all tabs together have few connections. */
class Seen {
  private readonly over = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly outer: AbortSignal, private readonly unseenMs: number) {
    outer.addEventListener("abort", this.abort);
    globalThis.document?.addEventListener("visibilitychange", this.changed);
    this.changed();
  }

  get signal(): AbortSignal {
    return this.over.signal;
  }

  release(): void {
    clearTimeout(this.timer);
    this.outer.removeEventListener("abort", this.abort);
    globalThis.document?.removeEventListener("visibilitychange", this.changed);
  }

  private readonly abort = () => this.over.abort();
  private readonly changed = () => {
    clearTimeout(this.timer);
    if (globalThis.document?.hidden) this.timer = setTimeout(this.abort, this.unseenMs);
  };
}

async function untilSeen(signal: AbortSignal): Promise<void> {
  while (globalThis.document?.hidden && !signal.aborted) {
    await new Promise<void>((resolve) => {
      document.addEventListener("visibilitychange", () => resolve(), { once: true });
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }
}
