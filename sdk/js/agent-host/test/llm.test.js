'use strict';
const assert = require('node:assert');
const { test } = require('node:test');
const { agent, withHost } = require('./fake_daemon');

const CHAT = agent(`
  const heard = [];
  const reply = await ctx.llm.chat({ messages: [{ role: 'user', content: 'hi' }], model: 'small',
    timeout: params.timeout, retries: 2, onToken: (text) => {
      heard.push(text); ctx.stream(text); if (params.fails) throw new Error('not mine');
    } });
  return [reply.content, heard];`);
const REPLY = { content: 'ab', tool_calls: [], finish_reason: 'stop', usage: {}, model: 'small' };

const asked = (daemon) => daemon.next((frame) => frame.t === 'cmd' && frame.k === 'llm');
const delta = (daemon, { o, x }, text) =>
  daemon.send({ t: 'delta', run: 'run_1', o, x }, JSON.stringify(text));

test('a model is asked by the daemon, told piece by piece, and not again on replay', async () => {
  let replay;
  await withHost(CHAT, async (daemon) => {
    daemon.run('main', { timeout: { attempt: '2s', total: 9000, firstByte: '1s' } });
    const frame = await asked(daemon);
    assert.deepEqual([frame.n, JSON.parse(frame.body)], ['chat small', {
      messages: [{ role: 'user', content: 'hi' }], model: 'small', timeout_ms: 2000,
      total_ms: 9000, first_byte_ms: 1000, retries: 2, on_token: true,
    }]);
    delta(daemon, frame, 'a');
    delta(daemon, frame, 'b');
    await daemon.idle();
    daemon.reply(frame, REPLY);
    assert.deepEqual((await daemon.end()).value, ['ab', ['a', 'b']]);
    assert.deepEqual(daemon.of('event').map(({ o, body }) => [o, JSON.parse(body)]), [[0, 'a'], [0, 'b']]);
    replay = daemon.recorded();
  });
  await withHost(CHAT, async (daemon) => { // Another timeout is the same call.
    daemon.run('main', { timeout: '1m' }, { replay });
    assert.deepEqual((await daemon.end()).value, ['ab', []]);
    assert.deepEqual(daemon.types(), ['hello', 'end']);
  });
});

test('what onToken throws is shown, and changes nothing', () => withHost(CHAT, async (daemon) => {
  daemon.run('main', { fails: true });
  const frame = await asked(daemon);
  delta(daemon, frame, 'a');
  await daemon.idle();
  daemon.reply(frame, REPLY);
  assert.deepEqual((await daemon.end()).value, ['ab', ['a']]);
  assert.match(daemon.stderr, /not mine/);
}));

test('the error of a call is what it was, and wrong options are refused', () => withHost(agent(`
  const code = (options) => ctx.llm.chat(options).catch((e) => [e.code, e instanceof ctx.errors.NonRetryableError]);
  return [await code({ messages: [] }), await code(7), await code({ onToken: 1 }), await code({ name: '' }),
    await code({ timeout: { soon: 1 } })];`), async (daemon) => {
  daemon.run('main');
  daemon.reply(await asked(daemon), Object.assign(new Error('no'), { name: 'NonRetryableError', code: 'llm_401' }));
  const wrong = ['invalid_llm_request', false];
  assert.deepEqual((await daemon.end()).value, [['llm_401', true], wrong, wrong, wrong, wrong]);
  assert.equal(daemon.of('cmd').length, 1);
}));

test('inside a step it is part of that', () => withHost(agent(`
  return ctx.step('s', async () => (await ctx.llm.chat({ messages: [] })).content);`), async (daemon) => {
  daemon.run('main');
  const frame = await asked(daemon);
  assert.equal(frame.o, 0);
  daemon.reply(frame, REPLY);
  assert.equal((await daemon.end()).value, 'ab');
}));
