// WebSockets, with a key where the runtime can send one.

import { ConnectionError } from "./errors.js";
import { Incoming } from "./incoming.js";
import { openNodeSocket } from "./node_socket.js";

/** An open WebSocket. Read to its end, or closed, it is gone. */
export interface Socket extends AsyncIterable<string | Uint8Array> {
  send(data: string | Uint8Array): Promise<void>;
  close(): void;
}

interface Runtime {
  process?: { versions?: Record<string, string | undefined> };
  WebSocket?: new (url: string, options?: unknown) => WebSocket;
}

/** Throws ConnectionError, or the error that the server answered with, where the runtime tells it. */
export async function openSocket(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const runtime = globalThis as Runtime;
  const versions = runtime.process?.versions ?? {};
  // Node.js has no WebSocket before 22, and none that sends headers.
  if (versions["node"] && !versions["bun"] && !versions["deno"]) return openNodeSocket(url, headers, signal);
  if (!runtime.WebSocket) throw new ConnectionError("there is no WebSocket in this runtime", { code: "no_web_socket" });
  // Bun and Deno send them; a browser knows none, and its page's own server has to add the key.
  const socket = versions["bun"] || versions["deno"] ? new runtime.WebSocket(url, { headers }) : new runtime.WebSocket(url);
  return openNative(socket, url, signal);
}

async function openNative(socket: WebSocket, url: string, signal: AbortSignal): Promise<Socket> {
  const incoming = new Incoming();
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (!incoming.push(typeof data === "string" ? data : new Uint8Array(data))) socket.close();
  };
  const stop = () => socket.close();
  signal.addEventListener("abort", stop);
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onclose = ({ code, wasClean }: CloseEvent) => {
      signal.removeEventListener("abort", stop);
      const error = new ConnectionError(`${url}: the WebSocket was closed (${code})`, { code: "connection", retryable: true });
      incoming.end(wasClean ? undefined : error);
      reject(signal.aborted ? signal.reason : error);
    };
  });
  return {
    async send(data) {
      if (socket.readyState !== 1) throw new ConnectionError("the WebSocket is closed", { code: "connection" });
      socket.send(data as string);
    },
    close: stop,
    [Symbol.asyncIterator]: () => incoming.read(),
  };
}
