// The WebSocket of Node.js, against a server that writes its frames by hand.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { ConnectionError, NotFoundError } from "../dist/esm/index.js";
import { Incoming, WAITING_BYTES_MAX } from "../dist/esm/incoming.js";
import { openNodeSocket } from "../dist/esm/node_socket.js";
import { answer, dice, failure, quick, serve } from "./fake_server.js";

const TEXT = 1,
  BINARY = 2,
  CLOSE = 8,
  PING = 9,
  PONG = 10;
const EXIT = JSON.stringify({ type: "exit", id: "p1", exit_code: 3, output_next: 6 });

function frame(opcode, data = "", { isLast = true, mask = 0 } = {}) {
  const bytes = Buffer.from(data);
  const head = [(isLast ? 0x80 : 0) | opcode];
  if (bytes.length < 126) head.push(mask | bytes.length);
  else if (bytes.length < 0x10000) head.push(126, bytes.length >> 8, bytes.length & 255);
  else head.push(127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (bytes.length >>> shift) & 255));
  return Buffer.concat([Buffer.from(head), bytes]);
}

/** The frames in what a client wrote, [opcode, text]; all of them must be masked. */
function framesIn(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length;) {
    assert.ok(bytes[at + 1] & 0x80);
    let size = bytes[at + 1] & 0x7f;
    const head = size === 126 ? 4 : size === 127 ? 10 : 2;
    if (size === 126) size = bytes.readUInt16BE(at + 2);
    if (size === 127) size = Number(bytes.readBigUInt64BE(at + 2));
    const mask = bytes.subarray(at + head, at + head + 4);
    found.push([
      bytes[at] & 15,
      Buffer.from(bytes.subarray(at + head + 4, at + head + 4 + size).map((byte, i) => byte ^ mask[i & 3])).toString(),
    ]);
    at += head + 4 + size;
  }
  return found;
}

async function shaken(
  talk,
  accept = (key) => createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64"),
) {
  const made = await serve((_, response) => answer(response, 404, failure("process_not_found")));
  made.server.on("upgrade", (request, socket) => {
    assert.equal(request.headers.authorization, "Bearer key");
    socket.write(
      `HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept(request.headers["sec-websocket-key"])}\r\n\r\n`,
    );
    socket.on("error", () => {});
    talk(socket, request);
  });
  return made;
}

test("output comes in whatever pieces, pings are answered, and the end is the program's", async (t) => {
  const random = dice(t);
  const long = "x".repeat(70_000);
  const written = [];
  let allWritten;
  const wasWritten = new Promise((resolve) => (allWritten = resolve));
  const all = Buffer.concat([
    frame(TEXT, JSON.stringify({ type: "stale", place: 100 })),
    frame(BINARY, "abc"),
    frame(PING, "still there?"),
    frame(BINARY, "d", { isLast: false }),
    frame(PING),
    frame(0, "ef"),
    frame(BINARY, long),
    frame(TEXT, JSON.stringify({ type: "error", ...failure("input_full", { retryable: true }) })),
    frame(TEXT, EXIT),
    frame(CLOSE),
  ]);
  const { cell, close } = await shaken(async (socket, request) => {
    assert.equal(request.url, "/api/v1/cells/c/processes/p1/attach?after=97");
    socket.on("data", (piece) => written.push(piece)).on("end", allWritten);
    for (let at = 0; at < all.length;) {
      const size = 1 + Math.floor(random() * (random() < 0.5 ? 4 : 20_000));
      socket.write(all.subarray(at, at + size));
      await new Promise(setImmediate); // Both sides are this process: the other one has its turn.
      at += size;
    }
  });
  const terminal = await cell.processes.attach("p1", { after: 97 });
  await terminal.write("keys");
  await terminal.resize({ columns: 100, rows: 30 });
  const items = [];
  for await (const item of terminal) items.push(item);
  assert.deepEqual(
    items.map(({ type, place }) => [type, place]),
    [
      ["stale", 100],
      ["output", 103],
      ["output", 106],
      ["output", 70_106],
      ["error", undefined],
      ["exit", undefined],
    ],
  );
  assert.equal(Buffer.from(items[2].bytes).toString(), "def");
  assert.equal(items[4].error.code, "input_full");
  assert.deepEqual([terminal.exit.exitCode, terminal.place], [3, 70_106]);
  await assert.rejects(terminal.write("more"), ConnectionError);
  await wasWritten;
  await close();
  const frames = framesIn(Buffer.concat(written));
  assert.deepEqual(
    frames.filter(([opcode]) => opcode === BINARY),
    [[BINARY, "keys"]],
  );
  assert.deepEqual(
    frames.filter(([opcode]) => opcode === TEXT),
    [[TEXT, '{"type":"resize","columns":100,"rows":30}']],
  );
  assert.deepEqual(
    frames.filter(([opcode]) => opcode === PONG),
    [
      [PONG, "still there?"],
      [PONG, ""],
    ],
  );
});

test("what breaks the protocol is an error, and says where to go on", async () => {
  const endings = {
    "it is too large": (socket) =>
      socket.write(Buffer.concat([frame(BINARY, "abc"), Buffer.from([0x82, 127, 0, 0, 0, 0, 1, 0, 0, 0])])),
    "its parts are too large": (socket) => {
      socket.write(frame(BINARY, "abc"));
      for (let part = 0; part < 5; part += 1)
        socket.write(frame(part === 0 ? BINARY : 0, Buffer.alloc(1 << 20), { isLast: false }));
    },
    "it is masked": (socket) => socket.write(Buffer.concat([frame(BINARY, "abc"), frame(BINARY, "xxxxx", { mask: 0x80 })])),
  };
  for (const [what, talk] of Object.entries(endings)) {
    const { cell, close } = await shaken(talk);
    const terminal = await cell.processes.attach("p1");
    const reading = terminal[Symbol.asyncIterator]();
    assert.equal((await reading.next()).value.place, 3, what);
    await assert.rejects(reading.next(), ConnectionError, what);
    assert.equal(terminal.place, 3);
    await close();
  }
});

test("output that is cut comes with each byte once, over as many connections as it takes", async (t) => {
  const random = dice(t);
  quick(t);
  const whole = Array.from({ length: 20_000 }, (_, at) => String.fromCharCode(97 + (at % 26))).join("");
  let cuts = 0;
  const { cell, close } = await shaken((socket, request) => {
    const frames = [];
    for (let at = Number(new URL(request.url, "http://x").searchParams.get("after")); at < whole.length;) {
      const piece = whole.slice(at, at + 1 + Math.floor(random() * 90));
      frames.push(frame(BINARY, piece));
      at += piece.length;
    }
    const all = Buffer.concat([...frames, frame(TEXT, EXIT), frame(CLOSE)]);
    if (cuts === 100) return socket.write(all);
    cuts += 1;
    const sent = all.subarray(0, Math.floor(random() * 400));
    // It breaks off, is reset, or is closed as if all were well.
    if (random() < 0.3) socket.end(frame(CLOSE));
    else socket.write(sent, () => (random() < 0.5 ? socket.end() : socket.resetAndDestroy?.()));
  });
  const terminal = await cell.processes.attach("p1");
  let seen = "";
  for await (const item of terminal) if (item.type === "output") seen += Buffer.from(item.bytes).toString();
  assert.equal(seen, whole);
  assert.deepEqual([cuts, terminal.place, terminal.exit.exitCode], [100, whole.length, 3]);
  await close();
});

test("what is written while there is no connection waits for the next one, within a limit", async () => {
  let connections = 0;
  let bytes = 0;
  let broke;
  const hasBroken = new Promise((resolve) => (broke = resolve));
  const { cell, close } = await shaken((socket) => {
    connections += 1;
    if (connections === 1) return socket.on("close", broke).end(frame(BINARY, "abc"));
    socket.on("data", (piece) => {
      bytes += piece.length;
      if (bytes > 1 << 20) socket.write(Buffer.concat([frame(TEXT, EXIT), frame(CLOSE)]));
    });
  });
  const terminal = await cell.processes.attach("p1");
  const reading = terminal[Symbol.asyncIterator]();
  await reading.next();
  const last = reading.next(); // Finds that it broke; another connection comes after half a second or more.
  await hasBroken;
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  const first = terminal.write("x".repeat(1 << 20));
  await assert.rejects(terminal.write("y"), { name: "ExhaustedError", code: "input_full" });
  assert.equal(connections, 1);
  await first;
  assert.equal((await last).value.type, "exit");
  assert.equal(connections, 2);
  await close();
});

test("a terminal that cannot be reached again is given up, and at once where its program is not there any more", async (t) => {
  quick(t);
  for (const [options, expected] of [
    [{}, NotFoundError],
    [{ giveUpAfterMs: 1 }, ConnectionError],
  ]) {
    const { server, cell, close } = await shaken((socket) => {
      server.removeAllListeners("upgrade");
      if (options.giveUpAfterMs) server.on("upgrade", (_, other) => other.destroy());
      socket.end(frame(BINARY, "abc"));
    });
    const reading = (await cell.processes.attach("p1", options))[Symbol.asyncIterator]();
    await reading.next();
    await assert.rejects(reading.next(), expected);
    await close();
  }
});

test("a terminal ends with its client, and a program that nobody could sit down at is ended", async () => {
  const { client, cell, close } = await shaken((socket) => socket.write(frame(BINARY, "abc")));
  const reading = (await cell.processes.attach("p1"))[Symbol.asyncIterator]();
  await reading.next();
  client.close();
  await assert.rejects(reading.next(), { code: "client_closed" });
  await close();
  const calls = [];
  const other = await serve((call, response) => {
    calls.push(`${call.method} ${call.path.split("/").slice(5).join("/")}`);
    if (call.method === "POST") return answer(response, 201, { id: "p7" });
    answer(response, call.method === "DELETE" ? 204 : 503, call.method === "DELETE" ? undefined : failure("cell_not_opened"));
  });
  await assert.rejects(other.cell.terminal(), { code: "cell_not_opened" });
  assert.deepEqual(calls, ["POST processes", "GET processes/p7/attach", "DELETE processes/p7"]);
  await other.close();
});

test("who is refused is told why, and nobody else's answer is taken", async () => {
  const { cell, close } = await serve((_, response) => answer(response, 404, failure("process_not_found")));
  await assert.rejects(
    cell.processes.attach("p1"),
    (error) => error instanceof NotFoundError && error.code === "process_not_found",
  );
  await close();
  const other = await shaken(
    () => {},
    () => "something else",
  );
  await assert.rejects(other.cell.processes.attach("p1"), ConnectionError);
  await other.close();
});

test("a terminal is left by its signal, and by the end of a block", async () => {
  const { cell, close } = await shaken((socket) => socket.write(frame(BINARY, "abc")));
  const leaving = new AbortController();
  const terminal = await cell.processes.attach("p1", { signal: leaving.signal });
  const reading = terminal[Symbol.asyncIterator]();
  await reading.next();
  leaving.abort(new Error("enough"));
  await assert.rejects(reading.next(), /enough/);
  const early = new AbortController();
  const attaching = cell.processes.attach("p1", { signal: early.signal });
  early.abort(new Error("at once"));
  await assert.rejects(attaching, /at once/);
  const other = await cell.processes.attach("p1");
  await other[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await assert.rejects(other.write("x"), ConnectionError);
  await close();
});

test("a WebSocket on which nothing comes is given up, but not while it is not read", async () => {
  const { baseUrl, close } = await shaken((socket) => {
    for (let count = 0; count < 40; count += 1) socket.write(frame(BINARY, Buffer.alloc(100_000)));
  });
  const socket = await openNodeSocket(
    baseUrl.replace("http", "ws"),
    { authorization: "Bearer key" },
    new AbortController().signal,
    500,
  );
  await new Promise((resolve) => setTimeout(resolve, 700)); // Longer than the silence: what has come waits.
  let bytes = 0;
  const readAll = async () => {
    for await (const message of socket) bytes += message.length;
  };
  await assert.rejects(readAll(), { name: "ConnectionError", code: "silence" });
  assert.equal(bytes, 4_000_000);
  await close();
});

test("what is not read has a limit", async () => {
  const incoming = new Incoming();
  const piece = new Uint8Array(WAITING_BYTES_MAX / 4);
  for (let count = 0; count < 5; count += 1) assert.ok(incoming.push(piece));
  assert.equal(incoming.push(piece), false);
  const reading = incoming.read();
  for (let count = 0; count < 5; count += 1) await reading.next();
  await assert.rejects(reading.next(), { code: "not_read" });
});
