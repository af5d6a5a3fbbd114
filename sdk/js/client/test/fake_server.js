// A server on a free port whose answers a test decides on, and dice that can be thrown again.
import { createServer } from "node:http";
import { Cellar } from "../dist/esm/index.js";

export async function serve(handler, options = {}) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const url = new URL(request.url, "http://x");
    const call = {
      method: request.method,
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: Buffer.concat(pieces).toString(),
    };
    asked.push(call);
    handler(call, response, asked.length);
  });
  const sockets = new Set();
  server.on("connection", (socket) => sockets.add(socket).size && socket.on("close", () => sockets.delete(socket)));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const baseUrl = `http://127.0.0.1:${server.address().port}`;
  const close = () => {
    client.close();
    for (const socket of sockets) socket.destroy(); // Those that were upgraded, too.
    return new Promise((resolve) => server.close(resolve));
  };
  const client = new Cellar({ baseUrl, apiKey: "key", ...options });
  return { server, baseUrl, asked, client, cell: client.cells.open("c"), close };
}

export function answer(response, status, value, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(value === undefined ? "" : JSON.stringify(value));
}

export const failure = (code, fields = {}) => ({ error: `it is ${code}`, code, retryable: false, request_id: "r1", ...fields });

/** Numbers from 0 to 1, the same for the same seed, which is SEED of the environment or a new one. */
export function dice(t) {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`SEED=${seed}`);
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A connection that broke is followed by another at once, for the time of a test. */
export function quick(t) {
  const { setTimeout: later } = globalThis;
  globalThis.setTimeout = (call, ms, ...rest) => later(call, ms > 30_000 ? ms : 1, ...rest);
  t.after(() => (globalThis.setTimeout = later));
}
