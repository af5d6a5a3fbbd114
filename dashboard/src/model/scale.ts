// Where a time is on the line of a run: time in which nothing but waits goes on is drawn short, so that a night's wait for a
// person does not hide the seconds of work.
import { isWait, type Timeline } from "./timeline";

interface Span { from: number; to: number; isGap: boolean }
interface Part extends Span { left: number; width: number } // in per cent

export interface Scale {
  place(at: number): number; // in per cent
  at(place: number): number;
  gaps: { left: number; width: number; ms: number }[]; // that are drawn short
}

/** What a gap has at most, as a part of all work together; shorter gaps are drawn as they are. */
const GAP_SHARE_MAX = 0.12;
const GAP_MS_MIN = 5000;

export function scaleOf({ begin, end, rows }: Timeline): Scale {
  const work = rows.filter((row) => !isWait(row.kind)).flatMap((row) => row.executions.map((each) => [each.start, each.end ?? end] as const))
    .sort((a, b) => a[0] - b[0]);
  const spans: Span[] = [];
  let reached = begin;
  for (const [from, to] of work) {
    if (from > reached) spans.push({ from: reached, to: from, isGap: true });
    const start = Math.max(from, reached);
    if (to > start) spans.push({ from: start, to, isGap: false });
    reached = Math.max(reached, to);
  }
  if (end > reached) spans.push({ from: reached, to: end, isGap: true });
  const worked = spans.reduce((sum, span) => sum + (span.isGap ? 0 : span.to - span.from), 0);
  const most = worked === 0 ? Infinity : worked * GAP_SHARE_MAX;
  const isShort = (span: Span) => span.isGap && span.to - span.from > Math.max(GAP_MS_MIN, most);
  const weight = (span: Span) => (isShort(span) ? most : span.to - span.from);
  const total = spans.reduce((sum, span) => sum + weight(span), 0) || 1;
  let left = 0;
  const parts: Part[] = spans.map((span) => {
    const width = (100 * weight(span)) / total;
    left += width;
    return { ...span, left: left - width, width, isGap: isShort(span) };
  });
  const place = (at: number) => {
    const part = parts.find((each) => at <= each.to) ?? parts.at(-1);
    if (part === undefined) return 0;
    return part.left + part.width * Math.min(1, Math.max(0, (at - part.from) / Math.max(1, part.to - part.from)));
  };
  const at = (wanted: number) => {
    const part = parts.find((each) => wanted <= each.left + each.width) ?? parts.at(-1);
    if (part === undefined) return begin;
    return part.from + ((part.to - part.from) * (wanted - part.left)) / (part.width || 1);
  };
  return { place, at, gaps: parts.filter((part) => part.isGap).map((part) => ({ left: part.left, width: part.width, ms: part.to - part.from })) };
}
