// Messages that have come and are not read yet.

import { ConnectionError } from "./errors.js";

type Message = string | Uint8Array;

/** What waits for a reader. Beyond this a source that can be stopped is; another one is given up. */
export const WAITING_BYTES_MAX = 16 * 1024 * 1024;

export class Incoming {
  /** Called when what waits has become less. */
  onRoom: () => void = () => {};
  readonly #messages: Message[] = [];
  #bytes = 0;
  #end: { error: unknown } | undefined;
  #wake: () => void = () => {};

  get bytes(): number {
    return this.#bytes;
  }

  /** False where there is no room: the messages end with an error then. */
  push(message: Message): boolean {
    if (this.#end) return false;
    if (this.#bytes > WAITING_BYTES_MAX) {
      this.end(new ConnectionError(`more than ${WAITING_BYTES_MAX} bytes wait to be read`, { code: "not_read" }));
      return false;
    }
    this.#messages.push(message);
    this.#bytes += message.length;
    this.#wake();
    return true;
  }

  /** Nothing follows; with an error, that is thrown to the reader after what waits. */
  end(error?: unknown): void {
    this.#end ??= { error };
    this.#wake();
  }

  async *read(): AsyncGenerator<Message, void, undefined> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) {
        this.#bytes -= message.length;
        this.onRoom();
        yield message;
      } else if (this.#end) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }
}
