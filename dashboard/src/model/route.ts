// Addresses of pages: all behind "#", so that the daemon sees none of them.

export const TABS = ["overview", "files", "terminal", "search", "runs", "events", "network", "usage"] as const;
export type Tab = (typeof TABS)[number];

/** Of events: as they happen, or only what can never be thrown away again. */
export type View = "live" | "committed";

/** What is behind the path of an address. */
export interface Query { line?: number; view?: View }

export type Route =
  | { page: "cells" }
  | ({ page: "cell"; cell: string; tab: Tab; rest: string } & Query)
  | { page: "unknown"; hash: string };

/** A path for an address: each name encoded, the slashes kept. */
export function asSegments(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?");
  let parts: string[];
  try {
    parts = path.split("/").filter((part) => part !== "").map(decodeURIComponent);
  } catch {
    return { page: "unknown", hash };
  }
  if (parts.length === 0 || (parts.length === 1 && parts[0] === "cells")) return { page: "cells" };
  const [page, cell, tab = "overview", ...rest] = parts;
  if (page !== "cells" || cell === undefined || !TABS.includes(tab as Tab)) return { page: "unknown", hash };
  const asked = new URLSearchParams(query);
  const line = Number(asked.get("line") ?? "");
  return { page: "cell", cell, tab: tab as Tab, rest: rest.join("/"), ...(Number.isInteger(line) && line > 0 ? { line } : {}),
    ...(asked.get("view") === "committed" ? { view: "committed" } : {}) };
}

export function cellAddress(cell: string, tab: Tab = "overview", rest = "", query: Query = {}): string {
  const base = `#/cells/${encodeURIComponent(cell)}`;
  const path = tab === "overview" && rest === "" ? base : `${base}/${tab}${rest === "" ? "" : `/${asSegments(rest)}`}`;
  const asked = Object.entries(query).filter(([, value]) => value !== undefined && value !== "live").map(([name, value]) => `${name}=${value}`);
  return asked.length === 0 ? path : `${path}?${asked.join("&")}`;
}
