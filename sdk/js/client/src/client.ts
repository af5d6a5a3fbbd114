// The whole of a daemon, as an application sees it.

import * as agent from "./agent.js";
import { Cell } from "./cell.js";
import { Domains } from "./domains.js";
import type * as api from "./generated.js";
import { disposable, type Items } from "./items.js";
import { pages } from "./pages.js";
import { Transport, type CallOptions, type CellarOptions } from "./transport.js";

const CELLS = "/api/v1/cells";

/** A client of one daemon. Safe to share; it holds no connection of its own. */
export class Cellar {
  readonly cells: Cells;
  readonly domains: Domains;
  readonly agents: Agents;
  readonly #transport: Transport;

  /** Throws InvalidArgumentError where there is no key, or `baseUrl` is no address. */
  constructor(options: CellarOptions = {}) {
    this.#transport = new Transport(options);
    this.cells = new Cells(this.#transport);
    this.domains = new Domains(this.#transport);
    this.agents = new Agents(this.#transport);
    disposable(this, async () => this.close());
  }

  get baseUrl(): string {
    return this.#transport.baseUrl;
  }

  /** The sizes that a cell can have. */
  async tiers(options: CallOptions = {}): Promise<api.Tier[]> {
    const answer = await this.#transport.json<api.ListTiersAnswer>({
      method: "GET",
      path: `${CELLS}/tiers`,
      repeat: "always",
      ...options,
    });
    return answer.tiers;
  }

  /** Whether the daemon serves, and which version it is. */
  health(options: CallOptions = {}): Promise<api.GetHealthAnswer> {
    return this.#transport.json({ method: "GET", path: "/healthz", repeat: "always", ...options });
  }

  /** Ends all calls and streams that are under way: they throw ConnectionError. */
  close(): void {
    this.#transport.close();
  }
}

export interface Cellar extends AsyncDisposable {}

export class Cells {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * The customer's cell: made where there is none; one that is there gets what is given here. `wasMade` of it says which, and
   * is undefined where nobody knows: the answer to a first try was lost.
   */
  async create(fields: api.CreateCell, options: CallOptions = {}): Promise<Cell> {
    const call = { method: "POST", path: CELLS, json: fields, repeat: "always", ...options } as const;
    let wasMade: boolean | undefined;
    const onStatus = (status: number, mayBeDone: boolean) => (wasMade ??= status === 201 || (mayBeDone ? undefined : false));
    const info = await this.#transport.json<api.Cell>({ ...call, onStatus });
    return new Cell(this.#transport, info.cellId, info, wasMade);
  }

  /** The same as `create`, which the API has no other way of: for code that wants to say so. */
  getOrCreate(fields: api.CreateCell, options: CallOptions = {}): Promise<Cell> {
    return this.create(fields, options);
  }

  /** A cell that is deleted at the end of the block: `await using cell = await cellar.cells.temporary({…})`. */
  async temporary(fields: api.CreateCell, options: CallOptions = {}): Promise<Cell & AsyncDisposable> {
    const cell = await this.create(fields, options);
    return disposable(cell, () => cell.delete());
  }

  async get(cellId: string, options: CallOptions = {}): Promise<Cell> {
    const cell = this.open(cellId);
    await cell.refresh(options);
    return cell;
  }

  /** A cell whose id is known, without asking for it: `info` throws until something was asked. */
  open(cellId: string): Cell {
    return new Cell(this.#transport, cellId, undefined, false);
  }

  /** All cells of the key's owner, the oldest first, over as many pages of `limit` as it takes. */
  list(options: CallOptions & { limit?: number } = {}): Items<Cell> {
    const { limit, ...rest } = options;
    return pages<api.Cell, Cell>(
      this.#transport,
      CELLS,
      "cells",
      limit ?? 1000,
      rest,
      (info) => new Cell(this.#transport, info.cellId, info, false),
    );
  }

  /** With all its files. Nothing, where it is gone. */
  delete(cellId: string, options: CallOptions = {}): Promise<void> {
    return this.open(cellId).delete(options);
  }
}

/** Calls of the agent in the cell of a customer, by the customer's id. */
export class Agents {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The method's return value. */
  call<T = unknown>(customerId: string, method: string, params?: unknown, options: agent.AgentCallOptions = {}): Promise<T> {
    return agent.request<T>(this.#transport, agent.customerCall(customerId, method, params, options), options);
  }

  /** What the method streams, and at last its return value. */
  stream<T = unknown>(customerId: string, method: string, params?: unknown, options: agent.AgentStreamOptions = {}): Items<T> {
    return agent.stream<T>(this.#transport, agent.customerCall(customerId, method, params, options), options);
  }
}
