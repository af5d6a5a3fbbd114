'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { withHost } = require('./fake_daemon');

const agent = (body) => `module.exports = { async main(ctx, params) { ${body} } };`;

const MIXED = agent(`
  ctx.stream({ begin: 1 });
  const now = ctx.now(), random = ctx.random(), uuid = ctx.uuid();
  ctx.store.write('f', 'written');
  const step = await ctx.step('one', async () => ({ deep: [1, 2] }));
  let failed;
  try { await ctx.step('bad', () => { throw Object.assign(new RangeError('no'), { code: 'E1' }); }); }
  catch (e) { failed = [e.name, e.message, e.code, e.stack]; }
  return { now, random, uuid, step, failed, key: ctx.db.get('k'), list: ctx.store.list() };`);

test('a replay gives the same result and says nothing', async () => {
  let first;
  let replay;
  await withHost(MIXED, async (daemon) => {
    daemon.answer = () => ({ stored: true });
    daemon.run('main');
    first = await daemon.end();
    replay = daemon.recorded();
  });
  await withHost(MIXED, async (daemon) => {
    daemon.run('main', {}, { replay, attempt: 2 });
    assert.deepEqual(await daemon.end(), first);
    assert.deepEqual(daemon.frames.map((frame) => frame.t), ['hello', 'end']);
    assert.deepEqual(fs.readdirSync(daemon.work), []); // What was written is not written again.
  });
});

test('a step that was interrupted is executed again, the ones before it are not', () => withHost(agent(`
  const said = [];
  await ctx.step('one', () => { said.push('one'); });
  await ctx.step('two', () => { said.push('two'); });
  return said;`), async (daemon) => {
  daemon.run('main', {}, { replay: [[1, 'step', 'one', '', 'ok', null], [2, 'step', 'two', '', 'open']] });
  assert.deepEqual((await daemon.end()).value, ['two']);
  assert.deepEqual(daemon.frames.filter((f) => f.t === 'cmd').map((f) => f.o), [2]);
}));

test('a result is given only when it is on disk', () => withHost(agent(`
  const value = await ctx.step('one', () => 1);
  ctx.stream({ saw: value });
  return value;`), async (daemon) => {
  daemon.keepsAcks = true;
  daemon.run('main');
  const done = await daemon.next('done');
  daemon.send({ t: 'ping', n: 1 });
  await daemon.next('pong'); // It has had every chance to go on.
  assert.equal(daemon.frames.some((f) => f.t === 'event'), false);
  daemon.send({ t: 'ack', run: 'run_1', o: done.o });
  assert.equal((await daemon.end()).value, 1);
}));

test('code that asks for something else is told with both sides, and never settles', () => withHost(agent(`
  await ctx.step('one', () => 1);
  try { await ctx.step('other', () => 2); } catch (e) { ctx.stream('not reached'); }
  return 'not reached';`), async (daemon) => {
  daemon.run('main', {}, { replay: [[1, 'step', 'one', '', 'ok', 1], [2, 'step', 'two', '', 'ok', 2]] });
  const mismatch = await daemon.next('mismatch');
  assert.deepEqual(JSON.parse(mismatch.body), {
    expected: { k: 'step', n: 'two', fp: '' }, got: { k: 'step', n: 'other', fp: '' },
    matched: [{ o: 1, k: 'step', n: 'one' }],
  });
  daemon.send({ t: 'ping', n: 2 });
  await daemon.next((f) => f.t === 'pong' && f.n === 2);
  assert.deepEqual(daemon.frames.filter((f) => ['end', 'event', 'cmd'].includes(f.t)), []);
}));

test('cancelling aborts the signal, rejects what waits and refuses what follows', () => withHost(agent(`
  const seen = [];
  ctx.signal.addEventListener('abort', () => seen.push('aborted'));
  try { await ctx.sleep(1e6); } catch (e) { seen.push(e.name); }
  try { ctx.now(); } catch (e) { seen.push(e.code); }
  return seen;`), async (daemon) => {
  daemon.run('main');
  await daemon.next('cmd');
  daemon.send({ t: 'cancel', run: 'run_1' });
  assert.deepEqual((await daemon.end()).value, ['aborted', 'CancelledError', 'canceled']);
}));

test('a step inside a step is refused, commands inside a step are part of it', () => withHost(agent(`
  return ctx.step('outer', async () => {
    let nested;
    try { await ctx.step('inner', () => 1); } catch (e) { nested = e.code; }
    ctx.stream('inside');
    return [nested, typeof ctx.now(), ctx.db.get('k')];
  });`), async (daemon) => {
  daemon.answer = () => 7;
  daemon.run('main');
  assert.deepEqual((await daemon.end()).value, ['nested_step', 'number', 7]);
  assert.deepEqual(daemon.frames.filter((f) => f.t === 'event' || f.t === 'call').map((f) => f.o), [0, 0]);
}));

test('a step retries, has a limit of time and one key for all attempts', () => withHost(agent(`
  const keys = [];
  const value = await ctx.step('flaky', { retries: 2 }, ({ attempt, idempotencyKey }) => {
    keys.push(idempotencyKey);
    if (attempt < 3) throw new Error('again');
    return attempt;
  });
  let late;
  try { await ctx.step('slow', () => new Promise(() => {}), { timeout: 5 }); } catch (e) { late = e.code; }
  return [value, keys.length, new Set(keys).size, late];`), async (daemon) => {
  daemon.run('main');
  assert.deepEqual((await daemon.end()).value, [3, 3, 1, 'step_timeout']);
}));

test('setup runs before the method, once', () => withHost(`
  let count = 0;
  module.exports = { setup(ctx) { count += 1; ctx.db.set('s', count); }, main: () => count };`, async (daemon) => {
  daemon.answer = () => true;
  daemon.run('main', {}, { setup: true });
  assert.equal((await daemon.end()).value, 1);
  assert.deepEqual(daemon.frames.filter((f) => f.o > 0).map((f) => [f.t, f.o]), [['call', 1], ['setup.done', 2]]);
  daemon.run('main', {}, { id: 'run_2' });
  assert.equal((await daemon.end('run_2')).value, 1);
}));

test('two runs at once keep to themselves', () => withHost(agent(`
  const first = await ctx.step('a-' + params.n, () => params.n);
  await ctx.sleep(1);
  return [first, ctx.run.id];`), async (daemon) => {
  daemon.run('main', { n: 1 }, { id: 'r1' });
  daemon.run('main', { n: 2 }, { id: 'r2' });
  const asleep = async (id) => daemon.next((f) => f.run === id && f.k === 'sleep');
  for (const id of ['r2', 'r1']) {
    const { o, x } = await asleep(id);
    daemon.send({ t: 'result', run: id, o, x, ok: true }, 'null');
  }
  assert.deepEqual([(await daemon.end('r1')).value, (await daemon.end('r2')).value], [[1, 'r1'], [2, 'r2']]);
}));

test('an error that nobody catches ends the process, and the end of the daemon does', async () => {
  await withHost(agent('setTimeout(() => { throw new Error("stray"); }, 0); await ctx.sleep(1e6);'), async (daemon) => {
    daemon.run('main');
    assert.equal(await daemon.exited, 70);
    assert.match(daemon.stderr, /stray/);
  });
  await withHost(agent('await ctx.sleep(1e6);'), async (daemon) => {
    daemon.run('main');
    await daemon.next('cmd');
    daemon.down.destroy();
    assert.equal(await daemon.exited, 0);
  });
});
