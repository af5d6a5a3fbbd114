'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { decodeValue, encodeValue } = require('../codec');
const { toJson } = require('../errors');
const { agent, withHost } = require('./fake_daemon');

const again = (value) => {
  const { text, codec } = encodeValue(value, 'it');
  return decodeValue(text, codec);
};

test('every kind of value comes back as it was', () => {
  const values = [undefined, null, true, 0, -0, NaN, -Infinity, 1e300, 'text', '', 12345678901234567890n,
    new Date(1234567890123), /a+/giu, [1, undefined, [2n]], { a: undefined, b: { c: NaN } },
    { $: 'bigint', v: 'no number' }, { deep: [{ $: 1 }] }, new Map([['k', new Set([1n, { a: 1 }])]]),
    Buffer.from([0, 255, 128]), new Uint8Array([1, 2]), new Float64Array([0.5, NaN]), new BigInt64Array([-1n]),
    Uint8Array.of(1, 2, 3).buffer, new DataView(Uint8Array.of(9, 8, 7).buffer, 1, 2)];
  for (const value of values) assert.deepStrictEqual(again(value), value);
  assert.ok(Number.isNaN(again(new Date(NaN)).getTime()));
  const part = new Uint8Array(Uint8Array.of(1, 2, 3, 4).buffer, 1, 2);
  assert.deepStrictEqual(again(part), Uint8Array.of(2, 3));
});

test('the texts that stand in journals for ever are read, and written', () => {
  const bytes = Uint8Array.of(0, 255, 128);
  const one = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0).buffer;
  const error = Object.assign(new TypeError('bad'), { code: 'E7', stack: 'TypeError: bad\n    at one' });
  const values = new Map(Object.entries({
    undefined, 'not a number': NaN, infinity: Infinity, 'minus infinity': -Infinity, 'minus zero': -0,
    'a large integer': 12345678901234567890n, 'a negative large integer': -12345678901234567890n,
    'a hexadecimal integer': -0xffffffffffffffffffn, 'a date': new Date(1709209801123), bytes,
    'a buffer': Buffer.from(bytes), 'an array buffer': bytes.buffer, 'a data view': new DataView(bytes.buffer),
    'a map': new Map([[1, 'a'], ['b', 9007199254740993n]]), 'a set': new Set([1]), 'a pattern': /a+/im,
    'an error': error, 'an object with a $': { $: 'bigint', v: 1 },
    'nested values': { a: [1, { b: new Set([NaN]) }], c: 'caf\u00e9' },
    ...Object.fromEntries([Int8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array,
      Float64Array, BigInt64Array, BigUint64Array].map((kind) => [kind.name, new kind(one)])),
  }));
  const file = path.join(__dirname, '../../../../tests/conformance/typed_values.json');
  const texts = JSON.parse(fs.readFileSync(file, 'utf8'));
  assert.deepEqual(new Set(texts.map(({ name }) => name)), new Set(values.keys()));
  const comparable = (value) => (value instanceof Error ? toJson(value) : value);
  for (const { name, text, written_by } of texts) {
    assert.deepStrictEqual(comparable(decodeValue(text, 'typed')), comparable(values.get(name)), name);
    if (written_by.includes('javascript')) {
      assert.deepEqual(encodeValue(values.get(name), 'it'), { text, codec: 'typed' }, name);
    }
  }
});

test('what JSON has is written as JSON', () => {
  const value = { a: [1, 'x', null, { b: true }], toJSON: undefined };
  delete value.toJSON;
  assert.deepEqual(encodeValue(value, 'it'), { text: JSON.stringify(value), codec: 'json' });
  const own = { toJSON: () => ({ own: 1 }) };
  assert.deepEqual(again({ own, f() {} }), { own: { own: 1 } });
});

test('an integer is read as either host writes it', () => {
  for (const [text, value] of [['-5', -5n], ['0xff', 255n], ['-0xff', -255n]]) {
    assert.equal(decodeValue(JSON.stringify({ $: 'bigint', v: text }), 'typed'), value);
  }
});

test('an error in a value keeps class, stack and code', () => {
  const error = Object.assign(new TypeError('bad'), { code: 'E7' });
  const back = again({ error }).error;
  assert.ok(back instanceof Error);
  assert.deepEqual([back.name, back.message, back.code, back.stack],
    ['TypeError', 'bad', 'E7', error.stack]);
});

test('an error whose members cannot be read is told without them, and what is no error as it is shown', async () => {
  const throws = { get() { throw new Error('no'); } };
  const bad = Object.defineProperties(new Error('it'), { code: throws, stack: throws, name: throws });
  assert.deepEqual(toJson(bad), { name: 'Error', message: 'it', stack: '' });
  const worse = Object.defineProperty(new Error('it'), 'message', throws);
  assert.equal(toJson(worse).message, '');
  assert.equal(toJson({ status: 500 }).message, '{ status: 500 }');
  assert.equal(toJson(Object.create(null)).message, '[Object: null prototype] {}');
  assert.equal(toJson({ message: 'its own' }).message, 'its own');
  assert.equal('code' in toJson(Object.assign(new Error(''), { code: NaN })), false);
  await withHost(agent(`
    const bad = () => Object.defineProperty(new Error('it'), 'code', { get() { throw new Error('no'); } });
    return [await ctx.step('s', () => { throw bad(); }).catch((e) => e.message),
      await ctx.step('later', async () => { throw bad(); }).catch((e) => e.message)];`), async (daemon) => {
    assert.deepEqual((await daemon.ended('main')).value, ['it', 'it']);
  });
});

test('an object that says itself what it is as JSON may say what JSON has not', () => {
  const says = (value) => ({ toJSON: () => value });
  assert.deepEqual(again({ a: says({ n: 7n }) }), { a: { n: 7n } });
  assert.deepEqual(again([says(undefined), says([says(NaN)])]), [undefined, [NaN]]);
  const endless = { toJSON: () => ({ n: 1, toJSON: endless.toJSON }) };
  for (const other of [1, 1n]) assert.deepEqual(again([endless, other]), [{ n: 1 }, other]);
  class Same { constructor() { this.n = 1; } toJSON() { return this; } }
  assert.deepEqual(again(new Same()), { n: 1 });
  const invalid = { toJSON: () => new Date(NaN).toISOString() };
  assert.throws(() => encodeValue([1n, invalid], 'it'), (e) => e instanceof RangeError && /time/.test(e.message));
});

test('what is nested too deep is refused', () => {
  const deep = (value, levels) => (levels === 0 ? value : deep([value], levels - 1));
  const isRefused = (e) => e.code === 'not_serialisable' && /^it is nested too deep/.test(e.message);
  for (const value of [deep(1n, 900), deep(1, 900)]) assert.deepEqual(again(value), value);
  let deepest = 1;
  for (let level = 0; level < 100_000; level += 1) deepest = { deepest };
  for (const value of [deep(1n, 1001), deepest]) assert.throws(() => encodeValue(value, 'it'), isRefused);
});

test('what holds itself is refused by name', () => {
  const circle = { n: NaN };
  circle.circle = circle;
  assert.throws(() => encodeValue(circle, 'the value of step "s"'),
    (e) => e.code === 'not_serialisable' && /the value of step "s" holds itself/.test(e.message));
  const twice = { n: NaN };
  assert.deepEqual(again([twice, twice]), [twice, twice]); // The same thing twice is no circle.
});

test('a step gives live what a replay gives', async () => {
  const source = agent(`
    const value = await ctx.step('all', () => ({ bytes: Buffer.from('hi'), at: new Date(5), big: 7n, not: undefined }));
    const step = await ctx.beginStep('half');
    const half = step.done ? step.value : await ctx.completeStep(step, new Map([[1, NaN]]));
    return [Buffer.isBuffer(value.bytes) && value.bytes.toString(), value.at instanceof Date && +value.at,
      typeof value.big, 'not' in value, half instanceof Map && Number.isNaN(half.get(1))];`);
  const expected = ['hi', 5, 'bigint', true, true];
  await withHost(source, async (daemon) => {
    assert.deepEqual((await daemon.ended('main')).value, expected);
    daemon.run('main', {}, { id: 'again', replay: daemon.recorded() });
    assert.deepEqual((await daemon.end('again')).value, expected);
    assert.deepEqual(daemon.of('done').map((f) => f.c), ['typed', 'typed']);
  });
});
