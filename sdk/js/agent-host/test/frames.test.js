'use strict';
const assert = require('node:assert');
const { test } = require('node:test');
const { encode, FrameParser } = require('../frames');

const SIZES = [0, 1, 7, 8, 100, 5000, 70_000, 300_000, 3, 65_536, 0];

test('frames come whole, however they are cut, and are their taker\'s', () => {
  const frames = SIZES.map((size, n) => [{ n, x: 'é'.repeat(n) }, 'ab'.repeat(size).slice(0, size)]);
  const all = Buffer.concat(frames.map(([header, body]) => encode(header, body)));
  for (const cut of [1, 3, 7, 8, 1000, 65_536, all.length]) {
    const taken = [];
    const parser = new FrameParser((header, body) => taken.push([header, body]));
    const chunk = Buffer.alloc(cut);
    for (let at = 0; at < all.length; at += cut) {
      const size = all.copy(chunk, 0, at, at + cut);
      parser.feed(chunk.subarray(0, size));
      chunk.fill(0xff); // It is its owner's again.
    }
    assert.deepEqual(taken.map(([header, body]) => [header, body.toString()]), frames, `${cut} bytes at a time`);
  }
});
