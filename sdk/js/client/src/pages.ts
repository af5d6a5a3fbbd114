// Lists in pages.

import { Items } from "./items.js";
import type { CallOptions, Transport } from "./transport.js";

/** A list with `next_cursor`, item by item. */
export function pages<T, U>(
  transport: Transport,
  path: string,
  plural: string,
  limit: number,
  options: CallOptions,
  make: (item: T) => U,
): Items<U> {
  return new Items<U>(async function* (signal) {
    for (let cursor: string | undefined; ;) {
      const query = { limit, cursor };
      const page = await transport.json<Record<string, unknown>>({
        method: "GET",
        path,
        query,
        repeat: "always",
        ...options,
        signal,
      });
      for (const item of page[plural] as T[]) yield make(item);
      cursor = page["nextCursor"] as string | undefined;
      if (!cursor) return;
    }
  }, options.signal);
}
