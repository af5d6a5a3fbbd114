// States of a cell that are kept.

import type * as api from "./generated.js";
import { segment, type CallOptions, type Transport } from "./transport.js";

export type CheckpointOptions = api.CreateCheckpointBody & CallOptions;

export class Checkpoints {
  readonly #transport: Transport;
  readonly #path: string;

  constructor(transport: Transport, cellPath: string) {
    this.#transport = transport;
    this.#path = `${cellPath}/checkpoints`;
  }

  /** Keeps files, database and place in the journal as they are now. Durable when it returns. */
  create(options: CheckpointOptions = {}): Promise<api.Checkpoint> {
    const { signal, timeoutMs, ...json } = options;
    return this.#transport.json({ method: "POST", path: this.#path, json, repeat: "refused", signal, timeoutMs });
  }

  /** All of them, the newest first. */
  async list(options: CallOptions = {}): Promise<api.Checkpoint[]> {
    const answer = await this.#transport.json<api.ListCheckpointsAnswer>({ method: "GET", path: this.#path, repeat: "always", ...options });
    return answer.checkpoints;
  }

  /** By id or name. */
  get(checkpoint: string, options: CallOptions = {}): Promise<api.Checkpoint> {
    return this.#transport.json({ method: "GET", path: this.#of(checkpoint), repeat: "always", ...options });
  }

  delete(checkpoint: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing({ method: "DELETE", path: this.#of(checkpoint), repeat: "always", ...options });
  }

  #of(checkpoint: string): string {
    return `${this.#path}/${segment("checkpoint", checkpoint)}`;
  }
}
