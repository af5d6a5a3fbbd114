// What ends a call before its end: the caller's signals and its time.

import { InvalidArgumentError, TimeoutError } from "./errors.js";

// One for a longer time would ring at once.
const CLOCK_MAX_MS = 2 ** 31 - 1;

/** How long a call may take; 0 and Infinity: as long as it likes. Throws InvalidArgumentError for what is no time. */
export function checkedTimeout(timeoutMs: number): number {
  if (typeof timeoutMs === "number" && timeoutMs >= 0) return timeoutMs;
  throw new InvalidArgumentError(`timeoutMs must be a number of milliseconds, and is ${String(timeoutMs)}`, {
    code: "invalid_timeout",
    remediation: "0 is no limit",
  });
}

/** One signal for a call, aborted by any of the given ones, by the clock or by `abort`. Closed when the call is over. */
export class Scope {
  readonly #controller = new AbortController();
  readonly #sources: AbortSignal[];
  readonly #pass: (event: { target: unknown }) => void;
  #clock: ReturnType<typeof setTimeout> | undefined;

  /** With 0 milliseconds, or Infinity, there is no clock. */
  constructor(signals: (AbortSignal | undefined)[], timeoutMs = 0, what = "the call") {
    checkedTimeout(timeoutMs);
    this.#sources = signals.filter((signal): signal is AbortSignal => signal !== undefined);
    this.#pass = ({ target }) => this.abort((target as AbortSignal).reason);
    for (const source of this.#sources) {
      if (source.aborted) this.abort(source.reason);
      else source.addEventListener("abort", this.#pass as EventListener);
    }
    if (timeoutMs > 0 && timeoutMs < Infinity) {
      const late = () => this.abort(new TimeoutError(`${what} took longer than ${timeoutMs} ms`, { code: "client_timeout" }));
      this.#ringAfter(timeoutMs, late);
    }
  }

  #ringAfter(ms: number, ring: () => void): void {
    const rest = ms - CLOCK_MAX_MS;
    this.#clock = rest > 0 ? setTimeout(() => this.#ringAfter(rest, ring), CLOCK_MAX_MS) : setTimeout(ring, ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  stopClock(): void {
    clearTimeout(this.#clock);
  }

  close(): void {
    this.stopClock();
    for (const source of this.#sources) source.removeEventListener("abort", this.#pass as EventListener);
  }
}

/** Rejects with the signal's reason as soon as it is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const clockMs = Math.min(ms, CLOCK_MAX_MS);
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, clockMs);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** Between half and the whole of what doubles from `firstMs` up to `maxMs`: many clients do not come back at once. */
export function backoffMs(failures: number, firstMs: number, maxMs: number): number {
  return Math.min(maxMs, firstMs * 2 ** Math.min(failures, 30)) * (0.5 + Math.random() / 2);
}
