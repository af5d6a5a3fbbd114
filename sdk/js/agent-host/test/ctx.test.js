'use strict';
const assert = require('node:assert');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { agent, withHost } = require('./fake_daemon');

test('every call says to the daemon what the protocol says', () => withHost(agent(`
  const { db, search, journal, store } = ctx;
  return [
    db.set('k', { a: 1 }), db.set('u'), db.get('k'), db.delete('k'), db.keys(), db.keys('p'),
    search.query('q'), search.query('q', 3), search.query('q', { limit: 4, mode: 'regex', paths: ['src/'] }),
    search.symbols('s'), search.symbols('s', 2), search.status(), search.remove('d#1'),
    search.index('d#1', 't'), journal.step('type', 'message', { m: 1 }),
    journal.step('t', { a: 1 }), journal.entries(), journal.clear(), store.exists('x'),
    ctx.shell('ls -l', { cwd: 'd', timeoutMs: 5 }),
    await ctx.shellAsync(['ls', '-l']), await ctx.sleep(7.4), ctx.stream({ a: 1 }) === undefined,
    ctx.log('%s is', 'b', 2) === undefined,
  ];`), async (daemon) => {
  daemon.answer = (op) => `answer to ${op}`;
  const { value } = await daemon.ended('main');
  const asked = daemon.frames.filter((f) => f.o > 0).map((f) =>
    [f.t, f.op ?? f.k ?? f.type, f.n, JSON.parse(f.body)]);
  assert.deepEqual(asked, [
    ['call', 'db.set', 'k', { key: 'k', value: { a: 1 } }],
    ['call', 'db.set', 'u', { key: 'u', value: null }],
    ['call', 'db.get', 'k', { key: 'k' }],
    ['call', 'db.delete', 'k', { key: 'k' }],
    ['call', 'db.keys', '', {}],
    ['call', 'db.keys', 'p', { prefix: 'p' }],
    ['call', 'search.query', '', { query: 'q' }],
    ['call', 'search.query', '', { query: 'q', limit: 3 }],
    ['call', 'search.query', '', { query: 'q', limit: 4, mode: 'regex', paths: ['src/'] }],
    ['call', 'search.symbols', '', { query: 's' }],
    ['call', 'search.symbols', '', { query: 's', limit: 2 }],
    ['call', 'search.status', '', {}],
    ['call', 'search.remove', 'd#1', { path: 'd#1' }],
    ['call', 'search.index', 'd#1', { path: 'd#1', text: 't' }],
    ['call', 'journal.step', 'type', { type: 'type', message: 'message', meta: { m: 1 } }],
    ['call', 'journal.step', 't', { type: 't', message: '{ a: 1 }' }],
    ['call', 'journal.entries', '', {}],
    ['call', 'journal.clear', '', {}],
    ['value', 'store.exists', 'x', false],
    ['cmd', 'shell', 'ls -l', { cmd: 'ls -l', opts: { cwd: 'd', timeoutMs: 5 } }],
    ['cmd', 'shell', 'ls -l', { cmd: ['ls', '-l'] }],
    ['cmd', 'sleep', '', { ms: 7 }],
    ['event', 'stream', undefined, { a: 1 }],
    ['event', 'log', undefined, { level: 'info', message: 'b is 2' }],
  ]);
  assert.deepEqual(value, asked.map(([t, op, , body]) =>
    (t === 'value' ? body : t === 'event' ? true : `answer to ${op}`)));
  const ordinals = daemon.frames.filter((f) => f.o > 0).map((f) => f.o);
  assert.deepEqual(ordinals, asked.map((_, index) => index + 1));
  assert.deepEqual(daemon.of('cmd').map((f) => f.sync), [true, undefined, undefined]);
}));

test('a fingerprint is that of the arguments as they are sent', () => withHost(agent(
  "ctx.db.get('k'); ctx.shell('ls'); await ctx.step('s', () => 1);"), async (daemon) => {
  daemon.answer = () => null;
  await daemon.ended('main');
  const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex').slice(0, 16);
  assert.deepEqual(daemon.of('call', 'cmd').map((f) => f.fp),
    [sha256('{"key":"k"}'), sha256('{"cmd":"ls"}'), '']);
}));

test('ctx tells which cell, which run, which attempt', () => withHost(agent(`
  return [ctx.cellId, ctx.workDir === process.env.CELLAR_WORK_DIR, ctx.run, ctx.signal.aborted];`),
async (daemon) => {
  daemon.run('main', {}, { attempt: 3 });
  assert.deepEqual((await daemon.end()).value,
    ['dev--test', true, { id: 'run_1', method: 'main', attempt: 3 }, false]);
}));

test('a Node.js without a global crypto makes ids, too', () => withHost(agent(`
  delete globalThis.crypto;
  return [typeof crypto, ctx.uuid().length];`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value, ['undefined', 36]);
}));

test('time and chance are recorded', () => withHost(agent(
  'return [ctx.now(), ctx.random(), ctx.uuid()];'), async (daemon) => {
  const before = Date.now();
  const { value: [now, random, uuid] } = await daemon.ended('main');
  assert.ok(now >= before && now <= Date.now());
  assert.ok(random >= 0 && random < 1);
  assert.match(uuid, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  assert.deepEqual(daemon.of('value').map((f) => [f.k, JSON.parse(f.body)]),
    [['now', now], ['random', random], ['uuid', uuid]]);
}));

test('what the daemon refuses is thrown with its code', () => withHost(agent(`
  const failed = (e) => [e.name, e.message, e.code];
  const seen = [];
  try { ctx.db.get('k'); } catch (e) { seen.push(failed(e)); }
  try { ctx.shell('ls'); } catch (e) { seen.push(failed(e)); }
  await ctx.shellAsync('ls').catch((e) => seen.push(failed(e)));
  return seen;`), async (daemon) => {
  daemon.answer = () => Object.assign(new Error('it is broken'), { code: 'broken' });
  assert.deepEqual((await daemon.ended('main')).value,
    Array(3).fill(['Error', 'it is broken', 'broken']));
}));

test('a synchronous command keeps the process, others go on together', () => withHost(agent(`
  const one = ctx.shell('one');
  const [two, three] = await Promise.all([ctx.shellAsync('two'), ctx.shellAsync('three')]);
  return [one, two, three];`), async (daemon) => {
  daemon.run('main');
  const started = (n) => daemon.next((f) => f.n === n);
  daemon.reply(await started('one'), { exitCode: 1 });
  daemon.reply(await started('three'), { exitCode: 3 });
  daemon.reply(await started('two'), { exitCode: 2 });
  assert.deepEqual((await daemon.end()).value, [{ exitCode: 1 }, { exitCode: 2 }, { exitCode: 3 }]);
}));

test('what is no call throws before it is one', () => withHost(agent(`
  const cycle = {}; cycle.cycle = cycle;
  const codes = [];
  const wrong = [() => ctx.stream(cycle), () => ctx.db.set('k', cycle), () => ctx.db.set('k', 1n),
    () => ctx.stream(() => 1), () => ctx.shell(5), () => ctx.step('', () => 1), () => ctx.step('s'),
    () => ctx.step('s', () => 1, { timeout: -1 }), () => ctx.step('s', () => 1, { retries: 'x' }),
    () => ctx.step('s', () => 1, { retries: -1 }), () => ctx.step('s', () => 1, { retry: 2 }),
    () => ctx.step('s', { onInterrupt: 'never' }, () => 1), () => ctx.fetch('no address')];
  for (const call of wrong) { try { await call(); } catch (e) { codes.push(e.code); } }
  return codes;`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value, [
    ...Array(4).fill('not_serialisable'), 'invalid_command', 'invalid_step', 'invalid_step',
    'invalid_time', ...Array(4).fill('invalid_step'), 'ERR_INVALID_URL']);
  assert.deepEqual(daemon.types(), ['hello', 'end']);
}));

test('half of a surrogate pair does not make a frame that is no JSON', () => withHost(agent(`
  const half = '😀'.slice(0, 1);
  ctx.stream({ half, whole: '😀', text: '\\\\ud83d' });
  ctx.store.exists('x' + half);
  return half;`), async (daemon) => {
  const { value } = await daemon.ended('main');
  assert.equal(value, '\ufffd');
  const [event] = daemon.of('event');
  assert.equal(event.body.toString(), '{"half":"\ufffd","whole":"😀","text":"\\\\ud83d"}');
  assert.equal(daemon.of('value')[0].n, 'x\ufffd');
  daemon.run('main', {}, { id: 'again', replay: daemon.recorded() });
  assert.equal((await daemon.end('again')).value, '\ufffd');
}));

test('a log shows errors and objects', () => withHost(agent(
  "ctx.log.warn('failed:', new RangeError('far'), { deep: { a: [1] } });"), async (daemon) => {
  await daemon.ended('main');
  const { level, message } = JSON.parse(daemon.of('event')[0].body);
  assert.equal(level, 'warn');
  assert.match(message, /^failed: RangeError: far\n[^]*\{ deep: \{ a: \[ 1 \] \} \}$/);
}));

test('values of 20 MB go all ways', () => withHost(agent(`
  const read = ctx.store.read('big').length;
  const stored = ctx.db.get('big').length;
  const step = await ctx.step('big', () => 'z'.repeat(20 << 20));
  return [params.text.length, read, stored, step];`), async (daemon) => {
  fs.writeFileSync(path.join(daemon.work, 'big'), 'x'.repeat(20 << 20));
  daemon.answer = () => 'd'.repeat(20 << 20);
  const { value } = await daemon.ended('main', { text: 'y'.repeat(20 << 20) });
  assert.deepEqual(value.slice(0, 3), Array(3).fill(20 << 20));
  assert.equal(value[3].length, 20 << 20);
  assert.equal(daemon.of('value')[0].body.length, (20 << 20) + 2);
}));

test('what is larger than a frame is refused, and the run goes on', () => withHost(agent(`
  const large = 'x'.repeat((256 << 20) + 1);
  try { ctx.stream(large); } catch (e) { return [e.code, e.message]; }`), async (daemon) => {
  const { value: [code, message] } = await daemon.ended('main');
  assert.equal(code, 'too_large');
  assert.match(message, /^the argument of ctx\.stream takes 268435459 bytes .* at most 268435456$/);
}));

test('the sockets may be non-blocking, and no command of the agent inherits them', () => withHost(`
  const { Socket } = require('node:net');
  const { spawnSync } = require('node:child_process');
  const kept = new Socket({ fd: 3, readable: false }); // Which makes it non-blocking.
  module.exports = { main(ctx) {
    for (let i = 0; i < 20; i += 1) ctx.stream('x'.repeat((1 << 20) - 2));
    const inherited = spawnSync('sh', ['-c', 'ls /proc/$$/fd']).stdout.toString();
    return [ctx.db.get('k'), inherited.match(/^[34]$/m), kept.readable];
  } };`, async (daemon) => {
  daemon.run('main');
  daemon.reply(await daemon.next('call'), 'late'); // It has waited for this.
  assert.deepEqual((await daemon.end()).value, ['late', null, false]);
  assert.deepEqual(daemon.of('event').map((f) => f.body.length), Array(20).fill(1 << 20));
}));
