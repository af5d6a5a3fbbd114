'use strict';
// Frames between the agent host and the daemon (docs/internals/agent-protocol.md): u32 header size,
// u32 body size, both little endian, then a JSON header and the body.

const fs = require('node:fs');

const PREFIX_BYTES = 8;
const JOINED_BYTES_MAX = 64 << 10;
const RETRY_MS = 1;
const STEPS_AT_FIRST = 8;
const sleepCell = new Int32Array(new SharedArrayBuffer(4));

// The frame with this header (JSON) as the pieces to write, one after the other. A large body is not
// copied.
function pieces(text, body = '') {
  const headerBytes = Buffer.byteLength(text);
  const bodyBytes = Buffer.byteLength(body);
  const isJoined = bodyBytes <= JOINED_BYTES_MAX;
  const head = PREFIX_BYTES + headerBytes;
  const frame = Buffer.allocUnsafe(isJoined ? head + bodyBytes : head);
  frame.writeUInt32LE(headerBytes, 0);
  frame.writeUInt32LE(bodyBytes, 4);
  frame.write(text, PREFIX_BYTES);
  if (!isJoined) return [frame, Buffer.from(body)];
  if (typeof body === 'string') frame.write(body, head);
  else body.copy(frame, head);
  return [frame];
}

function encode(header, body) {
  return Buffer.concat(pieces(JSON.stringify(header), body));
}

// The socket is blocking here, but whoever started us may have made it otherwise.
function retried(call) {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (error.code === 'EPIPE' || error.code === 'ECONNRESET') process.exit(0);
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(sleepCell, 0, 0, RETRY_MS);
    }
  }
}

// The socket that everything of the agent's goes over, and the answers to synchronous calls come
// back on. An answer bears no tag: the process waits for it, so there is one call at a time.
class UpSocket {
  constructor(fd) {
    this.fd = fd;
    // How many steps may be going that the daemon was not asked for, and how many are. Its journal
    // has a place for so many ends.
    this.stepsMax = STEPS_AT_FIRST;
    this.stepCount = 0;
  }

  send(header, body) {
    this.sendText(JSON.stringify(header), body);
  }

  // The same, with the header as JSON.
  sendText(text, body) {
    for (const bytes of pieces(text, body)) {
      for (let at = 0; at < bytes.length;) {
        at += retried(() => fs.writeSync(this.fd, bytes, at, bytes.length - at));
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
      const count = retried(() => fs.readSync(this.fd, bytes, at, size - at, null));
      if (count === 0) process.exit(0); // The daemon is gone.
      at += count;
    }
    return bytes;
  }
}

// Cuts what comes from the daemon into frames: calls `take(header, body)` for each.
class FrameParser {
  constructor(take) {
    this.take = take;
    this.chunks = [];
    this.size = 0;
  }

  feed(chunk) {
    this.chunks.push(chunk);
    this.size += chunk.length;
    for (;;) {
      if (this.size < PREFIX_BYTES) return;
      const head = this.#joined(PREFIX_BYTES);
      const headerSize = head.readUInt32LE(0);
      const total = PREFIX_BYTES + headerSize + head.readUInt32LE(4);
      if (this.size < total) return;
      const all = this.#joined(total);
      const header = JSON.parse(all.subarray(PREFIX_BYTES, PREFIX_BYTES + headerSize).toString());
      const body = all.subarray(PREFIX_BYTES + headerSize, total);
      this.size -= total;
      this.chunks = all.length > total ? [all.subarray(total)] : [];
      this.take(header, body);
    }
  }

  // The chunks as one, where the first one is shorter than `size`.
  #joined(size) {
    if (this.chunks[0].length < size) this.chunks = [Buffer.concat(this.chunks)];
    return this.chunks[0];
  }
}

module.exports = { encode, UpSocket, FrameParser };
