'use strict';
const assert = require('node:assert');
const { test } = require('node:test');
const { agent, withHost } = require('./fake_daemon');

const timeout = () => Object.assign(new Error('late'), { name: 'WaitTimeoutError', code: 'wait_timeout' });

test('what is waited for is asked of the daemon, under numbered names', () => withHost(agent(`
  const day = new Date(86_400_000);
  return [await ctx.sleep('10ms'), await ctx.sleep('rest', '2m'), await ctx.sleepUntil(day),
    await ctx.waitForEvent('merged', { match: { pr: 7 }, timeout: '1h' }),
    await ctx.waitForEvent('merged', { type: 'closed' }), await ctx.approve('go', { prompt: 'Go?', data: [1] })];`),
async (daemon) => {
  const asked = [];
  daemon.answer = (op, args) => { asked.push([op, args]); return op; };
  const plain = daemon.take.bind(daemon);
  daemon.take = (frame) => {
    plain(frame);
    if (frame.k === 'wait' || frame.k === 'approval') daemon.reply(frame, { took: JSON.parse(frame.body) });
  };
  const { value } = await daemon.ended('main');
  assert.deepEqual(asked.map(([, args]) => args), [{ ms: 10 }, { ms: 120_000 }, { until: 86_400_000 }]);
  assert.deepEqual(value.slice(3), [{ took: { type: 'merged', match: { pr: 7 }, timeout: 3_600_000 } },
    { took: { type: 'closed' } }, { took: { prompt: 'Go?', data: [1] } }]);
  assert.deepEqual(daemon.of('cmd').map((f) => f.n), ['', 'rest', '', 'merged', 'merged#2', 'go']);
}));

test('a wait that ended too late throws, or gives what onTimeout says', () => withHost(agent(`
  const thrown = await ctx.waitForEvent('a', { timeout: 1 })
    .catch((e) => [e.code, e instanceof ctx.errors.WaitTimeoutError]);
  return [thrown, await ctx.approve('b', { timeout: 1, onTimeout: { approved: false } })];`),
async (daemon) => {
  const plain = daemon.take.bind(daemon);
  daemon.take = (frame) => { plain(frame); if (frame.t === 'cmd') daemon.reply(frame, timeout()); };
  assert.deepEqual((await daemon.ended('main')).value, [['wait_timeout', true], { approved: false }]);
}));

const ODD = "[7, 'x', [7], null, true, new Map([['pr', 7]]), { pr: undefined }, { by: { id: undefined } }, { pr: () => 7 }]";

test('a wait whose match says less than it seems to is refused; one with none, or an empty one, takes any', () => withHost(agent(`
  const codes = [];
  for (const match of ${ODD}) {
    try { await ctx.waitForEvent('a', { match }); } catch (e) { codes.push(e.code); }
  }
  return [codes, await ctx.waitForEvent('a'), await ctx.waitForEvent('a', { match: {} }), await ctx.waitForEvent('a', { match: undefined })];`),
async (daemon) => {
  const plain = daemon.take.bind(daemon);
  daemon.take = (frame) => { plain(frame); if (frame.t === 'cmd') daemon.reply(frame, JSON.parse(frame.body)); };
  const any = { type: 'a' };
  assert.deepEqual((await daemon.ended('main')).value, [Array(9).fill('invalid_wait'), any, { ...any, match: {} }, any]);
}));

test('a wait with an odd match that is recorded goes on as it was', () => withHost(agent(`
  return [await ctx.waitForEvent('a', { match: { pr: undefined } }), await ctx.waitForEvent('a', { match: 7 })];`),
async (daemon) => {
  const { createHash } = require('node:crypto');
  const fp = (args) => createHash('sha256').update(JSON.stringify(args)).digest('hex').slice(0, 16);
  daemon.run('main', {}, { replay: [[1, 'wait', 'a', fp({ type: 'a', match: {} }), 'ok', 1],
    [2, 'wait', 'a#2', fp({ type: 'a', match: 7 }), 'open']] });
  daemon.reply(await daemon.next('cmd'), 2);
  assert.deepEqual((await daemon.end()).value, [1, 2]);
}));

test('a child is begun under the id that it is given, also on replay; one without says nothing of it', () => withHost(agent(`
  const options = params.id === undefined ? undefined : { id: params.id };
  return (await ctx.spawn('review', { file: 1 }, options)).id;`),
async (daemon) => {
  const plain = daemon.take.bind(daemon);
  daemon.take = (frame) => { plain(frame); if (frame.t === 'cmd') daemon.reply(frame, { run: 'run_9' }); };
  const given = async (id, params) => (await daemon.ended('main', params, id)).value;
  assert.deepEqual([await given('a', { id: 'x' }), await given('b', {})], ['run_9', 'run_9']);
  assert.deepEqual(daemon.of('cmd').map((f) => JSON.parse(f.body)),
    [{ method: 'review', params: { file: 1 }, id: 'x' }, { method: 'review', params: { file: 1 } }]);
  daemon.run('main', { id: 'x' }, { id: 'again', replay: daemon.recorded('a') });
  assert.equal((await daemon.end('again')).value, 'run_9');
  daemon.run('main', { id: 'y' }, { id: 'other', replay: daemon.recorded('a') });
  await daemon.next('mismatch');
  assert.equal(daemon.of('cmd').length, 2);
}));

test('waits that can never be are refused by name', () => withHost(agent(`
  const wrong = [() => ctx.waitForEvent(''), () => ctx.waitForEvent('a', { kind: 1 }),
    () => ctx.waitForEvent('a', { type: 5 }), () => ctx.approve('a', { prompt: 5 }),
    () => ctx.waitForEvent('a', { timeout: 'soon' }), () => ctx.approve('a', { data: 'x'.repeat(70_000) }),
    () => ctx.sleepUntil('never'), () => ctx.step('s', () => ctx.waitForEvent('a')), () => ctx.spawn(''),
    ...['', 7, null, 'é'.repeat(129)].map((id) => () => ctx.spawn('a', {}, { id })), () => ctx.spawn('a', {}, { ids: 'x' })];
  const codes = [];
  for (const call of wrong) { try { await call(); } catch (e) { codes.push(e.code); } }
  return codes;`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value, [...Array(4).fill('invalid_wait'), 'invalid_time',
    'too_large', 'invalid_time', 'nested_wait', ...Array(6).fill('invalid_spawn')]);
}));

test('a run that waits leaves the process, after it has logged, too; not while it has work of its own', () => withHost(agent(`
  console.log('out');
  console.error('err');
  if (params.own) setTimeout(() => {}, 600_000);
  return ctx.sleep('1h');`), async (daemon) => {
  const leaves = async (id, params) => {
    daemon.run('main', params, { id });
    await daemon.next((frame) => frame.t === 'cmd' && frame.run === id);
    daemon.send({ t: 'suspend', run: id });
    await daemon.idle();
    return daemon.of('suspended').some((frame) => frame.run === id);
  };
  assert.deepEqual([await leaves('logs', {}), await leaves('own', { own: true })], [true, false]);
}));

test('a run that neither logs nor asks for a signal has loaded nothing for that', () => withHost(agent(`
  await ctx.step('s', () => 1);
  const loaded = process.moduleLoadList.map((each) => each.replace('NativeModule ', ''));
  return ['net', 'internal/abort_controller', 'fs'].filter((each) => loaded.includes(each));`),
async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value, ['fs']);
}));
