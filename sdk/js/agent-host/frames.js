'use strict';
// Frames between the agent host and the daemon (docs/internals/agent-protocol.md): u32 header size,
// u32 body size, both little endian, then a JSON header and the body.

const fs = require('node:fs');

const PREFIX_BYTES = 8;
const ROOM_BYTES = 64 << 10;
const UTF8_BYTES_MAX = 3; // of a unit of a JavaScript string
const RETRY_MS = 1;
const STEPS_AT_FIRST = 8;
const NOTHING = Buffer.alloc(0);
const asItIs = (body) => body;
const sleepCell = new Int32Array(new SharedArrayBuffer(4));

function prefixOf(headerBytes, bodyBytes) {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32LE(headerBytes, 0);
  prefix.writeUInt32LE(bodyBytes, 4);
  return prefix;
}

// Node.js' own looks at each argument first.
function uint32(bytes, at) {
  return bytes[at] + bytes[at + 1] * 2 ** 8 + bytes[at + 2] * 2 ** 16 + bytes[at + 3] * 2 ** 24;
}

// Of the frame that begins there, which shows at least its first PREFIX_BYTES.
function sizeOf(bytes, at) {
  return PREFIX_BYTES + uint32(bytes, at) + uint32(bytes, at + 4);
}

function encode(header, body = '') {
  const [head, rest] = [Buffer.from(JSON.stringify(header)), Buffer.from(body)];
  return Buffer.concat([prefixOf(head.length, rest.length), head, rest]);
}

// The daemon is gone: nobody hears what is still said. To take a Node.js apart in order costs a
// millisecond, which the agents that start anew wait for where all of a machine's end at once.
function leave() {
  process.kill(process.pid, 'SIGKILL');
}

// What a read or a write threw: returns where it is to be tried again. The socket is blocking here, but
// whoever started us may have made it otherwise.
function waitOrThrow(error) {
  if (error.code === 'EPIPE' || error.code === 'ECONNRESET') leave();
  if (error.code !== 'EAGAIN') throw error;
  Atomics.wait(sleepCell, 0, 0, RETRY_MS);
}

// The socket that everything of the agent's goes over, and the answers to synchronous calls come
// back on. An answer bears no tag: the process waits for it, so there is one call at a time.
class UpSocket {
  constructor(fd) {
    this.fd = fd;
    this.room = Buffer.allocUnsafeSlow(ROOM_BYTES);
    this.prefix = new DataView(this.room.buffer, this.room.byteOffset, PREFIX_BYTES);
    // How many steps may be going that the daemon was not asked for, and how many are. Its journal
    // has a place for so many ends.
    this.stepsMax = STEPS_AT_FIRST;
    this.stepCount = 0;
  }

  send(header, body) {
    this.sendText(JSON.stringify(header), body);
  }

  // The same, with the header as JSON. A frame is put together in one buffer that stays: to make one
  // for each costs more.
  sendText(text, body = '') {
    const bytesMax = PREFIX_BYTES + (text.length + body.length) * UTF8_BYTES_MAX;
    if (bytesMax > ROOM_BYTES) return this.#sendLarge(text, body);
    const { room } = this;
    const head = PREFIX_BYTES + room.write(text, PREFIX_BYTES);
    const size = head + (typeof body === 'string' ? room.write(body, head) : body.copy(room, head));
    this.prefix.setUint32(0, head - PREFIX_BYTES, true);
    this.prefix.setUint32(4, size - head, true);
    return this.#write(room, size);
  }

  // A large body is not copied.
  #sendLarge(text, body) {
    const [head, rest] = [Buffer.from(text), typeof body === 'string' ? Buffer.from(body) : body];
    const first = Buffer.concat([prefixOf(head.length, rest.length), head]);
    this.#write(first, first.length);
    this.#write(rest, rest.length);
  }

  #write(bytes, size) {
    for (let at = 0; at < size;) {
      try {
        at += fs.writeSync(this.fd, bytes, at, size - at);
      } catch (error) {
        waitOrThrow(error);
      }
    }
  }

  // The answer to the one synchronous call under way: {header, body}. Blocks.
  receive() {
    const prefix = this.#read(PREFIX_BYTES);
    const header = JSON.parse(this.#read(prefix.readUInt32LE(0)).toString());
    const body = this.#read(prefix.readUInt32LE(4)).toString();
    return { header, body };
  }

  #read(size) {
    const bytes = Buffer.allocUnsafe(size);
    for (let at = 0; at < size;) {
      try {
        const count = fs.readSync(this.fd, bytes, at, size - at, null);
        if (count === 0) leave();
        at += count;
      } catch (error) {
        waitOrThrow(error);
      }
    }
    return bytes;
  }
}

// Cuts what comes from the daemon into frames: calls `take(header, body)` for each. A body is its taker's.
class FrameParser {
  constructor(take) {
    this.take = take;
    this.begun = NOTHING; // the beginning of a frame
    this.room = undefined; // where a frame goes that takes more than what comes at once
    this.filled = 0;
  }

  // Takes the first `size` bytes, which are their caller's again when this returns.
  feed(bytes, size = bytes.length) {
    let at = 0;
    if (this.room !== undefined) {
      at = bytes.copy(this.room, this.filled, 0, size);
      this.filled += at;
      if (this.filled < this.room.length) return;
      const { room } = this;
      this.room = undefined;
      this.#cut(room, 0, room.length, asItIs);
    }
    if (this.begun.length === 0) {
      at = this.#cut(bytes, at, size, Buffer.from);
      if (at < size) this.#keep(Buffer.from(bytes.subarray(at, size)));
    } else if (at < size) {
      const all = Buffer.concat([this.begun, bytes.subarray(at, size)]);
      this.#keep(all.subarray(this.#cut(all, 0, all.length, asItIs)));
    }
  }

  // The beginning of a frame.
  #keep(begun) {
    const wanted = begun.length < PREFIX_BYTES ? 0 : sizeOf(begun, 0);
    if (wanted <= ROOM_BYTES) {
      this.begun = begun;
      return;
    }
    this.room = Buffer.allocUnsafeSlow(wanted);
    this.filled = begun.copy(this.room);
    this.begun = NOTHING;
  }

  // Takes the whole frames of these bytes, between the two places; where the last one ends. own(body) makes a
  // body its taker's.
  #cut(bytes, from, end, own) {
    let at = from;
    while (end - at >= PREFIX_BYTES && end - at >= sizeOf(bytes, at)) {
      const bodyAt = at + PREFIX_BYTES + uint32(bytes, at);
      const next = at + sizeOf(bytes, at);
      const header = JSON.parse(bytes.toString('utf8', at + PREFIX_BYTES, bodyAt));
      this.take(header, bodyAt === next ? NOTHING : own(bytes.subarray(bodyAt, next)));
      at = next;
    }
    return at;
  }
}

module.exports = { encode, leave, UpSocket, FrameParser };
