'use strict';
// What cannot be kept is refused, and not left out.
const assert = require('node:assert');
const { test } = require('node:test');
const { Readable } = require('node:stream');
const { encodeValue } = require('../codec');
const { agent, withHost } = require('./fake_daemon');

test('what goes on and is no data is refused with its place, and with what would be right', () => {
  async function* pieces() { yield 1; }
  class Cursor {
    [Symbol.iterator]() { return this; }

    next() { return { done: true }; }
  }
  const values = {
    Response: [new Response('x'), /await response\.json\(\)/],
    Request: [new Request('http://a.test/'), /url, method and body/],
    ReadableStream: [new ReadableStream(), /read it first/],
    WritableStream: [new WritableStream(), /what was written/],
    stream: [Readable.from([1]), /read it first/],
    generator: [pieces(), /go through it/],
    promise: [Promise.resolve(1), /await it/],
    iterator: [new Cursor(), /go through it/],
  };
  for (const [kind, [value, remedy]] of Object.entries(values)) {
    for (const [held, place] of [[value, ''], [{ a: [1, value] }, 'at ["a"][1]'], [new Map([['k', value]]), 'at ["k"]'],
      [{ toJSON: () => ({ b: value }) }, 'at ["b"]'], [{ n: NaN, c: { value } }, 'at ["c"]["value"]']]) {
      assert.throws(() => encodeValue(held, 'it'), ({ code, message }) => code === 'not_serialisable' &&
        remedy.test(message) && new RegExp(`^it holds an? ${kind}[ ,]`).test(message) && message.includes(place), kind);
    }
  }
  class Point { constructor() { this.x = 1; } next() {} }
  assert.equal(encodeValue(new Point(), 'it').text, '{"x":1}');
  assert.equal(encodeValue(Object.assign(new Cursor(), { toJSON: () => 'own' }), 'it').text, '"own"');
  const circle = { value: values.stream[0] };
  circle.circle = circle;
  assert.throws(() => encodeValue(circle, 'it'), { code: 'not_serialisable' });
});

test('a step and a call of ctx refuse it, and what a method returns is as JSON.stringify has it', () => withHost(
  agent(`
  const tried = async (call) => { try { await call(); return 'taken'; } catch (e) { return e.code + ': ' + e.message; } };
  const response = new Response('{}');
  return { told: [await tried(() => ctx.step('get', () => ({ response }))), await tried(() => ctx.db.set('k', { response })),
    await tried(() => ctx.db.set('k', { when: new Date(0), bytes: new Uint8Array(2) }))], map: new Map([[1, 2]]), response,
    f() {} };`), async (daemon) => {
    daemon.answer = () => true;
    const { value } = await daemon.ended('main');
    const why = 'which cannot be written down: keep what `await response.json()` or `await response.text()` gives';
    assert.deepEqual(value, { told: [`not_serialisable: the value of step "get" holds a Response at ["response"], ${why}`,
      `not_serialisable: what ctx.db.set is given holds a Response at ["value"]["response"], ${why}`, 'taken'],
    map: {}, response: {} });
    assert.equal(daemon.of('call').length, 1);
  }));

test('a method or a setup that is a generator fails the run', async () => {
  for (const [source, call] of [['async *main() { yield 1; }', 'main'], ['*main() { yield 1; }', 'main'],
    ['async *setup() { yield 1; }, main() {}', 'setup']]) {
    await withHost(`module.exports = { ${source} };`, async (daemon) => {
      daemon.run('main', {}, { setup: true });
      const { ok, value } = await daemon.end();
      assert.deepEqual([ok, value.code], [false, 'not_serialisable']);
      assert.match(value.message, new RegExp(`^${call}\\(\\) is a generator.*ctx\\.stream`));
    });
  }
});

test('bytes that are too many are refused before they are written', () => {
  const half = new Uint8Array(110 << 20);
  const before = process.memoryUsage.rss();
  for (const value of [Buffer.alloc(220 << 20), [half, { half }], new Set([half.buffer, new DataView(half.buffer)])]) {
    assert.throws(() => encodeValue(value, 'it'), ({ code, message }) => code === 'too_large' &&
      /^it takes more than \d+ bytes as JSON, at most 268435456: .*base64$/.test(message));
  }
  assert.ok(process.memoryUsage.rss() - before < 100 << 20);
});
