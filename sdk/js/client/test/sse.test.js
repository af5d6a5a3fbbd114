import assert from "node:assert/strict";
import test from "node:test";
import { ConnectionError } from "../dist/esm/index.js";
import { Scope } from "../dist/esm/scope.js";
import { EventParser, readEvents } from "../dist/esm/sse.js";
import { dice } from "./fake_server.js";

const TEXT =
  '\ufeff: hello\nretry: 7\n\nid: 1\nevent: a\ndata: {"x":1}\n\ndata:two\r\ndata:  lines\r\nid:2\r\n\r\rdata\r\rid: 3\n\nevent: none\n\nunknown: x\ndata: ü€😀\n\ndata: unfinished\n';
const EVENTS = [
  { type: "a", data: '{"x":1}', id: "1" },
  { type: "message", data: "two\n lines", id: "2" },
  { type: "message", data: "" },
  { type: "message", data: "ü€😀" },
];

test("events are the same however their text is cut", (t) => {
  const random = dice(t);
  for (let round = 0; round < 300; round += 1) {
    const parser = new EventParser();
    const found = [];
    for (let at = 0; at < TEXT.length;) {
      const length = 1 + Math.floor(random() * (round % 10 === 0 ? TEXT.length : 5));
      found.push(...parser.push(TEXT.slice(at, at + length)));
      at += length;
    }
    assert.deepEqual(found, EVENTS);
    assert.equal(parser.retryMs, 7);
  }
});

test("an event has a limit, whether its lines end or not", () => {
  const endless = new EventParser(1000);
  assert.throws(() => [...endless.push("x".repeat(600)), ...endless.push("x".repeat(600))], ConnectionError);
  const many = new EventParser(1000);
  assert.throws(
    () => [...many.push("data: 123456789\n".repeat(200))],
    (error) => error.code === "event_too_large",
  );
  const short = new EventParser(1000);
  assert.equal([...short.push("data: 123456789\n\n".repeat(200))].length, 200);
});

test("a server that says nothing any more is given up", async () => {
  const scope = new Scope([]);
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode("data: 1\n\n"));
      scope.signal.addEventListener("abort", () => controller.error(scope.signal.reason)); // As fetch does.
    },
  });
  const events = readEvents({ response: new Response(body), scope }, new EventParser(), () => {}, 5);
  assert.equal((await events.next()).value.data, "1");
  await assert.rejects(events.next(), { name: "ConnectionError", code: "silence" });
});
