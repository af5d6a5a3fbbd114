'use strict';
const assert = require('node:assert');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { test } = require('node:test');

const DOWN = path.join(__dirname, '..', 'down.js');
const BYTES = 1 << 20;

// What a process that reads descriptor 4 with readDown() says of it: {bytes, isWhole, isInTurn, hasNet}.
async function readBy(before) {
  const program = `${before}
    let bytes = 0, sum = 0, turn = 0, last = -1, isInTurn = true;
    (function count() { turn += 1; setImmediate(count); })();
    require(${JSON.stringify(DOWN)}).readDown(4, (buffer, size, isOtherTurn) => {
      const chunk = buffer.subarray(0, size);
      if (isOtherTurn && turn === last) isInTurn = false;
      last = turn;
      bytes += chunk.length;
      for (const byte of chunk) sum = (sum * 31 + byte) % 1000003;
    }, () => {
      const hasNet = process.moduleLoadList.includes('NativeModule net');
      require('node:fs').writeSync(1, JSON.stringify({ bytes, sum, isInTurn, hasNet }));
      process.exit(0);
    });`;
  const child = spawn(process.execPath, ['-e', program], {
    stdio: ['ignore', 'pipe', 'inherit', 'ignore', 'pipe'],
    env: { ...process.env, NODE_PENDING_DEPRECATION: '' },
  });
  let told = '';
  child.stdout.on('data', (chunk) => { told += chunk; });
  const sent = Buffer.alloc(BYTES, 'what the daemon says');
  child.stdio[4].end(sent);
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
  const sum = sent.reduce((all, byte) => (all * 31 + byte) % 1000003, 0);
  return { ...JSON.parse(told), isWhole: JSON.parse(told).sum === sum };
}

test('all that the daemon says is read, and its end, and in which turn, without Node.js\' streams', async () => {
  const { bytes, isWhole, isInTurn, hasNet } = await readBy('');
  assert.deepEqual({ bytes, isWhole, isInTurn, hasNet }, { bytes: BYTES, isWhole: true, isInTurn: true, hasNet: false });
});

test('a Node.js that has no such pipe reads it by its streams', async () => {
  const { bytes, isWhole, isInTurn, hasNet } = await readBy('process.binding = undefined;');
  assert.deepEqual({ bytes, isWhole, isInTurn, hasNet }, { bytes: BYTES, isWhole: true, isInTurn: true, hasNet: true });
});
