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
    if (size > 0) take(buffer.subarray(0, size));
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
      take(bytes.subarray(0, size));
      return true;
    },
  };
  const socket = new Socket({ fd, readable: true, writable: false, onread });
  socket.on('error', end);
  socket.on('close', end);
  return socket;
}

let reader; // It is there for as long as the process.

// Calls `take(bytes)` with all that comes, which is theirs until they return, and `end` after that.
function readDown(fd, take, end) {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  const opened = openPipe(fd);
  reader = opened ? readPipe(opened, buffer, take, end) : readSocket(fd, buffer, take, end);
}

module.exports = { readDown };
