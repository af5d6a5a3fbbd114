'use strict';
// The socket on which the daemon says all that nobody waits for.

const READ_BYTES = 64 << 10;

// Node.js' own pipe, below its streams. To load those, and to make a socket of it, is a tenth of
// what an agent needs to start; each step goes through less, too. Undefined where Node.js has it not.
function openPipe(fd) {
  try {
    const { Pipe, constants } = process.binding('pipe_wrap');
    const { streamBaseState: state, kReadBytesOrError: size } = process.binding('stream_wrap');
    const { useUserBuffer, readStart } = Pipe.prototype;
    const isKnown = [useUserBuffer, readStart].every((each) => typeof each === 'function') &&
      typeof state?.[size] === 'number';
    if (!isKnown) return undefined;
    const pipe = new Pipe(constants.SOCKET);
    return pipe.open(fd) ? undefined : { pipe, sizeRead: () => state[size] };
  } catch {
    return undefined;
  }
}

function readPipe({ pipe, sizeRead }, buffer, take, end) {
  pipe.useUserBuffer(buffer);
  pipe.onread = () => {
    const size = sizeRead(); // Below 0 for an error, the end among them.
    if (size > 0) take(buffer, size);
    else if (size < 0) end();
  };
  pipe.readStart();
  return pipe;
}

function readSocket(fd, buffer, take, end) {
  const { Socket } = require('node:net');
  const onread = {
    buffer,
    callback(size, bytes) {
      take(bytes, size);
      return true;
    },
  };
  const socket = new Socket({ fd, readable: true, writable: false, onread });
  socket.on('error', end);
  socket.on('close', end);
  return socket;
}

let reader; // It is there for as long as the process.

// Calls `take(bytes, size, isOtherTurn)` with all that comes, the first `size` of those bytes, which are theirs
// until they return, and `end` after that. isOtherTurn: what came before came in another turn of the loop:
// Node.js reads again in the same one where a read has filled the buffer.
function readDown(fd, take, end) {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  let wasFull = false;
  const tell = (bytes, size) => {
    const isOtherTurn = !wasFull;
    wasFull = size === READ_BYTES;
    take(bytes, size, isOtherTurn);
  };
  const opened = openPipe(fd);
  reader = opened ? readPipe(opened, buffer, tell, end) : readSocket(fd, buffer, tell, end);
}

module.exports = { readDown };
