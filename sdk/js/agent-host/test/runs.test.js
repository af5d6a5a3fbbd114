'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { encode } = require('../frames');
const { agent, withHost } = require('./fake_daemon');

test('the first frame says which protocol and which Node this is', () =>
  withHost('', async (daemon) => {
    const { v, node } = daemon.frames[0];
    assert.deepEqual([v, node], [1, process.version]);
  }));

test('a result is given only when it is on disk', () => withHost(agent(`
  const value = await ctx.step('one', () => 1);
  ctx.stream({ saw: value });
  return value;`), async (daemon) => {
  daemon.keepsAcks = true;
  daemon.run('main');
  const done = await daemon.next('done');
  await daemon.idle(); // It has had every chance to go on.
  assert.deepEqual(daemon.of('event'), []);
  daemon.send({ t: 'ack', run: 'run_1', o: done.o });
  assert.equal((await daemon.end()).value, 1);
}));

test('ordinals are taken at the call, in whatever order things end', () => withHost(agent(`
  return Promise.all(['c', 'b', 'a'].map((name) => ctx.step(name, () => name)));`),
async (daemon) => {
  daemon.keepsAcks = true;
  daemon.run('main');
  await daemon.next((f) => f.t === 'done' && f.o === 3);
  assert.deepEqual(daemon.of('cmd').map((f) => [f.o, f.n]), [[1, 'c'], [2, 'b'], [3, 'a']]);
  for (const o of [3, 1, 2]) daemon.send({ t: 'ack', run: 'run_1', o });
  assert.deepEqual((await daemon.end()).value, ['c', 'b', 'a']);
}));

test('a step retries, has a limit of time, and a key of its own for all attempts', () =>
  withHost(agent(`
    const keys = [];
    const flaky = () => ctx.step('flaky', { retries: 2 }, ({ attempt, idempotencyKey }) => {
      keys.push(idempotencyKey);
      if (attempt < 3) throw new Error('again');
      return attempt;
    });
    const values = [await flaky(), await flaky()];
    let aborted;
    const slow = ({ signal }) => new Promise(() => {
      signal.addEventListener('abort', () => { aborted = signal.reason.code; });
    });
    const late = await ctx.step('slow', slow, { timeout: 5 }).catch((e) => e.code);
    const all = await ctx.step('all', () => { throw new Error('never'); }, { retries: 1 })
      .catch((e) => e.message);
    return [values, keys.length, new Set(keys).size, late, aborted, all];`), async (daemon) => {
    assert.deepEqual((await daemon.ended('main')).value,
      [[3, 3], 6, 2, 'step_timeout', 'step_timeout', 'never']);
  }));

test('a step inside a step is refused, all else in a step is part of it', () => withHost(agent(`
  return ctx.step('outer', async () => {
    const nested = await ctx.step('inner', () => 1).catch((e) => [e.code, e.message]);
    ctx.stream('inside');
    ctx.log('inside');
    await ctx.sleep(1);
    return [nested, typeof ctx.now(), typeof ctx.random(), ctx.uuid().length, ctx.db.get('k'),
      ctx.shell('a'), await ctx.shellAsync('b')];
  });`), async (daemon) => {
  daemon.answer = (op) => op;
  const { value } = await daemon.ended('main');
  assert.equal(value[0][0], 'nested_step');
  assert.match(value[0][1], /step "inner" is inside another step/);
  assert.deepEqual(value.slice(1), ['number', 'number', 36, 'db.get', 'shell', 'shell']);
  const inside = daemon.of('event', 'call', 'cmd', 'value').slice(1);
  assert.deepEqual(inside.map((f) => [f.t, f.o]),
    [['event', 0], ['event', 0], ['call', 0], ['cmd', 0], ['cmd', 0]]);
}));

// ---- cancelling ----

test('cancelling aborts the signal, rejects what waits and refuses what follows', () =>
  withHost(agent(`
    const seen = [];
    ctx.signal.addEventListener('abort', () => seen.push('aborted ' + ctx.signal.reason.code));
    const waits = [ctx.sleep(1e6), ctx.shellAsync('x'), ctx.step('s', () => new Promise(() => {}))];
    for (const { reason } of await Promise.allSettled(waits)) seen.push(reason.name);
    const follows = [() => ctx.now(), () => ctx.db.get('k'), () => ctx.shell('x'),
      () => ctx.log(''), () => ctx.store.list(), () => ctx.step('t', () => 1),
      () => ctx.fetch('http://127.0.0.1/')];
    for (const call of follows) { try { await call(); } catch (e) { seen.push(e.code); } }
    return seen;`), async (daemon) => {
    daemon.run('main');
    await daemon.next((f) => f.n === 's');
    const before = daemon.frames.length;
    daemon.send({ t: 'cancel', run: 'run_1' });
    assert.deepEqual((await daemon.end()).value,
      ['aborted canceled', ...Array(3).fill('CancelledError'), ...Array(7).fill('canceled')]);
    assert.equal(daemon.frames.length, before + 1);
  }));

test('the signal of a step says so whenever it is asked for', () => withHost(agent(`
  let handle;
  const seen = [];
  const again = ctx.step('s', (s) => { handle = s; return new Promise(() => {}); });
  await again.catch(() => seen.push(handle.signal.aborted, handle.signal.reason.code));
  return [...seen, handle.signal === handle.signal];`), async (daemon) => {
  daemon.run('main');
  await daemon.next('cmd');
  daemon.send({ t: 'cancel', run: 'run_1' });
  assert.deepEqual((await daemon.end()).value, [true, 'canceled', true]);
}));

test('a cancelled run that lets go ends as one', () => withHost(agent('await ctx.sleep(1e6);'),
  async (daemon) => {
    daemon.run('main');
    await daemon.next('cmd');
    daemon.send({ t: 'cancel', run: 'run_1' });
    const { ok, code, value } = await daemon.end();
    assert.deepEqual([ok, code, value.name], [false, 'canceled', 'CancelledError']);
  }));

test('a step whose result is not acknowledged yet is rejected by a cancel', () => withHost(agent(`
  return ctx.step('s', () => 1).catch((e) => e.code);`), async (daemon) => {
  daemon.keepsAcks = true;
  daemon.run('main');
  await daemon.next('done');
  daemon.send({ t: 'cancel', run: 'run_1' });
  assert.equal((await daemon.end()).value, 'canceled');
}));

test('a synchronous command that was cancelled cancels, before the frame is read', () =>
  withHost(agent(`
    try { ctx.shell('long'); } catch (e) { return [e.code, ctx.signal.aborted]; }`),
  async (daemon) => {
    daemon.run('main');
    const command = await daemon.next('cmd');
    daemon.reply(command, Object.assign(new Error('cancelled'), { code: 'canceled' }));
    assert.deepEqual((await daemon.end()).value, ['canceled', true]);
  }));

test('output without an end is written whole, and a cancel gets through it', () => withHost(agent(`
  for (;;) {
    console.log('x'.repeat(10_000));
    ctx.stream('y'.repeat(10_000));
    await new Promise(setImmediate);
  }`), async (daemon) => {
  daemon.run('main');
  let frames = 0;
  await daemon.next(() => (frames += 1) > 100 && daemon.stdoutBytes > 1_000_000);
  daemon.send({ t: 'cancel', run: 'run_1' });
  assert.equal((await daemon.end()).code, 'canceled');
  assert.ok(daemon.of('event').every((f) => f.body.length === 10_002));
}));

// ---- more than one run, and what comes after one ----

test('two runs at once keep to themselves', () => withHost(agent(`
  const first = await ctx.step('a-' + params.n, () => params.n);
  await ctx.sleep(1);
  return [first, ctx.run.id];`), async (daemon) => {
  daemon.run('main', { n: 1 }, { id: 'r1' });
  daemon.run('main', { n: 2 }, { id: 'r2' });
  const asleep = (id) => daemon.next((f) => f.run === id && f.k === 'sleep');
  const [one, two] = [await asleep('r1'), await asleep('r2')];
  assert.equal(one.o, two.o); // It is the run that tells them apart.
  daemon.reply(two, null);
  daemon.reply(one, null);
  assert.deepEqual([(await daemon.end('r1')).value, (await daemon.end('r2')).value],
    [[1, 'r1'], [2, 'r2']]);
}));

test('cancelling one run leaves the other alone', () => withHost(agent(
  'await ctx.sleep(1e6); return ctx.run.id;'), async (daemon) => {
  daemon.run('main', {}, { id: 'r1' });
  daemon.run('main', {}, { id: 'r2' });
  await daemon.next((f) => f.run === 'r2' && f.t === 'cmd');
  daemon.send({ t: 'cancel', run: 'r1' });
  assert.equal((await daemon.end('r1')).code, 'canceled');
  daemon.reply(daemon.of('cmd').find((f) => f.run === 'r2'), null);
  assert.equal((await daemon.end('r2')).value, 'r2');
}));

test('a run that is over does nothing more, also what it left unawaited', () => withHost(agent(`
  ctx.step('left', async () => { await new Promise(setImmediate); ctx.db.get('late'); })
    .catch(() => 0);
  setTimeout(() => ctx.shell('late'), 0);
  setTimeout(() => ctx.stream('late'), 0);
  Promise.resolve().then(() => setImmediate(() => ctx.step('late', () => 1)));
  return 1;`), async (daemon) => {
  assert.equal((await daemon.ended('main')).value, 1);
  await daemon.idle();
  await daemon.idle();
  assert.deepEqual(daemon.types().filter((t) => t !== 'pong'), ['hello', 'cmd', 'end']);
}));

test('a forgotten run never settles, and its next attempt is not mistaken for it', () =>
  withHost(agent('const got = await ctx.shellAsync("x"); return got;'), async (daemon) => {
    daemon.run('main');
    const first = await daemon.next('cmd');
    daemon.send({ t: 'forget', run: 'run_1' });
    daemon.run('main', {}, { attempt: 2, replay: [[1, 'shell', 'x', first.fp, 'open']] });
    const second = await daemon.next((f) => f.t === 'cmd' && f !== first);
    daemon.reply(first, 'of the first attempt');
    daemon.reply(second, 'of the second attempt');
    assert.equal((await daemon.end()).value, 'of the second attempt');
    await daemon.idle();
    assert.equal(daemon.of('end').length, 1);
  }));

// How an attempt is told that its run goes on elsewhere.
const LEFT = {
  'a run that is forgotten': (daemon) => daemon.send({ t: 'forget', run: 'run_1' }),
  'a run whose next attempt is here': (daemon) => daemon.run('idles', {}, { attempt: 2 }),
};
const SAYS = `
const fs = require('fs');
const say = (...words) => fs.appendFileSync(process.env.CELLAR_WORK_DIR + '/log', words.join(' ') + '\\n');
`;
const idles = 'module.exports.idles = async (ctx) => { await ctx.waitForEvent("never"); };';

function said(daemon) {
  return fs.readFileSync(path.join(daemon.work, 'log'), 'utf8').trim().split('\n');
}

for (const [what, leave] of Object.entries(LEFT)) {
  test(`what goes on in ${what} is told to stop, and nothing of it settles`, () => withHost(SAYS + agent(`
    ctx.signal.addEventListener('abort', () => say('run', ctx.signal.reason.code));
    const step = (name, options) => ctx.step(name, (s) => new Promise((resolve, reject) => {
      s.signal.addEventListener('abort', () => {
        say(name, s.signal.reason.message);
        reject(new Error('stopped'));
      });
    }), options).finally(() => say(name, 'settled'));
    const pauses = ctx.step('pause', () => ctx.sleep('1h').catch((e) => say('pause', e.code)));
    const waits = [step('only'), step('retried', { retries: { maxAttempts: 9, delay: 1 } }),
      step('limited', { timeout: '1h' }), pauses, ctx.sleep('1h')];
    try { await Promise.race(waits); } finally { say('never'); }`) + idles, async (daemon) => {
    daemon.run('main');
    await daemon.next((f) => f.k === 'sleep');
    leave(daemon);
    await daemon.idle();
    await daemon.idle();
    const told = ['only', 'retried', 'limited'].map((name) => `${name} the run goes on elsewhere`);
    assert.deepEqual(said(daemon).sort(), [...told, 'pause canceled', 'run canceled'].sort());
    assert.deepEqual(daemon.of('done', 'failed', 'end'), []);
    assert.equal(daemon.stderr, '');
  }));
}

test('what goes on is told to stop where the run leaves by itself, too', () => withHost(SAYS + agent(`
  const open = ctx.step('open', (s) => new Promise(() => {
    s.signal.addEventListener('abort', () => say(params.way, s.signal.reason.message));
    ctx.stream(s.attempt);
  }));
  open.catch(() => say('settled'));
  if (params.way === 'continues') await ctx.continueAs(1);
  ctx.db.get('k');`), async (daemon) => {
  const ways = {
    continues: () => daemon.next('continue'),
    differs: () => daemon.next('mismatch'),
    is_paused: async () => {
      await daemon.next('call');
      daemon.up.write(encode({ t: 'result', ok: false, left: true }, '{}'));
    },
  };
  for (const [way, leaves] of Object.entries(ways)) {
    const other = [[1, 'step', 'open', '', 'open', undefined, [1, 0]], [2, 'db.get', 'other', '', 'ok', 1]];
    daemon.run('main', { way }, { id: way, replay: way === 'differs' ? other : [] });
    await leaves();
    await daemon.idle();
  }
  assert.deepEqual(said(daemon), Object.keys(ways).map((way) => `${way} the run goes on elsewhere`));
}));

test('what fails as it is told to stop hurts no other run', () => withHost(SAYS + agent(`
  const timers = require('timers/promises');
  const left = new Promise((resolve, reject) => { setTimeout(resolve, 60_000); timers.setTimeout(60_000, 0, { signal: ctx.signal }); });
  await ctx.step('held', (s) => {
    s.signal.addEventListener('abort', () => { throw new Error('listener'); });
    s.signal.addEventListener('abort', async () => { throw new Error('async listener'); });
    s.signal.addEventListener('abort', () => ctx.log('stopped'));
    new Promise((resolve, reject) => s.signal.addEventListener('abort', () => reject(new Error('nobody waits'))));
    s.signal.addEventListener('abort', () => say('told'));
    return left;
  });`) + idles, async (daemon) => {
  daemon.run('idles', {}, { id: 'other' });
  daemon.run('main');
  await daemon.next((f) => f.k === 'step');
  daemon.send({ t: 'forget', run: 'run_1' });
  await daemon.idle();
  daemon.reply(await daemon.next((f) => f.run === 'other'), null);
  assert.equal((await daemon.end('other')).ok, true);
  assert.deepEqual(said(daemon), ['told']);
  for (const shown of ['listener', 'async listener', 'nobody waits']) assert.match(daemon.stderr, new RegExp(`^Error: ${shown}`, 'm'));
  assert.doesNotMatch(daemon.stderr, /AbortError/);
}));

test('a run that was paused while a synchronous call waits tells its code nothing', () =>
  withHost(agent(`
    ctx.step('s', () => new Promise(() => {})).catch((e) => process._rawDebug('told', e.code));
    try { ctx.db.get('k'); } finally { ctx.db.get('again'); }`),
  async (daemon) => {
    daemon.run('main');
    await daemon.next('call');
    const error = { name: 'CancelledError', message: 'the run goes on elsewhere', code: 'canceled' };
    daemon.up.write(encode({ t: 'result', ok: false, left: true }, JSON.stringify(error)));
    await daemon.idle();
    assert.deepEqual(daemon.types().filter((t) => t !== 'pong'), ['hello', 'cmd', 'call']);
    assert.equal(daemon.stderr, '');
  }));

test('what ended before the code came to it keeps its place', () => withHost(agent(`
  const seen = [];
  const slow = ctx.shellAsync('a').then(() => seen.push('shell'));
  await ctx.step('first', () => new Promise((resolve) => { setImmediate(resolve); }));
  const wait = ctx.sleep(1).then(() => seen.push('sleep'));
  await Promise.all([slow, wait]);
  return seen;`), async (daemon) => {
  daemon.run('main');
  await daemon.next((f) => f.k === 'sleep');
  const [shell, , sleep] = daemon.of('cmd');
  const open = ({ o, k, n, fp }, at) => [o, k, n, fp, 'open', undefined, [at, at]];
  const replay = [open(shell, 1), [2, 'step', 'first', '', 'ok', null, [2, 3]], open(sleep, 4)];
  daemon.send({ t: 'forget', run: 'run_1' });
  // The sleep has ended by the time that the agent is there, and the command ends after it.
  daemon.run('main', {}, { attempt: 2, replay });
  daemon.reply({ ...sleep, a: 2 }, null);
  daemon.reply({ ...shell, a: 2 }, null);
  assert.deepEqual((await daemon.end()).value, ['sleep', 'shell']);
}));

test('what the daemon cannot read is refused where it is said', () => withHost(agent(`
  const deep = (levels) => (levels === 0 ? 'x]' : [deep(levels - 1)]);
  const codes = [];
  const attempt = async (call) => { codes.push(await (async () => call())().catch((e) => e.code)); };
  await attempt(() => ctx.stream(deep(61)));
  await attempt(() => ctx.stream('x'.repeat(2 ** 20)));
  await attempt(() => ctx.approve('a', { data: deep(61) }));
  await attempt(() => ctx.spawn('m', deep(61)));
  await attempt(() => ctx.step('s', (s) => s.progress(deep(61))));
  await attempt(async () => JSON.stringify(await ctx.step('kept', () => deep(200))).length);
  ctx.stream(deep(60));
  return params.deep ? deep(61) : codes;`), async (daemon) => {
  const codes = ['not_serialisable', 'too_large', 'not_serialisable', 'not_serialisable',
    'not_serialisable', 404];
  assert.deepEqual((await daemon.ended('main')).value, codes);
  const failed = await daemon.ended('main', { deep: true }, 'deep');
  assert.deepEqual([failed.ok, failed.value.code], [false, 'not_serialisable']);
}));

// ---- how the process ends ----

test('an error that nobody catches ends the process with its stack', async () => {
  const sleeps = (stray) => agent(`${stray} await ctx.sleep(1e6);`);
  const strays = [sleeps('setTimeout(() => { throw new Error("stray"); }, 0);'),
    `Promise.reject(new Error("stray")); ${sleeps('')}`];
  for (const source of strays) {
    await withHost(source, async (daemon) => {
      daemon.run('main');
      assert.equal(await daemon.exited, 70);
      assert.match(daemon.stderr, /^Error: stray\n +at .*agent\.js/);
    });
  }
});

test('an agent that calls process.exit is told of, with the place', () => withHost(
  agent("await ctx.step('a', () => 1);\n  const leaves = (n) => (n ? leaves(n - 1) : process.exit(7));\n  leaves(9);"), async (daemon) => {
    daemon.run('main');
    assert.equal(await daemon.exited, 7);
    await new Promise(setImmediate);
    assert.match(daemon.stderr, /^the agent called process\.exit\(7\)\n(?: +at leaves \(.*agent\.js:2:.*\n){4}$/);
  }));

test('the process ends when the daemon says so, or is gone', async () => {
  const ways = [[(daemon) => daemon.send({ t: 'stop' }), 0], [(daemon) => daemon.down.destroy(), 'SIGKILL'],
    [(daemon) => { daemon.up.destroy(); daemon.down.destroy(); }, 'SIGKILL']];
  for (const [way, end] of ways) {
    await withHost(agent('await ctx.sleep(1e6);'), async (daemon) => {
      daemon.run('main');
      await daemon.next('cmd');
      way(daemon);
      assert.equal(await daemon.exited, end);
      assert.equal(daemon.stderr, '');
    });
  }
  await withHost(agent('ctx.db.get("k");'), async (daemon) => {
    daemon.run('main');
    await daemon.next('call');
    daemon.up.destroy(); // It waits for an answer.
    assert.equal(await daemon.exited, 'SIGKILL');
  });
});

test('the ctx and the begun steps of another run are refused', () => withHost(`
  let saved;
  let begun;
  module.exports = {
    async first(ctx) { saved = ctx; begun = await ctx.beginStep('turn'); await ctx.waitForEvent('go'); },
    async second(ctx) {
      const codes = [];
      for (const call of [() => saved.step('s', () => 1), () => saved.now(), () => saved.log('x'), () => ctx.completeStep(begun, 1)]) {
        try {
          await call();
        } catch ({ code }) {
          codes.push(code);
        }
      }
      return codes;
    },
  };`, async (daemon) => {
  daemon.run('first');
  await daemon.next(({ k }) => k === 'wait');
  const said = daemon.frames.length;
  daemon.run('second', {}, { id: 'run_2' });
  assert.deepEqual((await daemon.end('run_2')).value, ['foreign_run', 'foreign_run', 'foreign_run', 'invalid_step']);
  assert.deepEqual(daemon.frames.slice(said).map(({ t }) => t), ['end']);
}));

test('a method that catches all and tries again is undone when it is cancelled', () => withHost(agent(`
  await ctx.step('a', () => 1, { rollback: () => {} });
  for (;;) {
    try {
      await ctx.waitForEvent('job');
    } catch {} // Nothing is looked at.
  }`), async (daemon) => {
  daemon.run('main');
  await daemon.next(({ k }) => k === 'wait');
  daemon.send({ t: 'cancel', run: 'run_1', rollback: { grace: 50 } });
  const { ok, rolled, body } = await daemon.next('end');
  assert.deepEqual([ok, rolled, JSON.parse(body).rollback], [false, true, { done: ['a'] }]);
}));

test('what cannot be looked at may be thrown, and ends its run alone', () => withHost(agent(`
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  throw proxy;`), async (daemon) => {
  daemon.run('main');
  assert.equal((await daemon.next('end')).ok, false);
  await daemon.idle();
}));

test('code that has put other timers in their places is replayed', () => withHost(agent(`
  globalThis.setImmediate = globalThis.setTimeout = () => {};
  return [await ctx.step('a', () => 1), await ctx.step('b', () => 2)];`), async (daemon) => {
  const first = await daemon.ended('main');
  daemon.run('main', {}, { id: 'again', replay: daemon.recorded() });
  assert.deepEqual(await daemon.end('again'), first);
}));
