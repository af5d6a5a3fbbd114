// Programs in the background of a cell.

import { follow, type FollowOptions } from "./follow.js";
import type * as api from "./generated.js";
import type { Items } from "./items.js";
import { fromWire } from "./names.js";
import { outputOf, type Output } from "./output.js";
import { Terminal } from "./terminal.js";
import { segment, type Call, type CallOptions, type Transport } from "./transport.js";

/** `timeoutMs` is the program's own. */
export interface StartOptions extends Omit<api.StartProcessBody, "cmd" | "limits"> {
  limits?: api.Exec["limits"];
  signal?: AbortSignal | undefined;
}

export type ProcessItem =
  (Output & { place: number }) | { type: "stale"; after: number; place: number } | { type: "exit"; process: api.Process };

export type Input = string | Uint8Array;

export class Processes {
  readonly #transport: Transport;
  readonly #path: string;

  constructor(transport: Transport, cellPath: string) {
    this.#transport = transport;
    this.#path = `${cellPath}/processes`;
  }

  /** Starts one, which goes on by itself. With a terminal `cmd` may be absent: a login shell. */
  start(cmd: api.StartProcessBody["cmd"], { signal, ...fields }: StartOptions = {}): Promise<api.Process> {
    return this.#transport.json({ method: "POST", path: this.#path, json: { cmd, ...fields }, repeat: "refused", signal });
  }

  /** Those that run, and those that ended last. */
  async list(options: CallOptions = {}): Promise<api.Process[]> {
    const call = { method: "GET", path: this.#path, repeat: "always", ...options } as const;
    return (await this.#transport.json<api.ListProcessesAnswer>(call)).processes;
  }

  get(process: string, options: CallOptions = {}): Promise<api.Process> {
    return this.#transport.json({ method: "GET", path: this.#one(process), repeat: "always", ...options });
  }

  /** What it wrote until now, from a place on. */
  output(process: string, options: CallOptions & { after?: number } = {}): Promise<api.ReadProcessOutputAnswer> {
    const { after, ...rest } = options;
    return this.#transport.json({
      method: "GET",
      path: `${this.#one(process)}/log`,
      query: { after },
      repeat: "always",
      ...rest,
    });
  }

  /** What it wrote and writes, each byte once, and at last how it ended. `stale`: older output is not kept any more. */
  log(process: string, options: FollowOptions = {}): Items<ProcessItem> {
    return follow<ProcessItem>({
      transport: this.#transport,
      call: { method: "GET", path: `${this.#one(process)}/log`, repeat: "always" },
      options,
      isLast: ({ type }) => type === "exit",
      take: ({ type, data, id }) => {
        const place = Number(id);
        if (type === "stdout" || type === "stderr") return { ...outputOf(type, data), place };
        if (type === "exit") return { type, process: fromWire<api.Process>(JSON.parse(data)) };
        return type === "stale" ? { type, after: (JSON.parse(data) as { after: number }).after, place } : undefined;
      },
    });
  }

  /** A WebSocket at its input and output, from the place `after` on. */
  attach(process: string, options: FollowOptions = {}): Promise<Terminal> {
    return Terminal.open(this.#transport, `${this.#one(process)}/attach`, options, () => this.kill(process));
  }

  /** Resolves once it could be written. At a terminal, keys. `TimedOutError`: it took only `taken` bytes; send the rest again. */
  stdin(process: string, input: Input, options: CallOptions & { end?: boolean } = {}): Promise<void> {
    const { end, ...rest } = options;
    const body = typeof input === "string" ? new TextEncoder().encode(input) : input;
    return this.#post(process, "stdin", { body: body as BodyInit, query: { end: end ? 1 : undefined }, ...rest });
  }

  /** To it and its process group: "SIGTERM", "TERM" or 15. */
  signal(process: string, signal: string | number, options: CallOptions = {}): Promise<void> {
    return this.#post(process, "signal", { json: { signal }, ...options });
  }

  resize(process: string, size: api.TerminalSize, options: CallOptions = {}): Promise<void> {
    return this.#post(process, "resize", { json: size, ...options });
  }

  /** Ends it with all that it started, and forgets it. */
  kill(process: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing({ method: "DELETE", path: this.#one(process), repeat: "always", ...options });
  }

  #one(process: string): string {
    return `${this.#path}/${segment("process", process)}`;
  }

  #post(process: string, verb: string, call: Partial<Call>): Promise<void> {
    return this.#transport.nothing({ method: "POST", path: `${this.#one(process)}/${verb}`, repeat: "refused", ...call });
  }
}
