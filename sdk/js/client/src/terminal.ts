// A WebSocket at a program's input and output.

import { ConnectionError, errorOfEvent, type CellarError } from "./errors.js";
import type * as api from "./generated.js";
import { disposable } from "./items.js";
import { fromWire, toWire } from "./names.js";
import { Scope } from "./scope.js";
import { openSocket, type Socket } from "./socket.js";
import type { CallOptions, Transport } from "./transport.js";

export type TerminalItem =
  | { type: "output"; bytes: Uint8Array; place: number }
  /** Older output is not kept any more. */
  | { type: "stale"; place: number }
  /** Something that was sent was not taken. */
  | { type: "error"; error: CellarError }
  | { type: "exit"; process: api.Process };

// The daemon's limit of a frame.
const FRAME_BYTES_MAX = 1024 * 1024;

/**
 * What a program writes, to its end. To leave it (`close`, `break`, `await using`) is not to end it. A connection that
 * breaks ends this with ConnectionError; `processes.attach(id, {after: terminal.place})` goes on with the next byte.
 */
export class Terminal implements AsyncIterable<TerminalItem> {
  readonly #socket: Socket;
  readonly #scope: Scope;
  readonly #kill: () => Promise<void>;
  #place: number;
  #exit: api.Process | undefined;
  #wasLeft = false;

  private constructor(socket: Socket, scope: Scope, place: number, kill: () => Promise<void>) {
    this.#socket = socket;
    this.#scope = scope;
    this.#place = place;
    this.#kill = kill;
    disposable(this, async () => this.close());
  }

  static async open(
    transport: Transport,
    path: string,
    after: number,
    options: CallOptions,
    kill: () => Promise<void>,
  ): Promise<Terminal> {
    const scope = new Scope([options.signal], options.timeoutMs ?? transport.timeoutMs, path);
    const url = transport.url(path, { after }).replace(/^http/, "ws");
    try {
      const socket = await openSocket(url, transport.keyHeaders, scope.signal);
      scope.stopClock();
      return new Terminal(socket, scope, after, kill);
    } catch (error) {
      scope.close();
      throw error;
    }
  }

  /** Behind the last byte that was read. */
  get place(): number {
    return this.#place;
  }

  /** How the program ended, once that was read. */
  get exit(): api.Process | undefined {
    return this.#exit;
  }

  /** Keys, or input. */
  async write(input: string | Uint8Array): Promise<void> {
    const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
    for (let at = 0; at < bytes.length; at += FRAME_BYTES_MAX) await this.#socket.send(bytes.subarray(at, at + FRAME_BYTES_MAX));
  }

  resize(size: api.TerminalSize): Promise<void> {
    return this.#say({ type: "resize", ...size });
  }

  signal(signal: string | number): Promise<void> {
    return this.#say({ type: "signal", signal });
  }

  /** Nothing follows. */
  end(): Promise<void> {
    return this.#say({ type: "end" });
  }

  /** Leaves the program, which goes on. */
  close(): void {
    this.#wasLeft = true;
    this.#socket.close();
    this.#scope.close();
  }

  /** Ends the program, and forgets it. */
  async kill(): Promise<void> {
    this.close();
    await this.#kill();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TerminalItem, void, undefined> {
    try {
      for await (const message of this.#socket) {
        const item = this.#item(message);
        if (item) yield item;
        if (item?.type === "exit") return;
      }
      // Closed from here, it is left; closed from there, the program's end would have been told.
      if (!this.#exit && !this.#wasLeft)
        throw new ConnectionError("the terminal's connection ended", { code: "connection", retryable: true });
    } finally {
      this.close();
    }
  }

  #item(message: string | Uint8Array): TerminalItem | undefined {
    if (typeof message !== "string") {
      this.#place += message.length;
      return { type: "output", bytes: message, place: this.#place };
    }
    const { type, ...told } = JSON.parse(message) as { type: string; place?: number };
    if (type === "error") return { type, error: errorOfEvent(message) };
    if (type === "stale") {
      this.#place = told.place ?? this.#place;
      return { type, place: this.#place };
    }
    if (type !== "exit") return undefined;
    this.#exit = fromWire<api.Process>(told);
    return { type, process: this.#exit };
  }

  #say(message: unknown): Promise<void> {
    return this.#socket.send(JSON.stringify(toWire(message)));
  }
}

export interface Terminal extends AsyncDisposable {}
