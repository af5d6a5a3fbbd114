import type { Blocker, Cell } from "../api/types";
import { duration } from "./format";

export function stateOf(cell: Cell): "active" | "paused" | "hibernated" {
  return cell.state ?? cell.status;
}

const KINDS: Record<string, string> = {
  run: "a run", request: "a request", command: "a command", stream: "an open stream", terminal: "a terminal", lease: "a lease", processes: "busy processes",
  preview: "an open preview", permanent: "it is permanent",
};

export function blockerText(blocker: Blocker): string {
  const kind = KINDS[blocker.kind] ?? blocker.kind;
  return blocker.detail === "" || blocker.kind === "permanent" ? kind : `${kind} (${blocker.detail})`;
}

/** In one line: what keeps a cell awake, or when it goes to rest. */
export function whyAwake(cell: Cell, now: number): string {
  if (stateOf(cell) !== "active") return "—";
  const [first, ...others] = cell.idle.blockers;
  if (first !== undefined) return blockerText(first) + (others.length > 0 ? `, and ${others.length} more` : "");
  if (cell.idle.pauses_at === undefined) return "—";
  return `idle, pauses in ${duration(Math.max(0, Math.floor((Date.parse(cell.idle.pauses_at) - now) / 1000)) * 1000)}`;
}
