import assert from "node:assert/strict";
import { test } from "node:test";
import { foldersAbove, inOrder, textOf } from "../src/model/file";
import { bytes, duration, fromNow, json, shellWord } from "../src/model/format";
import { markedParts } from "../src/model/marks";
import { asPolicy, entriesOf, summary } from "../src/model/policy";
import { cellAddress, parseRoute } from "../src/model/route";
import { rate, Series } from "../src/model/series";

test("an address leads to the page that it was made for, whatever is in the names", () => {
  for (const [cell, path] of [["dev--alice", "src/a b.js"], ["ü", "50%/#1?.md"]] as const) {
    assert.deepEqual(parseRoute(cellAddress(cell, "files", path, { line: 7 })), { page: "cell", cell, tab: "files", rest: path, line: 7 });
  }
  assert.equal(cellAddress("x", "runs", "run_1", { view: "live" }), cellAddress("x", "runs", "run_1"));
  assert.deepEqual(parseRoute(cellAddress("x", "events", "", { view: "committed" })), { page: "cell", cell: "x", tab: "events", rest: "", view: "committed" });
  assert.deepEqual(parseRoute("#/cells/x?view=other"), { page: "cell", cell: "x", tab: "overview", rest: "" });
  assert.deepEqual(parseRoute(""), { page: "cells" });
  assert.deepEqual(parseRoute("#/cells/x"), { page: "cell", cell: "x", tab: "overview", rest: "" });
  for (const wrong of ["#/nowhere", "#/cells/x/nothing", "#/cells/%zz"]) assert.equal(parseRoute(wrong).page, "unknown");
});

test("numbers and times are told in one or two units", () => {
  assert.deepEqual([0, 1023, 1024, 1536, 10 * 2 ** 30].map(bytes), ["0 B", "1023 B", "1 KiB", "1.5 KiB", "10 GiB"]);
  assert.deepEqual([0.4, 999, 1000, 1550, 59_000, 60_000, 250_000, 7_500_000, 200_000_000].map(duration),
    ["0 ms", "999 ms", "1 s", "1.6 s", "59 s", "1 min", "4 min 10 s", "2 h 5 min", "2 d 7 h"]);
  const now = Date.parse("2026-01-01T00:00:00Z");
  assert.deepEqual(["2025-12-31T23:59:59Z", "2025-12-31T23:55:10Z", "2026-01-01T02:00:00Z"].map((iso) => fromNow(iso, now)), ["just now", "4 min ago", "in 2 h"]);
});

test("a long value is cut off, and says how much is missing", () => {
  assert.equal(json("x".repeat(30), 10), `${"x".repeat(10)}\n… 20 more characters`);
});

test("a word for a shell is quoted where a shell would read more into it", () => {
  assert.deepEqual(["alice", "dave's team", "$(rm)"].map(shellWord), ["alice", "'dave'\\''s team'", "'$(rm)'"]);
});

test("bytes that are no text are not edited: they could not be written back as they were", () => {
  assert.equal(textOf(new TextEncoder().encode("\ufeffä\r\n")), "\ufeffä\r\n");
  assert.equal(textOf(new Uint8Array([0x61, 0])), null);
  assert.equal(textOf(new Uint8Array([0xff, 0xfe])), null);
});

test("folders come first, and numbers in names count", () => {
  const entries = [["b10", "file"], ["b9", "file"], ["z", "directory"]].map(([path, type]) => ({ path: path!, type: type! }));
  assert.deepEqual(inOrder(entries).map((each) => each.path), ["z", "b9", "b10"]);
  assert.deepEqual(foldersAbove("a/b/c"), ["a", "a/b"]);
});

test("words of the query are marked, and what means something in a pattern is a word at most", () => {
  const marked = (line: string, query: string) => markedParts(line, query).filter((part) => part.marked).map((part) => part.text);
  assert.deepEqual(marked("retry: Retry(it)", "retry (it"), ["retry", "Retry"]);
  assert.deepEqual(marked("a.*b", ".*"), []);
  assert.equal(markedParts("as it was", "was it").map((part) => part.text).join(""), "as it was");
});

test("a policy is shown as what it allows, and typed entries are taken apart", () => {
  assert.equal(summary("deny-all"), "Nothing is allowed");
  assert.equal(summary({ presets: ["npm"], allow: ["a.org"], deny: ["b.org"] }), "Allowed: preset npm, a.org; denied before: b.org");
  assert.deepEqual(asPolicy("allow-all"), { allow: ["*"] });
  assert.deepEqual(entriesOf(" a.org,\n*.b.org  a.org "), ["a.org", "*.b.org"]);
});

test("a series keeps the newest values, and a counter that begins anew is no negative rate", () => {
  const series = new Series(2, 1);
  for (const at of [1000, 2000, 3000]) series.add(at, at);
  assert.deepEqual(series.columns, [[2, 3], [2000, 3000]]);
  assert.deepEqual([rate(100, 300, 2000), rate(300, 100, 2000), rate(0, 1, 0)], [100, 0, 0]);
});
