// Addresses of pages: all behind "#", so that the daemon sees none of them.

export const TABS = ["overview", "files", "terminal", "search", "runs", "events", "network", "usage"] as const;
export type Tab = (typeof TABS)[number];

export type Route =
  | { page: "cells" }
  | { page: "cell"; cell: string; tab: Tab; rest: string; line?: number }
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
  const line = Number(new URLSearchParams(query).get("line") ?? "");
  return { page: "cell", cell, tab: tab as Tab, rest: rest.join("/"), ...(Number.isInteger(line) && line > 0 ? { line } : {}) };
}

export function cellAddress(cell: string, tab: Tab = "overview", rest = "", line?: number): string {
  const base = `#/cells/${encodeURIComponent(cell)}`;
  const path = tab === "overview" && rest === "" ? base : `${base}/${tab}${rest === "" ? "" : `/${asSegments(rest)}`}`;
  return line === undefined ? path : `${path}?line=${line}`;
}
