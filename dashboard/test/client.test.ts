import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ApiError, Client, Unreachable } from "../src/api/client";
import { EventParser, EVENT_CHARS_MAX } from "../src/api/sse";

const realFetch = globalThis.fetch;
afterEach(() => void (globalThis.fetch = realFetch));

/** Answers one call after the other; a function is called, and may throw. Returns the calls' headers. */
function answering(...answers: (() => Response)[]): Record<string, string>[] {
  const calls: Record<string, string>[] = [];
  globalThis.fetch = async (_, options) => {
    calls.push(options!.headers as Record<string, string>);
    return answers[Math.min(calls.length, answers.length) - 1]!();
  };
  return calls;
}

const refusal = (status: number, code: string) => () => new Response(JSON.stringify({ error: `no: ${code}`, code, remediation: "do that", request_id: "req_1" }), { status });

test("events are the same in whatever pieces they come", () => {
  const text = ": still here\n\nretry: 1000\nid: 7\r\nevent: log\r\ndata: a\r\ndata:b\r\n\r\ndata: c\n\nid: 9\n\n";
  const expected = [{ id: "7", type: "log", data: "a\nb" }, { id: "7", type: "message", data: "c" }];
  for (let size = 1; size <= text.length; ++size) {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)));
    assert.deepEqual(events, expected, `pieces of ${size}`);
  }
});

test("an event without an end is given up", () => {
  const parser = new EventParser();
  assert.throws(() => parser.push("x".repeat(EVENT_CHARS_MAX + 1)), /too long/);
});

test("an error of the API says what to do, and a key that is refused is told", async () => {
  let refused = 0;
  const client = new Client("secret", () => ++refused);
  const calls = answering(refusal(404, "cell_not_found"), refusal(401, "unauthenticated"), () => new Response("<html>", { status: 502 }));
  await assert.rejects(client.call("/x"), (error: ApiError) => error.status === 404 && error.remediation === "do that" && error.message === "no: cell_not_found");
  assert.equal(calls[0]!.Authorization, "Bearer secret");
  await assert.rejects(client.call("/x"), ApiError);
  assert.equal(refused, 1);
  await assert.rejects(client.call("/x"), (error: ApiError) => error.status === 502);
  globalThis.fetch = () => Promise.reject(new TypeError("failed"));
  await assert.rejects(client.call("/x"), Unreachable);
});

test("a stream that breaks goes on behind the last event, and ends with the last one", async () => {
  const client = new Client("secret", () => {}, 1);
  const stream = (text: string) => () => new Response(text);
  const broken = () => { throw new TypeError("reset"); };
  const calls = answering(stream("id: 3\ndata: a\n\n"), broken, refusal(503, "unavailable"), stream("id: 5\ndata: b\n\nid: 6\ndata: end\n\n"));
  const seen: string[] = [];
  const states: string[] = [];
  await client.follow("/events", { onEvent: ({ data }) => seen.push(data), onState: (state) => states.push(state) }, new AbortController().signal, ({ data }) => data === "end");
  assert.deepEqual(seen, ["a", "b", "end"]);
  assert.deepEqual(calls.map((headers) => headers["Last-Event-ID"]), [undefined, "3", "3", "3"]);
  assert.deepEqual(states, ["open", "waiting", "waiting", "waiting", "open"]);
});

test("a stream is given up while nobody sees the page, and goes on behind its last event when somebody does", async () => {
  const page = Object.assign(new EventTarget(), { hidden: false });
  const show = (hidden: boolean) => {
    page.hidden = hidden;
    page.dispatchEvent(new Event("visibilitychange"));
  };
  Object.assign(globalThis, { document: page });
  try {
    const asked: string[] = [];
    const waits: string[] = []; // what was asked while nobody saw the page
    globalThis.fetch = async (_, options) => {
      asked.push((options!.headers as Record<string, string>)["Last-Event-ID"] ?? "none");
      if (asked.length === 2) return new Response("id: 9\ndata: end\n\n");
      const body = new ReadableStream({
        start(stream) {
          stream.enqueue(new TextEncoder().encode("id: 8\ndata: a\n\n"));
          options!.signal!.addEventListener("abort", () => {
            stream.error(new Error("aborted"));
            setImmediate(() => { waits.push(...asked); show(false); });
          });
        },
      });
      return new Response(body);
    };
    const onEvent = ({ data }: { data: string }) => {
      if (data === "a") show(true);
    };
    await new Client("secret", () => {}, 1, 0).follow("/events", { onEvent, onState: () => {} }, new AbortController().signal, ({ data }) => data === "end");
    assert.deepEqual([waits, asked], [["none"], ["none", "8"]]);
  } finally {
    delete (globalThis as { document?: unknown }).document;
  }
});

test("a stream that the API refuses is not asked for again, nor one that nobody wants any more", async () => {
  const client = new Client("secret", () => {});
  const calls = answering(refusal(404, "run_not_found"));
  const nothing = { onEvent: () => {}, onState: () => {} };
  await assert.rejects(client.follow("/events", nothing, new AbortController().signal), ApiError);
  assert.equal(calls.length, 1);
  await client.follow("/events", nothing, AbortSignal.abort());
  assert.equal(calls.length, 1);
});

test("what is in a name is no part of an address", () => {
  assert.equal(Client.fileOf("a/b", "src/x y?.js"), "/api/v1/cells/a%2Fb/files/src/x%20y%3F.js");
});
