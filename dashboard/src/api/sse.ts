// Server-sent events, as pieces of text come.

export interface ServerEvent {
  id: string | null; // of the last event that had one
  type: string;
  data: string;
}

/** More than this in one event is no event of Cellar's: the stream is given up. */
export const EVENT_CHARS_MAX = 8 << 20;

export class EventParser {
  private rest = "";
  private lastId: string | null = null;
  private type = "message";
  private data: string[] = [];

  /** The events that are complete with this piece. Throws for one that is too long. */
  push(piece: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    const lines = (this.rest + piece).split("\n");
    this.rest = lines.pop() ?? "";
    if (this.rest.length > EVENT_CHARS_MAX) throw new Error("an event of the stream is too long");
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        if (this.data.length > 0) events.push({ id: this.lastId, type: this.type, data: this.data.join("\n") });
        this.type = "message";
        this.data = [];
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue; // A comment.
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "id") this.lastId = value;
      else if (field === "event") this.type = value;
      else if (field === "data") this.data.push(value);
    }
    return events;
  }
}
