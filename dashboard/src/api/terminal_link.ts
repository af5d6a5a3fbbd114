// The way to a program's terminal: by WebSocket where the daemon has tokens that a browser can show for one, else by its
// log (a stream of events) and requests that bring what is typed.
import { ApiError, Client, sleep } from "./client";

export interface TerminalSize { columns: number; rows: number }

export interface LinkHandlers {
  onBytes(bytes: Uint8Array): void;
  onState(state: "open" | "waiting"): void;
  onExit(process: { exit_code?: number; lost_by?: string }): void;
  onProblem(problem: unknown): void;
  onWay(way: LinkWay): void;
}

/** The socket; or requests, as the daemon makes no tokens, or as it did not open a socket for one. */
export type LinkWay = "socket" | "no_tokens" | "no_socket";

export interface TerminalLink {
  type(bytes: Uint8Array): void;
  resize(size: TerminalSize): void;
  close(): void;
}

/** Typed and not taken yet; what is beyond it is refused, as the daemon would. */
const TYPED_BYTES_MAX = 1 << 20;
const TOKENS = "/api/v1/cells/{id}/tokens";

export function openLink(client: Client, cell: string, process: string, handlers: LinkHandlers): TerminalLink {
  const over = new AbortController();
  const path = Client.pathOf(cell, `/processes/${encodeURIComponent(process)}`);
  const shared = { client, cell, path, handlers, signal: over.signal };
  let way: Way = new HttpWay(shared, 0);
  const serve = async () => {
    let why: LinkWay = "no_tokens";
    if (await hasTokens(client)) {
      const socket = new SocketWay(shared);
      way = socket;
      if (await socket.serve()) return;
      way = new HttpWay(shared, socket.place);
      why = "no_socket";
    }
    if (over.signal.aborted) return;
    handlers.onWay(why);
    await (way as HttpWay).serve();
  };
  serve().catch((error) => over.signal.aborted || handlers.onProblem(error));
  return { type: (bytes) => way.type(bytes), resize: (size) => way.resize(size), close: () => over.abort() };
}

async function hasTokens(client: Client): Promise<boolean> {
  try {
    return await client.serves(TOKENS);
  } catch {
    return false;
  }
}

interface Shared { client: Client; cell: string; path: string; handlers: LinkHandlers; signal: AbortSignal }
interface Way { type(bytes: Uint8Array): void; resize(size: TerminalSize): void }

function bytesOf(data: { text?: string; b64?: string }): Uint8Array {
  if (data.b64 === undefined) return new TextEncoder().encode(data.text ?? "");
  return Uint8Array.from(atob(data.b64), (char) => char.charCodeAt(0));
}

class HttpWay implements Way {
  private typed: Uint8Array[] = [];
  private typedBytes = 0;
  private sends = false;
  private size: TerminalSize | null = null;

  constructor(private readonly shared: Shared, private readonly place: number) {}

  async serve(): Promise<void> {
    const { client, path, handlers, signal } = this.shared;
    await client.follow(`${path}/log?after=${this.place}`, {
      onState: handlers.onState,
      onEvent: (event) => {
        const data = JSON.parse(event.data);
        if (event.type === "stdout" || event.type === "stderr") handlers.onBytes(bytesOf(data));
        else if (event.type === "exit") handlers.onExit(data);
      },
    }, signal, (event) => event.type === "exit");
  }

  type(bytes: Uint8Array): void {
    if (this.typedBytes + bytes.length > TYPED_BYTES_MAX) {
      return this.shared.handlers.onProblem(new Error("The program does not read: what you type is left out."));
    }
    this.typed.push(bytes);
    this.typedBytes += bytes.length;
    void this.send();
  }

  resize(size: TerminalSize): void {
    this.size = size;
    void this.send();
  }

  // One request at a time, so that keys arrive in their order.
  private async send(): Promise<void> {
    if (this.sends) return;
    this.sends = true;
    const { client, path, handlers, signal } = this.shared;
    try {
      while (!signal.aborted && (this.typed.length > 0 || this.size !== null)) {
        if (this.size !== null) {
          const size = this.size;
          this.size = null;
          await client.call(`${path}/resize`, { method: "POST", body: size, signal });
          continue;
        }
        const body = new Uint8Array(this.typedBytes);
        let at = 0;
        for (const piece of this.typed.splice(0)) {
          body.set(piece, at);
          at += piece.length;
        }
        this.typedBytes = 0;
        await client.call(`${path}/stdin`, { method: "POST", body, signal });
      }
    } catch (error) {
      if (!signal.aborted) handlers.onProblem(error);
    } finally {
      this.sends = false;
    }
  }
}

class SocketWay implements Way {
  place = 0;
  private socket: WebSocket | null = null;
  private size: TerminalSize | null = null;

  constructor(private readonly shared: Shared) {}

  /** Until the program ends, or the link is closed; a connection that breaks is made anew. False where none could be made. */
  async serve(): Promise<boolean> {
    const { handlers, signal } = this.shared;
    for (let wasOpen = false; !signal.aborted; wasOpen = true) {
      const token = await this.token();
      if (token === null) return wasOpen;
      const end = await this.connect(token);
      if (end === "exit") return true;
      if (end === "refused" && !wasOpen) return false;
      handlers.onState("waiting");
      await sleep(this.shared.client.retryMs, signal);
    }
    return true;
  }

  type(bytes: Uint8Array): void {
    if (this.socket?.readyState === WebSocket.OPEN && this.socket.bufferedAmount < TYPED_BYTES_MAX) this.socket.send(bytes as Uint8Array<ArrayBuffer>);
    else this.shared.handlers.onProblem(new Error("The terminal is not connected: what you type is left out."));
  }

  resize(size: TerminalSize): void {
    this.size = size;
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type: "resize", ...size }));
  }

  private async token(): Promise<string | null> {
    try {
      const made = await this.shared.client.post<{ token?: string }>(Client.pathOf(this.shared.cell, "/tokens"), { scopes: ["write"] });
      return made.token ?? null;
    } catch (error) {
      if (error instanceof ApiError) return null;
      throw error;
    }
  }

  private connect(token: string): Promise<"exit" | "refused" | "broken"> {
    const { path, handlers, signal } = this.shared;
    const address = new URL(`${path}/attach?after=${this.place}`, location.origin.replace(/^http/, "ws"));
    const socket = new WebSocket(address, [`cellar.token.${token}`, "cellar"]);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    return new Promise((resolve) => {
      let end: "exit" | "refused" | "broken" = "refused";
      const close = () => socket.close();
      signal.addEventListener("abort", close);
      socket.onopen = () => {
        end = "broken";
        handlers.onWay("socket");
        handlers.onState("open");
        if (this.size !== null) this.resize(this.size);
      };
      socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
        if (typeof data !== "string") {
          this.place += data.byteLength;
          return handlers.onBytes(new Uint8Array(data));
        }
        const told = JSON.parse(data);
        if (told.type === "stale") this.place = told.place;
        else if (told.type === "error") handlers.onProblem(new Error(told.error));
        else if (told.type === "exit") {
          end = "exit";
          handlers.onExit(told);
        }
      };
      socket.onclose = () => {
        signal.removeEventListener("abort", close);
        resolve(end);
      };
    });
  }
}
