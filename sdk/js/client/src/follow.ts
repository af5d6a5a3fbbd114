// Event streams that go on where they broke off.

import { CellarError, ConnectionError, errorOfEvent } from "./errors.js";
import { Items } from "./items.js";
import { backoffMs, pause } from "./scope.js";
import { EventParser, readEvents, type ServerEvent } from "./sse.js";
import { GIVE_UP_MS, RETRY_AFTER_MAX_MS, type Call, type CallOptions, type Transport } from "./transport.js";

export interface FollowOptions extends CallOptions {
  /** Behind which event, or place, to begin. */
  after?: number | undefined;
  /** For how long a stream that broke off is looked for before its error is thrown; 300,000 ms where absent. */
  giveUpAfterMs?: number | undefined;
}

export interface Following<T> {
  transport: Transport;
  call: Call;
  options: FollowOptions;
  /** What the caller gets of an event; undefined: nothing. */
  take: (event: ServerEvent) => T | undefined;
  /** Whether nothing follows this event. Without it the stream never ends by itself. */
  isLast?: (event: ServerEvent) => boolean;
  /** Asked where the server ended a stream in which nothing was: is that because there is nothing more? */
  isOver?: (signal: AbortSignal) => Promise<boolean>;
}

export const RETRY_MS = 1_000; // where the server says nothing
export const RETRY_MAX_MS = 30_000;
// Another connection would come to the same end.
const LASTING = new Set(["client_closed", "event_too_large", "web_socket_broken", "no_web_socket"]);

/** Whether it is worth coming back to a stream after this error. */
export function isPassing(error: unknown): error is CellarError {
  if (!(error instanceof CellarError)) return false;
  if (LASTING.has(error.code)) return false;
  return (
    error instanceof ConnectionError ||
    error.status === 429 ||
    (error.status !== undefined && error.status >= 500 && error.retryable)
  );
}

/**
 * The events of a stream, each once and in order, over as many connections as it takes: a new one begins behind the
 * last event that was seen.
 */
export function follow<T>(following: Following<T>): Items<T> {
  return new Items((signal) => new Follower(following, signal).run(), following.options.signal);
}

class Follower<T> {
  readonly #following: Following<T>;
  readonly #signal: AbortSignal;
  #after: number | undefined;
  #retryMs = RETRY_MS;
  #failures = 0; // since something came
  #silentSince = 0;
  #wasConnected = false;
  #isEnded = false;
  #quiet = 0; // connections in a row that ended properly, and brought nothing

  constructor(following: Following<T>, signal: AbortSignal) {
    this.#following = following;
    this.#signal = signal;
    this.#after = following.options.after;
  }

  async *run(): AsyncGenerator<T, void, undefined> {
    for (;;) {
      let error: CellarError | undefined;
      try {
        const count = yield* this.#connection();
        if (this.#isEnded) return;
        this.#quiet = count === 0 ? this.#quiet + 1 : 0;
        // A proxy may make a proper end of one that broke off: where the next one brings nothing either, it is one.
        if (this.#quiet > 1 && (await this.#following.isOver?.(this.#signal))) return;
      } catch (failure) {
        if (this.#signal.aborted || !isPassing(failure) || !this.#wasConnected) throw failure;
        error = failure;
        this.#quiet = 0;
      }
      await this.#wait(error);
    }
  }

  /** What one connection brings; how many events that were. */
  async *#connection(): AsyncGenerator<T, number, undefined> {
    const { transport, call, options, take, isLast } = this.#following;
    const headers = { accept: "text/event-stream", ...call.headers };
    const query = { ...call.query, after: this.#after };
    // Who comes back has a patience of its own.
    const retries = this.#wasConnected ? { retries: 0 } : {};
    const opened = await transport.open({ ...call, ...retries, query, headers, timeoutMs: options.timeoutMs }, this.#signal);
    this.#wasConnected = true;
    const parser = new EventParser();
    let count = 0;
    try {
      for await (const event of readEvents(opened, parser, () => this.#sound())) {
        const place = event.id === undefined ? undefined : Number(event.id);
        if (place !== undefined && this.#after !== undefined && place <= this.#after) continue; // Seen already.
        if (event.type === "error") throw errorOfEvent(event.data);
        count += 1;
        this.#isEnded = isLast?.(event) ?? false;
        const item = take(event);
        if (item !== undefined) yield item;
        if (place !== undefined) this.#after = place;
        if (this.#isEnded) return count;
      }
      this.#isEnded = parser.hasEnded;
    } finally {
      this.#retryMs = parser.retryMs ?? this.#retryMs;
    }
    return count;
  }

  #sound(): void {
    this.#failures = 0;
    this.#silentSince = 0;
  }

  async #wait(error: CellarError | undefined): Promise<void> {
    this.#silentSince ||= Date.now();
    const leftMs = this.#silentSince + (this.#following.options.giveUpAfterMs ?? GIVE_UP_MS) - Date.now();
    if (leftMs <= 0) {
      throw error ?? new ConnectionError(`${this.#following.call.path} ends again and again`, { code: "connection" });
    }
    const ms = backoffMs(this.#failures, this.#retryMs, Math.max(RETRY_MAX_MS, this.#retryMs));
    this.#failures += 1;
    const askedMs = Math.min(error?.retryAfterMs ?? 0, RETRY_AFTER_MAX_MS);
    await pause(Math.min(Math.max(ms, askedMs), leftMs), this.#signal);
  }
}
