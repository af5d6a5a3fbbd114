// Streams that are cut anywhere, by a server that remembers nothing of its clients.
import assert from "node:assert/strict";
import test from "node:test";
import { Cellar, ConnectionError, NotFoundError, UnavailableError } from "../dist/esm/index.js";
import { answer, dice, failure, quick, serve } from "./fake_server.js";

const SSE = { "content-type": "text/event-stream" };

/** Sends a text, or the beginning of it, and breaks off; or refuses; or ends as if all were well. */
class Cutter {
  cuts = 0;

  constructor(random, cutsMax, { beforeMax = 900, endsWell = true } = {}) {
    Object.assign(this, { random, cutsMax, beforeMax, kindMax: endsWell ? 0.9 : 0.85 });
  }

  get isDone() {
    return this.cuts >= this.cutsMax;
  }

  send(response, text, headers = {}) {
    const kind = this.isDone ? 1 : this.random() * this.kindMax;
    this.cuts += kind < 1;
    if (kind < 0.05) return answer(response, 503, failure("no_capacity", { retryable: true }), { "retry-after": "0" });
    if (kind < 0.1) return response.destroy();
    response.writeHead(200, { ...SSE, ...headers });
    const sent = kind < 0.9 ? text.slice(0, Math.floor(this.random() * Math.min(text.length, this.beforeMax))) : text;
    if (kind < 0.85) return response.write(sent, () => response.destroy());
    response.end(kind < 0.9 ? sent.slice(0, sent.lastIndexOf("\n\n") + 2) : sent);
  }
}

const eventText = ({ seq, type, data }) =>
  `id: ${seq}\nevent: ${type}\ndata: ${JSON.stringify({ seq, ts: "t", type, data })}\n\n`;

test("events that are cut a thousand times come each once and in order", async (t) => {
  const random = dice(t);
  const events = [];
  for (let seq = 1; events.length < 6000; seq += 1 + Math.floor(random() * 3)) {
    events.push({ seq, type: random() < 0.1 ? "reset" : "stream", data: "ü".repeat(Math.floor(random() * 60)) });
  }
  events.push({ seq: events.at(-1).seq + 1, type: "run.completed", data: { result: 1 } });
  const cutter = new Cutter(random, 1000);
  const { cell, close } = await serve((call, response) => {
    if (!call.path.endsWith("/events")) return answer(response, 200, { id: "r", status: "running" });
    // Now and then one that was seen is sent again: it must not come twice.
    const after = Number(call.query.get("after") ?? 0) - (random() < 0.1 ? 5 : 0);
    const from = events.findIndex(({ seq }) => seq > after);
    const rest = events.slice(from, cutter.isDone ? undefined : from + 50);
    cutter.send(response, `retry: 0\n\n: hello\n\n${rest.map(eventText).join("")}`);
  });
  const seen = await cell.runs.events("r", { giveUpAfterMs: 60_000 }).all();
  await close();
  assert.deepEqual(
    seen.map(({ seq }) => seq),
    events.map(({ seq }) => seq),
  );
  assert.deepEqual(
    seen.map(({ type, data }) => ({ type, data })),
    events.map(({ type, data }) => ({ type, data })),
  );
  assert.equal(cutter.cuts, 1000);
});

test("output that is cut comes with each byte once", async (t) => {
  const random = dice(t);
  const whole = Array.from({ length: 30000 }, (_, at) => String.fromCharCode(97 + (at % 26))).join("");
  const cutter = new Cutter(random, 200);
  const { cell, close } = await serve((call, response) => {
    let text = "retry: 0\n\n";
    for (let at = Number(call.query.get("after") ?? 0); at < whole.length;) {
      const piece = whole.slice(at, at + 1 + Math.floor(random() * 40));
      at += piece.length;
      text += `id: ${at}\nevent: stdout\ndata: ${JSON.stringify({ text: piece })}\n\n`;
    }
    cutter.send(response, `${text}event: exit\ndata: {"id":"p1","exit_code":0}\n\n`);
  });
  const items = await cell.processes.log("p1").all();
  await close();
  assert.equal(
    items
      .slice(0, -1)
      .map(({ text }) => text)
      .join(""),
    whole,
  );
  assert.deepEqual(items.at(-1), { type: "exit", process: { id: "p1", exitCode: 0 } });
  assert.equal(cutter.cuts, 200);
});

test("a method's stream that is cut is one run, and goes on behind the item that was given last", async (t) => {
  const random = dice(t);
  quick(t);
  const cutter = new Cutter(random, 20, { endsWell: false }); // Its end is the end.
  const { cell, asked, close } = await serve((call, response) => {
    const from = Number(call.headers["last-event-id"] ?? 0);
    const text = Array.from({ length: 100 - from }, (_, i) => `id: ${from + i + 1}\ndata: {"i":${from + i}}\n\n`).join("");
    cutter.send(response, text, { "x-cellar-run": "run_1" });
  });
  const items = await cell.stream("count").all();
  await close();
  assert.deepEqual(
    items,
    Array.from({ length: 100 }, (_, i) => ({ i })),
  );
  assert.equal(new Set(asked.map(({ headers }) => headers["idempotency-key"])).size, 1);
  assert.ok(asked.every(({ headers }) => headers.accept === "text/event-stream"));
});

test("what looks like a run's failure is one where nothing follows it", async () => {
  const failed = { error: "it broke", code: "agent_error", run: "run_1" };
  const text = (id, item) => `id: ${id}\ndata: ${JSON.stringify(item)}\n\n`;
  const { cell, asked, close } = await serve((_, response, count) => {
    response.writeHead(200, { ...SSE, "x-cellar-run": "run_1" });
    if (count === 3) return response.end(`${text(3, failed)}: end\n\n`);
    // First it breaks off where nobody knows yet.
    response.write(text(1, failed) + (count === 1 ? "" : text(2, "more")), () => response.destroy());
  });
  const items = cell.stream("count");
  assert.deepEqual([(await items.next()).value, (await items.next()).value], [failed, "more"]);
  await assert.rejects(items.next(), { name: "AgentError", message: "it broke" });
  await close();
  assert.deepEqual(
    asked.map(({ headers }) => headers["last-event-id"]),
    [undefined, undefined, "2"],
  );
});

// As behind a proxy that makes a proper end of a connection that was lost.
test("a stream that ends without saying so is gone on with, and is over where nothing more comes", async () => {
  const text = (id, item) => `id: ${id}\ndata: ${JSON.stringify(item)}\n\n`;
  for (const [parts, connections] of [
    [["", text(1, "a"), `${text(2, "b")}: end\n\n`], 3],
    [[text(1, "a"), text(2, "b"), ": end\n\n"], 3],
    [[text(1, "a"), text(2, "b"), "", text(9, "never")], 3],
    [[`data: "a"\n\ndata: "b"\n\n`, text(9, "never")], 1],
  ]) {
    const { cell, asked, close } = await serve((_, response, count) => {
      response.writeHead(200, { ...SSE, "x-cellar-run": "run_1" });
      response.end(parts[count - 1]);
    });
    assert.equal(await cell.request("count"), "b");
    await close();
    assert.equal(asked.length, connections);
    assert.equal(new Set(asked.map(({ headers }) => headers["idempotency-key"])).size, 1);
  }
});

test("the events of a run are over where the server says so, and not where a connection ends", async () => {
  const { cell, asked, close } = await serve((request, response, count) => {
    response.writeHead(200, SSE);
    response.end(count === 1 ? "" : count === 2 ? eventText({ seq: 4, type: "stream", data: 1 }) : ": end\n\n");
  });
  const seen = [];
  for await (const event of cell.runs.events("run_1")) seen.push(event.seq);
  await close();
  assert.deepEqual([seen, asked.length], [[4], 3]);
});

test("what the server says of a gap and of a repeated step is said to the caller", async () => {
  const { client, cell, close } = await serve((_, response) => {
    response.writeHead(200, SSE);
    const events = [
      { seq: 40, type: "stale", data: { after: 3 } },
      { seq: 41, type: "reset", data: { name: "s" } },
    ];
    response.write(events.map(eventText).join(""));
  });
  const seen = [];
  for await (const event of cell.events({ after: 3 })) if (seen.push(event) === 2) break;
  assert.deepEqual(
    seen.map(({ seq, type }) => [seq, type]),
    [
      [40, "stale"],
      [41, "reset"],
    ],
  );
  client.close();
  await close();
});

test("with a tail the place is asked for first, so that a break before the first event loses none", async () => {
  const { cell, asked, close } = await serve((call, response, count) => {
    if (count === 1) return answer(response, 200, { events: [], last_seq: 7, more: false, stale: false });
    response.writeHead(200, SSE);
    if (count === 2) return response.write("retry: 0\n\n", () => response.destroy());
    response.write(eventText({ seq: 8, type: "cell.paused", data: {} }));
  });
  const events = cell.events({ tail: 0 });
  assert.equal((await events.next()).value.seq, 8);
  await events.return();
  await close();
  assert.deepEqual(
    asked.map(({ query }) => query.get("after")),
    [null, "7", "7"],
  );
});

test("a stream is given up after its time, and at once where it makes no sense to come back", async () => {
  let isGone = false;
  const { cell, close } = await serve(
    (_, response, count) => {
      if (isGone) return answer(response, 404, failure("cell_not_found"));
      if (count > 1) return answer(response, 503, failure("unavailable", { retryable: true }));
      response.writeHead(200, SSE);
      response.write(`retry: 0\n\n${eventText({ seq: 1, type: "stream", data: 1 })}`, () => response.destroy());
    },
    { retries: 0 },
  );
  const events = cell.events({ giveUpAfterMs: 1 });
  assert.equal((await events.next()).value.seq, 1);
  await assert.rejects(events.next(), UnavailableError);
  isGone = true;
  await assert.rejects(cell.events().next(), NotFoundError);
  await close();
});

test("who comes back waits as long as the server asks, and no stream is too long for a call's time", async () => {
  const times = [];
  const { cell, close } = await serve(
    (_, response, count) => {
      times.push(Date.now());
      response.writeHead(200, SSE);
      if (count === 1)
        return response.write(`retry: 2200\n\n${eventText({ seq: 1, type: "stream", data: 1 })}`, () => response.destroy());
      response.write(": hello\n\n");
      setTimeout(() => response.end(eventText({ seq: 2, type: "run.completed", data: {} })), 1300);
    },
    { timeoutMs: 1000 },
  );
  assert.equal((await cell.runs.events("r").all()).length, 2);
  await close();
  assert.ok(times[1] - times[0] >= 1100, `${times[1] - times[0]} ms`); // At least the half of it, and more than there is without.
});

test("a server that asks for a long wait is asked again within a minute, and nobody waits past the time to give up", async (t) => {
  const { now } = Date;
  const { setTimeout: later } = globalThis;
  const pauses = [];
  let passed = 0;
  Date.now = () => now() + passed;
  globalThis.setTimeout = (call, ms, ...rest) => {
    if (ms < 10_000) return later(call, 1, ...rest); // The first pause, and fetch's own.
    if (ms === 45_000) return later(call, ms, ...rest);
    pauses.push(ms);
    passed += ms;
    return later(call, 0, ...rest);
  };
  t.after(() => {
    Date.now = now;
    globalThis.setTimeout = later;
  });
  let count = 0;
  const fetch = async () => {
    count += 1;
    if (count === 1) return new Response(eventText({ seq: 1, type: "stream", data: 1 }), { headers: SSE });
    const headers = { "content-type": "application/json", "retry-after": "3600" };
    return new Response(JSON.stringify(failure("unavailable", { retryable: true })), { status: 503, headers });
  };
  const cell = new Cellar({ baseUrl: "http://x", apiKey: "k", timeoutMs: 0, fetch }).cells.open("c");
  const began = Date.now();
  await assert.rejects(cell.events({ giveUpAfterMs: 100_000 }).all(), UnavailableError);
  const tookMs = Date.now() - began;
  assert.deepEqual([pauses[0], pauses.length], [60_000, 2]);
  assert.ok(tookMs >= 100_000 && tookMs < 101_000, `${tookMs} ms`);
});

test("a stream whose first connection fails does not try for ever", async () => {
  const { cell, asked, close } = await serve((_, response) => response.destroy());
  await assert.rejects(cell.events().next(), ConnectionError);
  await close();
  assert.equal(asked.length, 3);
});

test("a watch tells after a break that changes are missing", async () => {
  const event = (id, type, data) => `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
  const { cell, asked, close } = await serve((call, response, count) => {
    response.writeHead(200, SSE);
    const after = Number(call.query.get("after") ?? 0);
    const begin = event(after + 1, after === 0 ? "ready" : "reset", { path: "src" });
    const created = event(after + 2, "created", { path: "src/a", type: "file" });
    const deleted = event(after + 3, "deleted", { path: "src", type: "directory" });
    // First it breaks before anything was told.
    const text = ["", begin + created, begin + created + deleted][count - 1];
    response.write(`retry: 0\n\n${text}`, () => response.destroy());
  });
  const changes = await cell.files.watch("src").all();
  await close();
  assert.deepEqual(
    changes.map(({ type }) => type),
    ["ready", "created", "reset", "created", "deleted"],
  );
  assert.deepEqual(changes.slice(1, 3), [
    { type: "created", path: "src/a", kind: "file" },
    { type: "reset", path: "src" },
  ]);
  assert.deepEqual(
    asked.map(({ query }) => query.get("after")),
    [null, null, "2"],
  );
});

test("types of events are a list, or one text", async () => {
  const { cell, asked, close } = await serve((call, response) => {
    if (call.query.has("tail")) return answer(response, 200, { events: [], last_seq: 7, more: false, stale: false });
    response.writeHead(200, SSE).write("id: 8\nevent: cell.paused\ndata: {}\n\n");
  });
  for (const types of ["cell.*", ["cell.*"], "cell.*,run.completed", ["cell.*", "run.completed"]]) {
    for (const tail of [undefined, 0]) {
      const events = cell.events({ types, tail });
      await events.next();
      await events.return();
    }
  }
  await close();
  const one = Array(6).fill("cell.*");
  assert.deepEqual(
    asked.map(({ query }) => query.get("types")),
    [...one, ...one.map((type) => `${type},run.completed`)],
  );
});

const DURABLE = {
  request: (cell) => cell.request("m"),
  stream: (cell) => cell.stream("m").all(),
  start: (cell) => cell.runs.start("m"),
  await: (cell) => cell.runs.await("r"),
  event: (cell) => cell.runs.sendEvent("r", { type: "t" }),
};

test("what is durable is waited for through the restart of a daemon that had it", async (t) => {
  const { setTimeout: later } = globalThis;
  quick(t);
  for (const [name, call] of Object.entries(DURABLE)) {
    const done = { status: "completed" };
    const { server, cell, asked, close } = await serve((_, response, count) => {
      if (count > 1) return answer(response, count < 12 ? 502 : 200, count < 12 ? failure("bad_gateway", { retryable: true }) : done);
      const { port } = server.address();
      server.close(); // Nobody is there for a while.
      response.destroy();
      later(() => server.listen(port, "127.0.0.1"), 150);
    });
    const value = await call(cell).catch((error) => error);
    await close();
    assert.deepEqual(Array.isArray(value) ? value[0] : value, done, name);
    assert.equal(asked.length, 12, name);
    assert.equal(new Set(asked.map(({ headers, body }) => headers["idempotency-key"] + body)).size, 1, name);
  }
});

test("what is durable is given up after its time, and soon where nobody ever had it", async (t) => {
  quick(t);
  const { now } = Date;
  let passed = 0;
  Date.now = () => now() + passed;
  t.after(() => (Date.now = now));
  for (const [name, call] of Object.entries(DURABLE)) {
    const { cell, asked, close } = await serve((_, response) => {
      passed += 20_000;
      response.destroy();
    });
    await assert.rejects(call(cell), ConnectionError, name);
    await close();
    assert.ok(asked.length > 15 && asked.length < 18, `${name}: ${asked.length}`);
    let count = 0;
    const nobody = async () => {
      count += 1;
      throw Object.assign(new TypeError("fetch failed"), { cause: Object.assign(new Error("nobody"), { code: "ECONNREFUSED" }) });
    };
    const client = new Cellar({ baseUrl: "http://x", apiKey: "k", fetch: nobody });
    await assert.rejects(call(client.cells.open("c")), ConnectionError, name);
    assert.equal(count, 3, name);
  }
});

test("who awaits a run for so long waits no longer, whether anybody is there or not", async (t) => {
  quick(t);
  const { now } = Date;
  let passed = 0;
  Date.now = () => passed;
  t.after(() => (Date.now = now));
  for (const isThere of [true, false]) {
    passed = 0;
    const { cell, asked, close } = await serve((_, response) => {
      passed += 10_000;
      if (isThere) return answer(response, 200, { id: "r", status: "running" });
      return response.destroy();
    });
    const awaited = cell.runs.await("r", { timeoutMs: 25_000 });
    if (isThere) assert.equal((await awaited).status, "running");
    else await assert.rejects(awaited, ConnectionError);
    await close();
    assert.deepEqual(asked.map(({ query }) => query.get("timeout")), ["25", "15", "5"]);
  }
});
