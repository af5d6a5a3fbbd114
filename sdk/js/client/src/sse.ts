// Server-sent events, as they come.

import { ConnectionError } from "./errors.js";
import { connectionError, type Opened } from "./transport.js";

export interface ServerEvent {
  /** Absent where the event has none. */
  id?: string;
  type: string;
  data: string;
}

// The daemon says something every 15 s: where nothing comes for so long, nobody is there any more.
const SILENCE_MAX_MS = 45_000;
// An event with a value of the largest size that the daemon takes, as JSON.
const EVENT_LENGTH_MAX = 256 * 1024 * 1024;

/** Cuts text into events. What is not followed by an empty line when the text ends is no event. */
export class EventParser {
  /** What the server said last of how long to wait before coming back. */
  retryMs: number | undefined;
  /** It said that this is all. A connection that ends without has broken off, whatever a proxy makes of that. */
  hasEnded = false;
  readonly #lengthMax: number;
  #rest: string[] = []; // of a line that has not ended
  #restLength = 0;
  #isFirst = true;
  #endedByReturn = false;
  #id: string | undefined;
  #type = "";
  #data: string[] = [];
  #length = 0;

  constructor(lengthMax = EVENT_LENGTH_MAX) {
    this.#lengthMax = lengthMax;
  }

  /** Throws ConnectionError where an event is longer than it may be. */
  *push(text: string): Generator<ServerEvent> {
    if (this.#isFirst && text.length > 0) {
      this.#isFirst = false;
      if (text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    }
    if (this.#endedByReturn && text.length > 0) {
      this.#endedByReturn = false;
      if (text[0] === "\n") text = text.slice(1);
    }
    let begin = 0;
    const end = /\r\n|\n|\r/g;
    for (let found = end.exec(text); found; found = end.exec(text)) {
      if (found[0] === "\r" && end.lastIndex === text.length) this.#endedByReturn = true;
      const event = this.#line(this.#rest.join("") + text.slice(begin, found.index));
      this.#rest = [];
      this.#restLength = 0;
      begin = end.lastIndex;
      if (event) yield event;
    }
    if (begin < text.length) this.#rest.push(text.slice(begin));
    this.#restLength += text.length - begin;
    this.#count(0);
  }

  #line(line: string): ServerEvent | undefined {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) {
      this.hasEnded ||= line === ": end";
      return undefined;
    }
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") {
      this.#data.push(value);
      this.#count(value.length + 1);
    } else if (name === "event") {
      this.#type = value;
    } else if (name === "id" && !value.includes("\0")) {
      this.#id = value;
    } else if (name === "retry" && /^\d+$/.test(value)) {
      this.retryMs = Number(value);
    }
    return undefined;
  }

  #dispatch(): ServerEvent | undefined {
    const event: ServerEvent = { type: this.#type || "message", data: this.#data.join("\n") };
    if (this.#id !== undefined) event.id = this.#id;
    const isEvent = this.#data.length > 0;
    this.#type = "";
    this.#data = [];
    this.#id = undefined;
    this.#length = 0;
    return isEvent ? event : undefined;
  }

  #count(more: number): void {
    this.#length += more;
    if (this.#length + this.#restLength > this.#lengthMax) {
      throw new ConnectionError(`an event of more than ${this.#lengthMax} characters`, { code: "event_too_large" });
    }
  }
}

/**
 * The events of an answer, to its end. Throws ConnectionError where it breaks off or falls silent. `onSound` is called
 * for everything that comes, comments too. Left early, it ends the connection.
 */
export async function* readEvents(
  opened: Opened,
  parser: EventParser,
  onSound: () => void = () => {},
  silenceMaxMs = SILENCE_MAX_MS,
): AsyncGenerator<ServerEvent> {
  const { response, scope } = opened;
  const decoder = new TextDecoder();
  const silent = () => scope.abort(new ConnectionError(`nothing came for ${silenceMaxMs} ms`, { code: "silence" }));
  const reader = response.body?.getReader();
  let clock: ReturnType<typeof setTimeout> | undefined;
  try {
    while (reader) {
      clock = setTimeout(silent, silenceMaxMs);
      const { done, value } = await reader.read();
      clearTimeout(clock);
      if (done) return;
      onSound();
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } catch (error) {
    if (scope.signal.aborted) throw scope.signal.reason;
    throw error instanceof ConnectionError ? error : connectionError(error, "an event stream");
  } finally {
    clearTimeout(clock);
    reader?.cancel().catch(() => {}); // It may have ended by itself.
    scope.close();
  }
}
