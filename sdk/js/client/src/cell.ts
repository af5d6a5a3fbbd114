// One cell.

import * as agent from "./agent.js";
import { Checkpoints } from "./checkpoints.js";
import { ConnectionError, InvalidArgumentError, errorOfEvent } from "./errors.js";
import { Files } from "./files.js";
import { follow } from "./follow.js";
import type * as api from "./generated.js";
import { Items } from "./items.js";
import { fromWire } from "./names.js";
import { outputOf, type Output } from "./output.js";
import { Processes, type StartOptions } from "./processes.js";
import { Runs, type RunEventsOptions } from "./runs.js";
import { EventParser, readEvents } from "./sse.js";
import type { Terminal } from "./terminal.js";
import { segment, type Call, type CallOptions, type Transport } from "./transport.js";

export type Command = api.Exec["cmd"];

/** Of a command; `timeoutMs` is its own. A signal that is aborted ends the command. */
export interface ExecOptions extends Omit<api.Exec, "cmd"> {
  signal?: AbortSignal;
}

export type ExecItem = Output | { type: "exit"; result: api.ExecResult };

export type SearchOptions = Omit<api.SearchBody, "query"> & CallOptions;

/** `from` and `to` are checkpoints, by id or name; else the newest one, and now. */
export type DiffOptions = Omit<api.DiffFilesQuery, "format" | "all" | "names"> & CallOptions & { all?: boolean; names?: boolean };

export type SearchProgress = { type: "indexing"; indexing: number } | { type: "status"; status: api.SearchStatus };

export interface EventsOptions extends RunEventsOptions {
  /** Without `after`, begin with the newest so many; 0: only what comes. */
  tail?: number;
  /** Only these: `["cell.*", "run.completed"]`, or as one text with commas. */
  types?: string | string[];
}

const COMMAND_TIMEOUT_MS = 120_000; // where a command has none
const COMMAND_SLACK_MS = 30_000; // for a cell that has to wake, and the way
// Clients of HTTP give up an answer that does not begin; events begin at once.
const COMMAND_QUIET_MAX_MS = 240_000;
const TAIL_MAX = 1000;

export class Cell {
  readonly id: string;
  /** Whether `cells.create` made it, and did not find it; undefined where a try whose answer was lost may have made it. */
  readonly wasMade: boolean | undefined;
  readonly files: Files;
  readonly checkpoints: Checkpoints;
  readonly runs: Runs;
  readonly processes: Processes;
  readonly #transport: Transport;
  readonly #path: string;
  #info: api.Cell | undefined;

  constructor(transport: Transport, id: string, info?: api.Cell, wasMade?: boolean) {
    this.id = id;
    this.wasMade = wasMade;
    this.#transport = transport;
    this.#path = `/api/v1/cells/${segment("cell id", id)}`;
    this.#info = info;
    this.files = new Files(transport, this.#path);
    this.checkpoints = new Checkpoints(transport, this.#path);
    this.runs = new Runs(transport, this.#path);
    this.processes = new Processes(transport, this.#path);
  }

  /** What the daemon said of it last; `refresh` asks again. */
  get info(): api.Cell {
    if (this.#info) return this.#info;
    throw new InvalidArgumentError(`nothing is known of cell ${this.id} yet`, {
      code: "not_asked",
      remediation: "await cell.refresh()",
    });
  }

  refresh(options: CallOptions = {}): Promise<api.Cell> {
    return this.#tell({ method: "GET", path: this.#path, repeat: "always", ...options });
  }

  /** With all its files. */
  delete(options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing({ method: "DELETE", path: this.#path, repeat: "always", ...options });
  }

  // The agent

  /** The return value of the agent's method, or of one that Cellar answers itself. Tried again, it is still one run. */
  request<T = unknown>(method: string, params?: unknown, options: agent.AgentCallOptions = {}): Promise<T> {
    return agent.request<T>(this.#transport, agent.cellCall(this.#path, method, params, options), options);
  }

  /** What the method streams, and at last its return value. After a break it goes on with the next item. */
  stream<T = unknown>(method: string, params?: unknown, options: agent.AgentStreamOptions = {}): Items<T> {
    return agent.stream<T>(this.#transport, agent.cellCall(this.#path, method, params, options), options);
  }

  // Commands

  /** Runs a command to its end. What it exits with is an answer, and no error. */
  async exec(cmd: Command, options: ExecOptions = {}): Promise<api.ExecResult> {
    const timeoutMs = options.timeoutMs ?? COMMAND_TIMEOUT_MS;
    if (timeoutMs <= COMMAND_QUIET_MAX_MS) return this.#transport.json(this.#command(cmd, options, timeoutMs + COMMAND_SLACK_MS));
    let last: ExecItem | undefined;
    for await (const item of this.execStream(cmd, options)) last = item;
    return (last as { result: api.ExecResult }).result;
  }

  /** What a command writes, as it does, and at last how it ended. Left early, the command ends. */
  execStream(cmd: Command, options: ExecOptions = {}): Items<ExecItem> {
    return new Items<ExecItem>((signal) => this.#execItems(cmd, options, signal), options.signal);
  }

  async *#execItems(cmd: Command, options: ExecOptions, signal: AbortSignal): AsyncGenerator<ExecItem, void, undefined> {
    const call = this.#command(cmd, options, this.#transport.timeoutMs);
    const opened = await this.#transport.open({ ...call, headers: { accept: "text/event-stream" } }, signal);
    for await (const { type, data } of readEvents(opened, new EventParser())) {
      if (type === "error") throw errorOfEvent(data);
      if (type === "stdout" || type === "stderr") yield outputOf(type, data);
      if (type !== "exit") continue;
      yield { type, result: fromWire<api.ExecResult>(JSON.parse(data)) };
      return;
    }
    throw new ConnectionError("the command's output ended before the command", { code: "connection" });
  }

  #command(cmd: Command, { signal, ...fields }: ExecOptions, timeoutMs: number): Call {
    return { method: "POST", path: `${this.#path}/exec`, json: { cmd, ...fields }, repeat: "refused", signal, timeoutMs };
  }

  /** Starts a program with a terminal (a login shell where `cmd` is absent) and sits down at it. */
  async terminal(
    options: Omit<StartOptions, "stdin"> & { cmd?: Command; columns?: number; rows?: number; giveUpAfterMs?: number } = {},
  ): Promise<Terminal> {
    const { cmd, columns = 80, rows = 24, giveUpAfterMs, ...rest } = options;
    const process = await this.processes.start(cmd, { ...rest, terminal: { columns, rows } });
    try {
      return await this.processes.attach(process.id, { signal: rest.signal, giveUpAfterMs });
    } catch (error) {
      await this.processes.kill(process.id).catch(() => {}); // Nobody knows of it.
      throw error;
    }
  }

  /** What differs between a checkpoint and another one, or the files as they are now. */
  diff(options: DiffOptions = {}): Promise<api.Diff> {
    const { signal, timeoutMs, all, names, ...rest } = options;
    const query = { ...rest, ...(all ? { all: 1 } : {}), ...(names ? { names: 1 } : {}) };
    return this.#transport.json({ method: "GET", path: `${this.#path}/diff`, query, repeat: "always", signal, timeoutMs });
  }

  // Search

  search(query: string, options: SearchOptions = {}): Promise<api.SearchAnswer> {
    return this.#search("", query, options);
  }

  /** Where a name is defined. */
  searchSymbols(query: string, options: CallOptions & { limit?: number } = {}): Promise<api.SearchSymbolsAnswer> {
    return this.#search("/symbols", query, options);
  }

  searchStatus(options: CallOptions = {}): Promise<api.SearchStatus> {
    return this.#transport.json({ method: "GET", path: `${this.#path}/search/status`, repeat: "always", ...options });
  }

  /** How far the index is, until all is read. */
  searchProgress(options: CallOptions = {}): Items<SearchProgress> {
    const call: Call = { method: "GET", path: `${this.#path}/search/status`, repeat: "always", ...options };
    return follow<SearchProgress>({
      transport: this.#transport,
      call,
      options,
      isLast: ({ type }) => type === "status",
      take: ({ type, data }) => {
        const told = fromWire<api.SearchStatus>(JSON.parse(data));
        if (type === "status") return { type, status: told };
        return type === "indexing" ? { type, indexing: told.indexing ?? 0 } : undefined;
      },
    });
  }

  /** Adds a document beside the files, or replaces it. */
  searchAdd(path: string, text: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing({
      method: "POST",
      path: `${this.#path}/search/index`,
      json: { path, text },
      repeat: "always",
      ...options,
    });
  }

  searchRemove(path: string, options: CallOptions = {}): Promise<api.RemoveSearchDocumentAnswer> {
    return this.#transport.json({
      method: "POST",
      path: `${this.#path}/search/remove`,
      json: { path },
      repeat: "always",
      ...options,
    });
  }

  #search<T>(rest: string, query: string, options: SearchOptions): Promise<T> {
    const { signal, timeoutMs, ...fields } = options;
    const json = { query, ...fields };
    return this.#transport.json<T>({
      method: "POST",
      path: `${this.#path}/search${rest}`,
      json,
      repeat: "always",
      signal,
      timeoutMs,
    });
  }

  // Events

  /** What happens in the cell and to it, for as long as it is there. Whoever watches does not keep it awake. */
  events(options: EventsOptions = {}): Items<api.Event> {
    const { after, tail } = options;
    if (after !== undefined || tail === undefined) return this.#follow(options);
    return new Items<api.Event>((signal) => this.#tail(options, signal), options.signal);
  }

  /** One page of what happened, the oldest first. */
  listEvents(options: CallOptions & api.ListEventsQuery = {}): Promise<api.ListEventsAnswer> {
    const { signal, timeoutMs, ...query } = options;
    return this.#transport.json({ method: "GET", path: `${this.#path}/events`, query, repeat: "always", signal, timeoutMs });
  }

  // A stream that breaks before its first event could not say where it was: so the place is asked for first.
  async *#tail(options: EventsOptions, signal: AbortSignal): AsyncGenerator<api.Event, void, undefined> {
    const { tail = 0, types, view, timeoutMs } = options;
    const page = await this.listEvents({
      tail,
      limit: TAIL_MAX,
      ...(types ? { types: listed(types) } : {}),
      ...(view ? { view } : {}),
      signal,
      timeoutMs,
    });
    yield* page.events;
    yield* this.#follow({ ...options, after: page.lastSeq, signal });
  }

  #follow(options: EventsOptions): Items<api.Event> {
    const query = { types: listed(options.types), view: options.view };
    const call: Call = { method: "GET", path: `${this.#path}/events`, query, repeat: "always" };
    return follow<api.Event>({
      transport: this.#transport,
      call,
      options,
      take: ({ data }) => fromWire<api.Event>(JSON.parse(data)),
    });
  }

  // Its life

  /** Freezes its processes. */
  pause(options: CallOptions = {}): Promise<api.Cell> {
    return this.#set("/pause", undefined, options);
  }

  /** Brings it back; any other call does so, too. */
  resume(options: CallOptions = {}): Promise<api.Cell> {
    return this.#set("/resume", undefined, options);
  }

  /** Ends its processes; what is on disk stays. */
  hibernate(options: CallOptions = {}): Promise<api.Cell> {
    return this.#set("/hibernate", undefined, options);
  }

  /** Wakes it and keeps it awake for so many seconds from now; 0: no longer. */
  keepAlive(seconds: number, options: CallOptions = {}): Promise<api.Cell> {
    return this.#set("/keep-alive", { seconds }, options);
  }

  /** When it is to be brought back; null: not any more. */
  wakeAt(at: Date | string | null, options: CallOptions = {}): Promise<api.Cell> {
    return this.#set("/wake-at", { at: at instanceof Date ? at.toISOString() : at }, options);
  }

  /** Whether it never pauses. */
  setPermanent(permanent: boolean, options: CallOptions = {}): Promise<api.Cell> {
    return this.#set("/permanent", { permanent }, options);
  }

  /** Who may see its preview, and where it leads. */
  setPreview(preview: api.SetPreviewBody, options: CallOptions = {}): Promise<api.Cell> {
    return this.#set("/preview", preview, options);
  }

  /** A signed link to its preview, for whoever has it. */
  previewLink(link: api.CreatePreviewLinkBody = {}, options: CallOptions = {}): Promise<api.CreatePreviewLinkAnswer> {
    return this.#transport.json({
      method: "POST",
      path: `${this.#path}/preview-links`,
      json: link,
      repeat: "always",
      ...options,
    });
  }

  /** What it may reach, what it used of it, and what it was refused. */
  network(options: CallOptions = {}): Promise<api.Network> {
    return this.#transport.json({ method: "GET", path: `${this.#path}/network`, repeat: "always", ...options });
  }

  /** Changes what it may reach, at once. */
  setNetwork(policy: api.NetworkPolicy, options: CallOptions = {}): Promise<api.Network> {
    return this.#transport.json({ method: "PUT", path: `${this.#path}/network`, json: policy, repeat: "always", ...options });
  }

  #set(rest: string, json: unknown, options: CallOptions): Promise<api.Cell> {
    return this.#tell({ method: "POST", path: this.#path + rest, json, repeat: "always", ...options });
  }

  async #tell(call: Call): Promise<api.Cell> {
    return (this.#info = await this.#transport.json<api.Cell>(call));
  }
}

const listed = (names: string | string[] | undefined) => (typeof names === "string" ? names : names?.join(","));
