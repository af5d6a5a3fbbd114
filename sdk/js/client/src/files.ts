// Files below /work.

import { ConnectionError, InvalidArgumentError } from "./errors.js";
import { follow } from "./follow.js";
import type { Items } from "./items.js";
import { fromWire } from "./names.js";
import { connectionError, encode, type Call, type CallOptions, type Opened, type Transport } from "./transport.js";

export interface FileEntry {
  /** Relative to /work. */
  path: string;
  type: "file" | "directory" | "symlink" | "other";
  size: number;
  mtime: string;
  /** Octal: "0644". */
  mode?: string;
  /** Where a link leads. */
  target?: string;
}

export interface FileStat extends FileEntry {
  etag?: string;
}

export interface FileList {
  files: FileEntry[];
  /** There are more. */
  truncated?: boolean;
}

export interface ReadOptions extends CallOptions {
  /** The first byte that is wanted; from the end where it is negative. */
  start?: number;
  /** Behind the last one. */
  end?: number;
  /** Gives nothing where the file still has this tag: `notModified`. */
  ifNoneMatch?: string;
  /** PreconditionFailedError where the file has another tag. */
  ifMatch?: string;
}

export interface WriteOptions extends CallOptions {
  /** Octal: "755". */
  mode?: string;
  /** Only where the file has this tag, or `*`: is there. Else PreconditionFailedError. */
  ifMatch?: string;
  /** `*`: only where nothing is there. */
  ifNoneMatch?: "*";
}

export interface Written {
  ok: true;
  size?: number;
  etag?: string;
}

export interface GlobOptions extends CallOptions {
  path?: string;
  limit?: number;
  /** Also what search leaves out: .git, node_modules, what .gitignore names. */
  all?: boolean;
}

export interface GrepOptions extends GlobOptions {
  /** Only files that these patterns of a .gitignore name: `["*.ts", "!*.d.ts"]`. */
  paths?: string[];
  literal?: boolean;
  ignoreCase?: boolean;
  /** Lines before and after each match. */
  context?: number;
}

export interface GrepMatch {
  path: string;
  line: number;
  text: string;
  before?: string[];
  after?: string[];
  cut?: boolean;
}

export interface GrepAnswer {
  matches: GrepMatch[];
  /** Files that were searched. */
  files: number;
  skipped: { binary: number; tooLarge: number };
  truncated?: boolean;
  truncatedBy?: "limit" | "size" | "time";
}

export type FileChange =
  /** From now on all is told. `reset`: a connection broke, and what happened until now is not told: list again. */
  | { type: "ready" | "reset"; path: string }
  | { type: "created" | "modified" | "deleted"; path: string; kind: FileEntry["type"] }
  | { type: "renamed"; path: string; from: string; kind: FileEntry["type"] }
  /** More happened than is told: list again. */
  | { type: "overflow" };

export type Content = string | ArrayBufferView | ArrayBuffer | Blob | ReadableStream<Uint8Array>;

/** A file, or a part of it, whose bytes are still to be read, once. */
export class FileContent {
  readonly notModified: boolean;
  readonly etag: string | undefined;
  readonly lastModified: Date | undefined;
  /** How many bytes come; absent where the server does not say. */
  readonly size: number | undefined;
  readonly stream: ReadableStream<Uint8Array>;

  constructor(opened: Opened) {
    const { headers, status } = opened.response;
    const number = headers.get("content-length");
    const date = headers.get("last-modified");
    this.notModified = status === 304;
    this.etag = headers.get("etag") ?? undefined;
    this.lastModified = date ? new Date(date) : undefined;
    this.size = number === null ? undefined : Number(number);
    this.stream = bodyOf(opened);
  }

  async bytes(): Promise<Uint8Array> {
    return new Uint8Array(await new Response(this.stream).arrayBuffer());
  }

  async text(): Promise<string> {
    return textOf(await this.bytes());
  }
}

export class Files {
  readonly #transport: Transport;
  readonly #path: string;

  constructor(transport: Transport, cellPath: string) {
    this.#transport = transport;
    this.#path = `${cellPath}/files`;
  }

  async readText(path: string, options: ReadOptions = {}): Promise<string> {
    return textOf(await this.readBytes(path, options));
  }

  async readBytes(path: string, options: ReadOptions = {}): Promise<Uint8Array> {
    const take = async (response: Response) => new Uint8Array(await response.arrayBuffer());
    let isWhole = true;
    const bytes = await this.#transport.read(
      { ...this.#reading(path, options), onStatus: (status) => (isWhole = status === 200) },
      take,
    );
    // A server that knows no ranges gives all.
    return isWhole && (options.start !== undefined || options.end !== undefined)
      ? bytes.slice(options.start, options.end)
      : bytes;
  }

  /** A file with its tag, as a stream or however it is wanted. */
  async read(path: string, options: ReadOptions = {}): Promise<FileContent> {
    return new FileContent(await this.#transport.open({ ...this.#reading(path, options), accepts: [304] }));
  }

  /** Replaces the file at once, and durably; its folders are made. */
  write(path: string, content: Content, options: WriteOptions = {}): Promise<Written> {
    const { mode, ifMatch, ifNoneMatch, ...rest } = options;
    const headers = { "if-match": ifMatch, "if-none-match": ifNoneMatch };
    // With a condition, a second try could meet what the first one has done.
    const repeat = ifMatch === undefined && ifNoneMatch === undefined ? "always" : "refused";
    return this.#transport.json({
      method: "PUT",
      path: this.#one(path),
      query: { mode },
      headers,
      repeat,
      ...bodyWith(content),
      ...rest,
    });
  }

  /** Adds to the end of the file. Not sent twice. */
  append(path: string, content: Content, options: CallOptions & { mode?: string } = {}): Promise<Written> {
    const { mode, ...rest } = options;
    return this.#transport.json({
      method: "PUT",
      path: this.#one(path),
      query: { append: 1, mode },
      repeat: "refused",
      ...bodyWith(content),
      ...rest,
    });
  }

  list(path = "", options: CallOptions & { recursive?: boolean } = {}): Promise<FileList> {
    const { recursive, ...rest } = options;
    const query = { list: 1, recursive: recursive ? 1 : undefined };
    const isRoot = pathOf(path) === "";
    return this.#transport.json({
      method: "GET",
      path: this.#one(path),
      query: isRoot ? { ...query, list: undefined } : query,
      repeat: "always",
      ...rest,
    });
  }

  /** What is at a path; of a link, itself and not what it leads to. */
  stat(path: string, options: CallOptions = {}): Promise<FileStat> {
    return this.#transport.json({ method: "GET", path: this.#one(path), query: { stat: 1 }, repeat: "always", ...options });
  }

  /** A file, a link, or a folder with all in it. */
  async delete(path: string, options: CallOptions & { ifMatch?: string } = {}): Promise<void> {
    const { ifMatch, ...rest } = options;
    if (pathOf(path) === "") throw pathError(path, "must name something below /work");
    await this.#transport.nothing({
      method: "DELETE",
      path: this.#one(path),
      headers: { "if-match": ifMatch },
      repeat: ifMatch === undefined ? "always" : "refused", // A second try could meet what the first one has done.
      ...rest,
    });
  }

  /** ConflictError where something is at `to`, unless it is to be overwritten. */
  rename(from: string, to: string, options: CallOptions & { overwrite?: boolean } = {}): Promise<{ ok: true }> {
    const { overwrite = false, ...rest } = options;
    return this.#post("rename", { from, to, overwrite }, "refused", rest);
  }

  /** With the folders above it. `made`: it was not there; undefined where a try whose answer was lost may have made it. */
  async mkdir(path: string, options: CallOptions & { mode?: string } = {}): Promise<{ ok: true; made: boolean | undefined }> {
    const { mode, ...rest } = options;
    let mayBeMade = false;
    const onStatus = (_: number, mayBeDone: boolean) => (mayBeMade = mayBeDone);
    const call = { onStatus, ...rest };
    const { ok, made } = await this.#post<{ ok: true; made: boolean }>("mkdir", { path, mode }, "always", call);
    return { ok, made: made || (mayBeMade ? undefined : false) };
  }

  /** Octal: "755". */
  chmod(path: string, mode: string, options: CallOptions = {}): Promise<{ ok: true }> {
    return this.#post("chmod", { path, mode }, "always", options);
  }

  /** What a pattern names: `*`, `?`, `[a-z]` and `{a,b}` within a name, `**` for any folders. */
  glob(pattern: string, options: GlobOptions = {}): Promise<FileList> {
    return this.#asking("glob", pattern, options);
  }

  /** Lines that a regular expression (RE2) is found in. */
  grep(pattern: string, options: GrepOptions = {}): Promise<GrepAnswer> {
    return this.#asking("grep", pattern, options);
  }

  /** A folder as a tar archive. */
  async downloadTar(path = "", options: CallOptions = {}): Promise<ReadableStream<Uint8Array>> {
    return bodyOf(
      await this.#transport.open({ method: "GET", path: this.#one(path), query: { tar: 1 }, repeat: "always", ...options }),
    );
  }

  /** Unpacks a tar archive in a folder. */
  uploadTar(path: string, archive: Content, options: CallOptions = {}): Promise<{ ok: true; files: number; bytes: number }> {
    return this.#transport.json({
      method: "PUT",
      path: this.#one(path),
      query: { tar: 1 },
      repeat: "always",
      ...bodyWith(archive),
      ...options,
    });
  }

  /** What changes in a folder, and all below it, from `ready` on. */
  watch(path = "", options: CallOptions & { all?: boolean } = {}): Items<FileChange> {
    const { all, ...rest } = options;
    let watched: string | undefined;
    return follow<FileChange>({
      transport: this.#transport,
      call: { method: "GET", path: this.#one(path), query: { watch: 1, all: all ? 1 : undefined }, repeat: "always" },
      options: rest,
      isLast: ({ type, data }) => type === "deleted" && (JSON.parse(data) as { path: string }).path === watched,
      take: ({ type, data }) => {
        const { type: kind, ...told } = fromWire<Record<string, unknown>>(JSON.parse(data));
        if (type === "ready" || type === "reset") watched = told["path"] as string;
        return { type, ...told, ...(kind === undefined ? {} : { kind }) } as FileChange;
      },
    });
  }

  #one(path: string): string {
    const text = pathOf(path);
    return text === "" ? this.#path : `${this.#path}/${text}`;
  }

  #reading(path: string, options: ReadOptions): Call {
    const { start, end, ifNoneMatch, ifMatch, ...rest } = options;
    const headers = { range: rangeOf(start, end), "if-none-match": ifNoneMatch, "if-match": ifMatch };
    return { method: "GET", path: this.#one(path), headers, repeat: "always", ...rest };
  }

  #asking<T>(verb: string, pattern: string, options: GrepOptions): Promise<T> {
    const { signal, timeoutMs, ...fields } = options;
    return this.#post(verb, { pattern, ...fields }, "always", { signal, timeoutMs });
  }

  #post<T>(verb: string, json: unknown, repeat: Call["repeat"], options: Partial<Call>): Promise<T> {
    return this.#transport.json<T>({ method: "POST", path: `${this.#path}/${verb}`, json, repeat, ...options });
  }
}

function pathError(path: string, must: string): InvalidArgumentError {
  return new InvalidArgumentError(`path ${JSON.stringify(path)} ${must}`, {
    code: "invalid_path",
    remediation: "give it relative to /work",
  });
}

/** As an address has it. An address is made shorter by its dots before it is sent, so none are left in it. */
function pathOf(path: string): string {
  if (path.startsWith("/")) throw pathError(path, "begins with a slash");
  const names = path.split("/").filter((name) => name !== "." && name !== "");
  if (names.includes("..")) throw pathError(path, 'has a ".." in it');
  return names.map(encode).join("/");
}

function rangeOf(start: number | undefined, end: number | undefined): string | undefined {
  if (start === undefined && end === undefined) return undefined;
  if (start !== undefined && start < 0 && end === undefined) return `bytes=${start}`;
  const first = start ?? 0;
  if (!Number.isInteger(first) || first < 0 || (end !== undefined && !(Number.isInteger(end) && end > first))) {
    throw new InvalidArgumentError(`there are no bytes from ${start} to ${end}`, {
      code: "invalid_range",
      remediation: "start is a whole number below end, or a negative one without end",
    });
  }
  return `bytes=${first}-${end === undefined ? "" : end - 1}`;
}

// By their names: whoever runs tests may have several of each class.
const CONTENT = new Set(["ArrayBuffer", "Blob", "File", "ReadableStream"].map((name) => `[object ${name}]`));

/** Throws InvalidArgumentError for what fetch would send as nothing, or as "[object Object]". */
function bodyWith(content: Content): Pick<Call, "body"> {
  const isContent =
    typeof content === "string" || ArrayBuffer.isView(content) || CONTENT.has(Object.prototype.toString.call(content));
  if (!isContent) {
    const kind = content === null ? "null" : typeof content;
    throw new InvalidArgumentError(`content must be text, bytes, a Blob or a stream, and is ${kind}`, {
      code: "invalid_content",
      remediation: "JSON.stringify makes text of a value",
    });
  }
  return { body: (typeof content === "string" ? new TextEncoder().encode(content) : content) as BodyInit };
}

/** All of it: a mark of the byte order stays where it is. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** The body of an answer; ending it, either way, ends the call. */
function bodyOf({ response, scope }: Opened): ReadableStream<Uint8Array> {
  const reader = response.body?.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const piece = await reader?.read();
        if (piece?.value) return controller.enqueue(piece.value);
        controller.close();
      } catch (error) {
        const reason = scope.signal.aborted ? scope.signal.reason : error;
        controller.error(reason instanceof ConnectionError || scope.signal.aborted ? reason : connectionError(error, "a file"));
      }
      scope.close();
    },
    async cancel(reason) {
      scope.close();
      await reader?.cancel(reason);
    },
  });
}
