// The client's side of a WebSocket (RFC 6455) over node:http, for Node.js.

import { ConnectionError, errorOf } from "./errors.js";
import { Incoming } from "./incoming.js";
import type { Socket } from "./socket.js";
import { connectionError } from "./transport.js";

// What is used of node:http, node:crypto and sockets; named here, as browsers' programs have no types for them.
interface NodeSocket {
  write(data: Uint8Array, done?: (error?: Error | null) => void): boolean;
  on(event: string, listener: (value: never) => void): void;
  pause(): void;
  resume(): void;
  destroy(): void;
  destroySoon(): void;
}
interface NodeResponse {
  statusCode: number;
  headers: Record<string, string | undefined>;
  on(event: string, listener: (value: never) => void): void;
}
interface NodeRequest {
  on(event: string, listener: (...values: never[]) => void): void;
  end(): void;
  destroy(error?: Error): void;
}
interface NodeHttp {
  request(url: string, options: { headers: Record<string, string> }): NodeRequest;
}
interface NodeCrypto {
  randomBytes(count: number): Uint8Array & { toString(encoding: "base64"): string };
  createHash(name: "sha1"): { update(text: string): { digest(encoding: "base64"): string } };
}

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024; // the daemon's have 1 MiB at most
const ERROR_BYTES_MAX = 64 * 1024;
const SILENCE_MAX_MS = 90_000; // the daemon asks every 30 s whether anybody is there
const PAUSE_BYTES = 1024 * 1024; // waiting to be read

enum Opcode {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
}

/** Throws ConnectionError, or the error that the server answered with. */
export async function openNodeSocket(
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal,
  silenceMaxMs = SILENCE_MAX_MS,
): Promise<Socket> {
  const isSecure = url.startsWith("wss:");
  // Named by variables: bundlers for browsers do not look for them.
  const [httpName, cryptoName] = [isSecure ? "node:https" : "node:http", "node:crypto"];
  const http = (await import(/* @vite-ignore */ /* webpackIgnore: true */ httpName)) as NodeHttp;
  const crypto = (await import(/* @vite-ignore */ /* webpackIgnore: true */ cryptoName)) as NodeCrypto;
  signal.throwIfAborted(); // Nobody hears it once it has been.
  const key = crypto.randomBytes(16).toString("base64");
  const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": key };
  const request = http.request(url.replace(/^ws/, "http"), { headers: { ...headers, ...upgrade } });
  const accept = crypto
    .createHash("sha1")
    .update(key + GUID)
    .digest("base64");
  return new Promise<Socket>((resolve, reject) => {
    const stop = () => request.destroy();
    const settled = () => signal.removeEventListener("abort", stop);
    signal.addEventListener("abort", stop);
    request.on("error", (error: Error) => {
      settled();
      reject(signal.aborted ? signal.reason : connectionError(error, url));
    });
    request.on("response", (response: NodeResponse) => {
      refusal(response).then(reject, reject).finally(settled);
    });
    request.on("upgrade", (response: NodeResponse, socket: NodeSocket, head: Uint8Array) => {
      settled();
      if (response.headers["sec-websocket-accept"] !== accept) {
        socket.destroy();
        return reject(new ConnectionError(`${url}: this is no WebSocket`, { code: "connection" }));
      }
      resolve(new Framed(socket, head, signal, (count) => crypto.randomBytes(count), silenceMaxMs));
    });
    request.end();
  });
}

function refusal(response: NodeResponse): Promise<Error> {
  return new Promise((resolve) => {
    const pieces: Uint8Array[] = [];
    let size = 0;
    response.on("data", (piece: Uint8Array) => {
      size += piece.length;
      if (size <= ERROR_BYTES_MAX) pieces.push(piece);
    });
    const told = () => resolve(errorOf(response.statusCode, new TextDecoder().decode(joined(pieces))));
    response.on("end", told);
    response.on("error", told);
  });
}

function joined(pieces: Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0] as Uint8Array;
  const whole = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

class Framed implements Socket {
  readonly #socket: NodeSocket;
  readonly #signal: AbortSignal;
  readonly #random: (count: number) => Uint8Array;
  readonly #incoming = new Incoming();
  readonly #stop = () => this.#fail(this.#signal.reason);
  readonly #silenceMaxMs: number;
  #clock: ReturnType<typeof setTimeout> | undefined;
  #rest: Uint8Array;
  #parts: Uint8Array[] = [];
  #partsOpcode = Opcode.binary;
  #isClosed = false;

  constructor(
    socket: NodeSocket,
    head: Uint8Array,
    signal: AbortSignal,
    random: (count: number) => Uint8Array,
    silenceMaxMs: number,
  ) {
    this.#socket = socket;
    this.#silenceMaxMs = silenceMaxMs;
    this.#signal = signal;
    this.#random = random;
    this.#rest = head;
    this.#incoming.onRoom = () => this.#flow();
    signal.addEventListener("abort", this.#stop);
    socket.on("data", (bytes: Uint8Array) => {
      this.#rest = this.#rest.length === 0 ? bytes : joined([this.#rest, bytes]);
      this.#takeFrames();
      this.#flow();
    });
    socket.on("error", (error: Error) => this.#fail(connectionError(error, "the WebSocket")));
    socket.on("close", () => this.#fail(new ConnectionError("the WebSocket broke off", { code: "connection", retryable: true })));
    this.#takeFrames();
    this.#flow();
  }

  [Symbol.asyncIterator](): AsyncIterator<string | Uint8Array> {
    return this.#incoming.read();
  }

  send(data: string | Uint8Array): Promise<void> {
    return typeof data === "string" ? this.#write(Opcode.text, new TextEncoder().encode(data)) : this.#write(Opcode.binary, data);
  }

  close(): void {
    if (!this.#isClosed) this.#write(Opcode.close, Uint8Array.of(0x03, 0xe8)).catch(() => {});
    this.#finish();
  }

  /** Resolves once the bytes have left this process. */
  #write(opcode: Opcode, bytes: Uint8Array): Promise<void> {
    if (this.#isClosed) return Promise.reject(new ConnectionError("the WebSocket is closed", { code: "connection" }));
    const head = [0x80 | opcode];
    if (bytes.length < 126) head.push(0x80 | bytes.length);
    else if (bytes.length < 0x10000) head.push(0x80 | 126, bytes.length >> 8, bytes.length & 0xff);
    else
      head.push(
        0x80 | 127,
        0,
        0,
        0,
        0,
        bytes.length >>> 24,
        (bytes.length >> 16) & 0xff,
        (bytes.length >> 8) & 0xff,
        bytes.length & 0xff,
      );
    const mask = this.#random(4);
    const masked = bytes.map((byte, at) => byte ^ (mask[at & 3] as number));
    return new Promise((resolve, reject) => {
      const done = (error?: Error | null) => (error ? reject(connectionError(error, "the WebSocket")) : resolve());
      this.#socket.write(joined([Uint8Array.from(head), mask, masked]), done);
    });
  }

  #takeFrames(): void {
    while (!this.#isClosed && this.#takeFrame());
  }

  /** Lets more come where it is read, and then waits for it only so long. */
  #flow(): void {
    clearTimeout(this.#clock);
    if (this.#isClosed) return;
    if (this.#incoming.bytes >= PAUSE_BYTES) return this.#socket.pause();
    this.#socket.resume();
    const silent = () =>
      this.#fail(new ConnectionError(`nothing came for ${this.#silenceMaxMs} ms`, { code: "silence", retryable: true }));
    this.#clock = setTimeout(silent, this.#silenceMaxMs);
  }

  /** Whether there was a whole one. */
  #takeFrame(): boolean {
    const bytes = this.#rest;
    if (bytes.length < 2) return false;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let size = view.getUint8(1) & 0x7f;
    const headSize = size < 126 ? 2 : size === 126 ? 4 : 10;
    if (bytes.length < headSize) return false;
    if (size === 126) size = view.getUint16(2);
    else if (size === 127) size = Number(view.getBigUint64(2));
    const isMasked = (view.getUint8(1) & 0x80) !== 0;
    const held = this.#parts.reduce((sum, part) => sum + part.length, 0);
    if (isMasked || size + held > MESSAGE_BYTES_MAX) {
      const what = isMasked ? "a masked frame" : `a message of more than ${MESSAGE_BYTES_MAX} bytes`;
      this.#fail(new ConnectionError(`the WebSocket brought ${what}`, { code: "web_socket_broken" }));
      return false;
    }
    if (bytes.length < headSize + size) return false;
    this.#rest = bytes.slice(headSize + size);
    this.#take(view.getUint8(0) & 0x0f, (view.getUint8(0) & 0x80) !== 0, bytes.slice(headSize, headSize + size));
    return true;
  }

  #take(opcode: Opcode, isLast: boolean, bytes: Uint8Array): void {
    if (opcode === Opcode.ping) {
      this.#write(Opcode.pong, bytes).catch(() => {});
    } else if (opcode === Opcode.close) {
      this.#write(Opcode.close, bytes.slice(0, 2)).catch(() => {});
      this.#finish();
    } else if (opcode !== Opcode.pong) {
      if (opcode !== Opcode.continuation) this.#partsOpcode = opcode;
      this.#parts.push(bytes);
      if (!isLast) return;
      const message = joined(this.#parts);
      this.#parts = [];
      this.#incoming.push(this.#partsOpcode === Opcode.text ? new TextDecoder().decode(message) : message);
    }
  }

  #fail(error: unknown): void {
    this.#incoming.end(error);
    this.#finish();
  }

  #finish(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#clock);
    this.#signal.removeEventListener("abort", this.#stop);
    this.#incoming.end();
    this.#socket.destroySoon(); // What was written last still goes out.
  }
}
