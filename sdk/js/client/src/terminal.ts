// A WebSocket at a program's input and output.

import { ConnectionError, ExhaustedError, errorOfEvent, type CellarError } from "./errors.js";
import { RETRY_MAX_MS, RETRY_MS, isPassing, type FollowOptions } from "./follow.js";
import type * as api from "./generated.js";
import { disposable } from "./items.js";
import { fromWire, toWire } from "./names.js";
import { Scope, backoffMs, pause } from "./scope.js";
import { openSocket, type Socket } from "./socket.js";
import { GIVE_UP_MS, type Transport } from "./transport.js";

export type TerminalItem =
  | { type: "output"; bytes: Uint8Array; place: number }
  /** Older output is not kept any more. */
  | { type: "stale"; place: number }
  /** Something that was sent was not taken. */
  | { type: "error"; error: CellarError }
  | { type: "exit"; process: api.Process };

// The daemon's limit of a frame.
const FRAME_BYTES_MAX = 1024 * 1024;
// Written while there is no connection.
const WAITING_BYTES_MAX = 1024 * 1024;
// A connection that was there for so long was no failure.
const STEADY_MS = 30_000;

/** Connects from the place on; the scope ends the connection. */
type Connect = (place: number) => Promise<{ socket: Socket; scope: Scope }>;

/**
 * What a program writes, to its end. To leave it (`close`, `break`, `await using`) is not to end it. A connection that
 * breaks while it is read is followed by another one, which goes on with the next byte. What is written meanwhile waits
 * for that; what was written just before it broke may be lost, and is not sent again.
 */
export class Terminal implements AsyncIterable<TerminalItem> {
  readonly #connect: Connect;
  readonly #scope: Scope;
  readonly #kill: () => Promise<void>;
  readonly #giveUpMs: number;
  #socket: Socket;
  #connection: Scope;
  #renewal: Promise<void> | undefined;
  #failures = 0; // since output came
  #brokenSince = 0;
  #connectedAt = Date.now();
  #waitingBytes = 0;
  #place: number;
  #exit: api.Process | undefined;
  #wasLeft = false;

  private constructor(
    connect: Connect,
    first: { socket: Socket; scope: Scope },
    scope: Scope,
    options: FollowOptions,
    kill: () => Promise<void>,
  ) {
    this.#connect = connect;
    this.#socket = first.socket;
    this.#connection = first.scope;
    this.#scope = scope;
    this.#giveUpMs = options.giveUpAfterMs ?? GIVE_UP_MS;
    this.#place = options.after ?? 0;
    this.#kill = kill;
    disposable(this, async () => this.close());
  }

  static async open(transport: Transport, path: string, options: FollowOptions, kill: () => Promise<void>): Promise<Terminal> {
    const whole = new Scope([options.signal, transport.closing]);
    const connect: Connect = async (after) => {
      const scope = new Scope([whole.signal], options.timeoutMs ?? transport.timeoutMs, path);
      try {
        const url = transport.url(path, { after }).replace(/^http/, "ws");
        const socket = await openSocket(url, transport.keyHeaders, scope.signal);
        scope.stopClock();
        return { socket, scope };
      } catch (error) {
        scope.close();
        throw error;
      }
    };
    try {
      return new Terminal(connect, await connect(options.after ?? 0), whole, options, kill);
    } catch (error) {
      whole.close();
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
    const socket = await this.#connected(bytes.length);
    for (let at = 0; at < bytes.length; at += FRAME_BYTES_MAX) await socket.send(bytes.subarray(at, at + FRAME_BYTES_MAX));
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
    this.#connection.close();
    this.#scope.abort(new ConnectionError("the terminal was left", { code: "left" }));
    this.#scope.close();
  }

  /** Ends the program, and forgets it. */
  async kill(): Promise<void> {
    this.close();
    await this.#kill();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TerminalItem, void, undefined> {
    try {
      for (;;) {
        // Closed from there, the program's end would have been told.
        let broken: unknown = new ConnectionError("the terminal's connection ended", { code: "connection", retryable: true });
        try {
          for await (const message of this.#socket) {
            const item = this.#item(message);
            if (item) yield item;
            if (item?.type === "exit") return;
          }
        } catch (error) {
          broken = error;
        }
        if (this.#exit || this.#wasLeft) return;
        if (this.#scope.signal.aborted || !isPassing(broken)) throw broken;
        this.#renewal = this.#renew(broken);
        await this.#renewal.finally(() => (this.#renewal = undefined));
      }
    } catch (error) {
      if (!this.#wasLeft) throw error;
    } finally {
      this.close();
    }
  }

  /** Another connection in place of the one that broke. */
  async #renew(broken: CellarError): Promise<void> {
    this.#connection.close();
    if (Date.now() - this.#connectedAt > STEADY_MS) this.#failures = this.#brokenSince = 0;
    for (;;) {
      this.#brokenSince ||= Date.now();
      if (Date.now() - this.#brokenSince > this.#giveUpMs) throw broken;
      await pause(backoffMs(this.#failures, RETRY_MS, RETRY_MAX_MS), this.#scope.signal);
      this.#failures += 1;
      try {
        const { socket, scope } = await this.#connect(this.#place);
        this.#socket = socket;
        this.#connection = scope;
        this.#connectedAt = Date.now();
        return;
      } catch (error) {
        if (this.#scope.signal.aborted) throw this.#scope.signal.reason;
        if (!isPassing(error)) throw error;
        broken = error;
      }
    }
  }

  /** Where `size` bytes can be sent; what was sent to one connection is not continued at the next. */
  async #connected(size: number): Promise<Socket> {
    if (!this.#renewal) return this.#socket;
    if (this.#waitingBytes + size > WAITING_BYTES_MAX) {
      const what = `more than ${WAITING_BYTES_MAX} bytes wait for the terminal's next connection`;
      throw new ExhaustedError(what, { code: "input_full", remediation: "await each write" });
    }
    this.#waitingBytes += size;
    try {
      await this.#renewal;
    } finally {
      this.#waitingBytes -= size;
    }
    return this.#socket;
  }

  #item(message: string | Uint8Array): TerminalItem | undefined {
    if (typeof message !== "string") {
      this.#failures = this.#brokenSince = 0;
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

  async #say(message: unknown): Promise<void> {
    const text = JSON.stringify(toWire(message));
    const socket = await this.#connected(text.length);
    await socket.send(text);
  }
}

export interface Terminal extends AsyncDisposable {}
