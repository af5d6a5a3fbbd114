import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Client } from "../src/api/client";
import { openLink, type LinkHandlers } from "../src/api/terminal_link";

const before = { fetch: globalThis.fetch, WebSocket: globalThis.WebSocket };
afterEach(() => void Object.assign(globalThis, before));

const PROCESS = "/api/v1/cells/c/processes/p1";
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Hears a link, and ends with what it heard once the program has. */
function listener() {
  const heard: string[] = [];
  let end!: () => void;
  const over = new Promise<void>((resolve) => (end = resolve));
  const handlers: LinkHandlers = {
    onBytes: (bytes) => heard.push(`bytes ${text(bytes)}`),
    onState: (state) => heard.push(state),
    onWay: (way) => heard.push(`way ${way}`),
    onProblem: (problem) => heard.push(`problem ${(problem as Error).message}`),
    onExit: ({ exit_code }) => { heard.push(`exit ${exit_code}`); end(); },
  };
  return { heard, over, handlers };
}

/** A daemon: its answers by path without the query; `calls` are those that sent something. */
function daemon(answers: Record<string, () => Response | Promise<Response>>): [string, string][] {
  const calls: [string, string][] = [];
  globalThis.fetch = async (address, options) => {
    const path = String(address).split("?")[0]!;
    const body = options?.body;
    if (body !== undefined) calls.push([path, typeof body === "string" ? body : text(body as Uint8Array)]);
    return answers[path]!();
  };
  return calls;
}

const described = (paths: object) => () => new Response(JSON.stringify({ paths }));
const WITH_TOKENS = described({ "/api/v1/cells/{id}/tokens": {} });

class FakeSocket {
  static readonly OPEN = 1;
  static made: FakeSocket[] = [];
  static onMade: (socket: FakeSocket) => void;
  readyState = 0;
  bufferedAmount = 0;
  sent: string[] = [];
  onopen = () => {};
  onclose = () => {};
  onmessage = (_: { data: unknown }) => {};
  constructor(readonly address: URL, readonly protocols: string[]) {
    FakeSocket.made.push(this);
    queueMicrotask(() => FakeSocket.onMade(this));
  }
  open() { this.readyState = 1; this.onopen(); }
  send(data: string | Uint8Array) { this.sent.push(typeof data === "string" ? data : text(data)); }
  close() { this.readyState = 3; this.onclose(); }
}

function sockets(onMade: (socket: FakeSocket) => void): void {
  FakeSocket.made = [];
  FakeSocket.onMade = onMade;
  Object.assign(globalThis, { WebSocket: FakeSocket, location: { origin: "http://daemon" } });
}

test("without tokens the output comes as events, and keys are brought in their order, the size first", async () => {
  let finish!: () => void;
  const typed = new Promise<void>((resolve) => (finish = resolve));
  const log = new ReadableStream({
    async start(stream) {
      stream.enqueue(new TextEncoder().encode(`id: 1\nevent: stdout\ndata: {"text":"$ "}\n\nid: 3\nevent: stdout\ndata: {"b64":"w6Q="}\n\n`));
      await typed;
      stream.enqueue(new TextEncoder().encode(`event: exit\ndata: {"exit_code":0}\n\n`));
      stream.close();
    },
  });
  const nothing = () => new Response(null, { status: 204 });
  const calls = daemon({ "/openapi.json": described({}), [`${PROCESS}/log`]: () => new Response(log), [`${PROCESS}/resize`]: nothing,
    [`${PROCESS}/stdin`]: () => { if (calls.filter(([path]) => path.endsWith("stdin")).map(([, sent]) => sent).join("") === "abc") finish(); return nothing(); } });
  const { heard, over, handlers } = listener();
  const link = openLink(new Client("k", () => {}, 1), "c", "p1", handlers);
  link.resize({ columns: 80, rows: 24 });
  for (const key of "abc") link.type(new TextEncoder().encode(key));
  await over;
  assert.deepEqual(calls.map(([path]) => path.slice(PROCESS.length)).slice(0, 2), ["/resize", "/stdin"]);
  assert.deepEqual(heard, ["way no_tokens", "open", "bytes $ ", "bytes ä", "exit 0"]);
});

test("with a token the socket brings bytes, and one that breaks goes on where it was, with another token", async () => {
  let tokens = 0;
  daemon({ "/openapi.json": WITH_TOKENS, "/api/v1/cells/c/tokens": () => new Response(JSON.stringify({ token: `t${++tokens}` })),
    [`${PROCESS}/resize`]: () => new Response(null, { status: 204 }) });
  sockets((socket) => {
    socket.open();
    socket.onmessage({ data: new TextEncoder().encode("hello").buffer });
    if (FakeSocket.made.length === 1) return socket.close();
    socket.onmessage({ data: `{"type":"exit","exit_code":7}` });
    socket.close();
  });
  const { heard, over, handlers } = listener();
  openLink(new Client("k", () => {}, 1), "c", "p1", handlers).resize({ columns: 80, rows: 24 });
  await over;
  assert.deepEqual(FakeSocket.made.map((socket) => [socket.protocols, socket.address.search]), [[["cellar.token.t1", "cellar"], "?after=0"], [["cellar.token.t2", "cellar"], "?after=5"]]);
  assert.equal(FakeSocket.made[0]!.address.href.split("?")[0], `ws://daemon${PROCESS}/attach`);
  assert.deepEqual(heard, ["way socket", "open", "bytes hello", "waiting", "way socket", "open", "bytes hello", "exit 7"]);
});

test("where no socket opens, requests take its place", async () => {
  daemon({ "/openapi.json": WITH_TOKENS, "/api/v1/cells/c/tokens": () => new Response(JSON.stringify({ token: "t" })),
    [`${PROCESS}/log`]: () => new Response(`event: exit\ndata: {"exit_code":0}\n\n`) });
  sockets((socket) => socket.close());
  const { heard, over, handlers } = listener();
  openLink(new Client("k", () => {}, 1), "c", "p1", handlers);
  await over;
  assert.deepEqual(heard, ["way no_socket", "open", "exit 0"]);
});

test("what a program does not read is refused at a limit, and said", async () => {
  daemon({ "/openapi.json": described({}), [`${PROCESS}/log`]: () => new Promise(() => {}), [`${PROCESS}/stdin`]: () => new Promise(() => {}) });
  const { heard, handlers } = listener();
  const link = openLink(new Client("k", () => {}, 1), "c", "p1", handlers);
  for (const size of [10, 1 << 20, 1]) link.type(new Uint8Array(size));
  link.close();
  assert.deepEqual(heard, ["problem The program does not read: what you type is left out."]);
});
