// What is read one by one: lists in pages, events, output.

import { Scope } from "./scope.js";

const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? (Symbol.for("Symbol.asyncDispose") as never);

/**
 * An async iterator that can be left at any time, also while it waits for the next item: by `break`, `return()` or
 * `await using`. Nothing begins before the first item is asked for.
 */
export class Items<T> implements AsyncIterableIterator<T> {
  readonly #leave = new AbortController();
  readonly #inner: AsyncGenerator<T, void, undefined>;

  constructor(make: (signal: AbortSignal) => AsyncGenerator<T, void, undefined>, signal?: AbortSignal) {
    this.#inner = read(make, this.#leave.signal, signal);
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    try {
      const { done, value } = await this.#inner.next();
      return done ? { done: true, value: undefined } : { done: false, value: value as T };
    } catch (error) {
      if (this.#leave.signal.aborted) return { done: true, value: undefined };
      throw error;
    }
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#leave.abort(new Error("left"));
    await this.#inner.return().catch(() => {}); // It ends with what it was left with.
    return { done: true, value: undefined };
  }

  /** All that are left, to the end. */
  async all(): Promise<T[]> {
    const items: T[] = [];
    for await (const item of this) items.push(item);
    return items;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [asyncDispose](): Promise<void> {
    await this.return();
  }
}

async function* read<T>(
  make: (signal: AbortSignal) => AsyncGenerator<T, void, undefined>,
  leave: AbortSignal,
  signal?: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const scope = new Scope([leave, signal]);
  try {
    scope.signal.throwIfAborted();
    yield* make(scope.signal);
  } finally {
    scope.close();
  }
}

/** Makes `dispose` what `await using` calls. */
export function disposable<T extends object>(value: T, dispose: () => Promise<void>): T & AsyncDisposable {
  return Object.assign(value, { [asyncDispose]: dispose });
}
