// The WebSocket of Node.js, against a server that writes its frames by hand.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { ConnectionError, NotFoundError } from "../dist/esm/index.js";
import { Incoming, WAITING_BYTES_MAX } from "../dist/esm/incoming.js";
import { openNodeSocket } from "../dist/esm/node_socket.js";
import { answer, dice, failure, serve } from "./fake_server.js";

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

test("what is no end of the program is an error, and says where to go on", async () => {
  const endings = {
    "it breaks off": (socket) => socket.end(frame(BINARY, "abc")),
    "it is closed": (socket) => socket.write(Buffer.concat([frame(BINARY, "abc"), frame(CLOSE)])),
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
    50,
  );
  await new Promise((resolve) => setTimeout(resolve, 150)); // Longer than the silence: what has come waits.
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
