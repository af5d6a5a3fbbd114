'use strict';
const assert = require('node:assert');
const { test } = require('node:test');
const { agent, withHost } = require('./fake_daemon');

const SECRET = 's3cr3t';
const REDACTED = { name: 'Error', message: 'redacted: the step is sensitive', stack: '', code: 'sensitive' };
const options = `{ sensitive: 'output' }`;

test('the agent has the value of a sensitive step, now and on replay', () => withHost(agent(`
  const token = await ctx.step('token', () => '${SECRET}', ${options});
  return [token.length, token === '${SECRET}'];`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value, [6, true]);
  assert.deepEqual(daemon.of('cmd').map((f) => f.sens), ['output']);
  daemon.run('main', {}, { id: 'again', replay: daemon.recorded() });
  assert.deepEqual((await daemon.end('again')).value, [6, true]);
  assert.equal(daemon.of('cmd').length, 1);
}));

const THROWS = agent(`
  const fails = () => { throw Object.assign(new TypeError('${SECRET}'), { code: '${SECRET}' }); };
  try { await ctx.step('s', fails, ${options}); } catch (error) {
    ctx.log('caught', error, error.message === '${SECRET}', error.code === '${SECRET}');
    await ctx.step('next', () => { throw error; }).catch(() => 0);
    throw error;
  }`);

test('the error of a sensitive step is what it was, and is not told', () => withHost(THROWS, async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value, REDACTED);
  const told = daemon.frames.filter((f) => !(f.t === 'done' && f.o === 1)); // That is sealed.
  assert.ok(told.every((f) => !f.body.toString().includes(SECRET)), 'nothing else tells it');
  assert.match(daemon.of('event')[0].body.toString(), /caught redacted: the step is sensitive true true/);
  daemon.run('main', {}, { id: 'again', replay: daemon.recorded() });
  assert.deepEqual((await daemon.end('again')).value, REDACTED);
}));

test('a log tells it in no wrapping', () => withHost(agent(`
  try { await ctx.step('s', () => { throw new Error('${SECRET}'); }, ${options}); } catch (e) {
    ctx.log({ e }, [e], new Error('around', { cause: e }));
    ctx.log('%s %o', [e], { e });
  }`), async (daemon) => {
  await daemon.ended('main');
  const told = daemon.of('event').map((f) => f.body.toString());
  assert.deepEqual(told.map((text) => text.match(/redacted/g).length), [3, 2]);
  assert.ok(!told.join().includes(SECRET), told.join());
}));

test('what was recorded of a sensitive step stays so where the code has changed', () => withHost(agent(`
  await ctx.step('s', () => 1);`), async (daemon) => {
  const error = { name: 'Error', message: SECRET, stack: '' };
  daemon.run('main', {}, { replay: [[1, 'step', 's', '', 'error', error, undefined, { sens: 'output' }]] });
  assert.deepEqual((await daemon.end()).value, REDACTED);
}));

test('a command in a sensitive step is sensitive', () => withHost(agent(`
  ctx.shell('a');
  await ctx.step('plain', () => ctx.shell('b'));
  await ctx.step('s', async () => { ctx.shell('c'); await ctx.shellAsync('d'); },
    { sensitive: 'output', rollback: () => ctx.shell('e') });
  throw new Error('original');`), async (daemon) => {
  daemon.answer = () => ({ exitCode: 0, stdout: '', stderr: '' });
  assert.deepEqual((await daemon.ended('main')).value.rollback, { done: ['s'] });
  assert.deepEqual(daemon.of('cmd').filter((f) => f.k === 'shell').map((f) => [f.n, f.sens]),
    [['a', undefined], ['b', undefined], ['c', 'output'], ['d', 'output'], ['e', 'output']]);
}));

test('of an error that is known by its class, the class is told', () => withHost(agent(`
  await ctx.step('s', () => { throw new ctx.errors.NonRetryableError('${SECRET}'); }, ${options});`),
async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value, { ...REDACTED, name: 'NonRetryableError' });
}));

test('the rollback of a sensitive step is sensitive', () => withHost(agent(`
  await ctx.step('s', () => '${SECRET}', { sensitive: 'output', rollback: (s, value) => { throw new Error(value); } });
  throw new Error('original');`), async (daemon) => {
  const { message, rollback } = (await daemon.ended('main')).value;
  assert.deepEqual([message, rollback.failed], ['original', { name: 's', error: REDACTED }]);
  assert.deepEqual(daemon.of('cmd').map((f) => f.sens), ['output', 'output']);
}));

test('a rollback that is recorded as sensitive stays so', () => withHost(agent(`
  await ctx.step('s', () => 1, { rollback: () => {} });
  throw new Error('original');`), async (daemon) => {
  const error = { name: 'Error', message: SECRET, stack: '' };
  daemon.run('main', {}, { replay: [[1, 'step', 's', '', 'ok', 1], [2, 'rollback', 'failed', '', 'ok', { message: 'original' }],
    [3, 'step', 'rollback s', '', 'error', error, [6, 7], { sens: 'output' }]] });
  assert.deepEqual((await daemon.end()).value.rollback.failed, { name: 's', error: REDACTED });
}));

test('an error that nobody catches is not printed', () => withHost(agent(`
  ctx.step('s', () => { throw new Error('${SECRET}'); }, ${options}).catch((e) => setTimeout(() => { throw e; }));
  await ctx.waitForEvent('go');`), async (daemon) => {
  daemon.run('main');
  await daemon.exited;
  assert.match(daemon.stderr, /redacted/);
  assert.ok(!daemon.stderr.includes(SECRET));
}));

test('what else is asked for is refused', () => withHost(agent(`
  try { ctx.step('s', () => 1, { sensitive: true }); } catch (e) { return [e.code, e.message]; }`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value,
    ['invalid_step', 'sensitive of step "s" must be "output", not true']);
}));
