'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { agent, withHost } = require('./fake_daemon');

// say(word) notes what was executed; book(name) is a step that can be undone.
const HELPERS = `
const fs = require('fs');
const say = (word) => fs.appendFileSync(process.env.CELLAR_WORK_DIR + '/log', word + ' ');
const forever = (signal) => new Promise((_, no) => signal.addEventListener('abort', () => no(signal.reason)));
const book = (ctx, name, options) => ctx.step(name, () => { say(name); return { name }; },
  { rollback: (s, value) => { say('-' + value.name); }, ...options });
`;
const TRIP = HELPERS + agent(`
  await Promise.all([book(ctx, 'hotel'), book(ctx, 'car')]);
  await ctx.step('plain', () => say('plain'));
  await book(ctx, 'flight');
  await book(ctx, 'train', { retries: 0 }).then(() => { throw new RangeError('no seat'); });`);

function said(daemon) {
  const log = path.join(daemon.work, 'log');
  return fs.existsSync(log) ? fs.readFileSync(log, 'utf8').trim().split(' ') : [];
}

function forget(daemon) {
  fs.rmSync(path.join(daemon.work, 'log'), { force: true });
}

test('what was completed is undone when the method throws, the last one first', () =>
  withHost(TRIP, async (daemon) => {
    const ended = await daemon.ended('main');
    assert.deepEqual([ended.ok, ended.code, ended.rolled], [false, undefined, true]);
    const { name, message, rollback } = ended.value;
    assert.deepEqual([name, message], ['RangeError', 'no seat']);
    assert.deepEqual(rollback, { done: ['train', 'flight', 'car', 'hotel'] });
    assert.deepEqual(said(daemon),
      ['hotel', 'car', 'plain', 'flight', 'train', '-train', '-flight', '-car', '-hotel']);
    assert.deepEqual(daemon.of('cmd').slice(5).map((f) => [f.o, f.n]), [[7, 'rollback train'],
      [8, 'rollback flight'], [9, 'rollback car'], [10, 'rollback hotel']]);
    assert.deepEqual(daemon.of('rollback').map((f) => [f.o, f.n]), [[6, 'failed']]);
  }));

test('what setup() did is not undone once that has ended', () => withHost(`${HELPERS}
module.exports = {
  async setup(ctx) {
    await book(ctx, 'shared');
    if (fs.existsSync(process.env.CELLAR_WORK_DIR + '/fails')) throw new Error('setup');
  },
  async main(ctx) { await book(ctx, 'own'); throw new Error('main'); },
};`, async (daemon) => {
  const rollbackOf = async (id, replay) => {
    daemon.run('main', {}, { id, setup: true, replay });
    return (await daemon.next((f) => f.t === 'end' && f.run === id && (f.value = JSON.parse(f.body)))).value.rollback;
  };
  assert.deepEqual(await rollbackOf('run_1', []), { done: ['own'] });
  assert.deepEqual(said(daemon), ['shared', 'own', '-own']);
  const recorded = [[1, 'step', 'shared', '', 'ok', { name: 'shared' }], [2, 'setup', '', '', 'ok', null]];
  assert.deepEqual(await rollbackOf('run_2', recorded), { done: ['own'] });
  forget(daemon);
  fs.writeFileSync(path.join(daemon.work, 'fails'), '');
  assert.deepEqual(await rollbackOf('run_3', []), { done: ['shared'] });
  assert.deepEqual(said(daemon), ['shared', '-shared']);
}));

test('a method that completes undoes nothing', () => withHost(HELPERS + agent(`
  await book(ctx, 'hotel');
  await ctx.step('fails', () => { throw new Error('caught'); }).catch(() => 0);
  return 'stays';`), async (daemon) => {
  assert.equal((await daemon.ended('main')).value, 'stays');
  assert.deepEqual(said(daemon), ['hotel']);
}));

// Every place at which the process may end: what is recorded is not executed again.
async function endsAlikeFromEveryPlace(daemon, ended, first = 0) {
  const last = daemon.lsn;
  const whole = daemon.recorded();
  for (let lsn = first; lsn <= last; lsn += 1) {
    const id = `until_${lsn}`;
    const replay = daemon.recordedUntil(lsn, 'run_1');
    forget(daemon);
    daemon.run('main', {}, { id, replay, attempt: 2 });
    const again = await daemon.end(id);
    assert.deepEqual([again.ok, again.code, again.rolled, again.value.rollback],
      [false, ended.code, true, ended.value.rollback], id);
    const done = replay.filter((entry) => entry[4] === 'ok').map((entry) => entry[2]);
    const undone = whole.map((entry) => entry[2]).filter((n) => n.startsWith('rollback ') && !done.includes(n));
    assert.deepEqual(said(daemon).filter((word) => word.startsWith('-')),
      undone.map((n) => n.replace('rollback ', '-')), id);
  }
}

test('rolling back goes on where a crash ended it, and does nothing twice', () =>
  withHost(TRIP, async (daemon) => {
    await endsAlikeFromEveryPlace(daemon, await daemon.ended('main'));
  }));

// How methods end that a replay has to bring there again, and be it without them.
const ENDINGS = {
  'commands that throw': `await book(ctx, 'hotel', { onInterrupt: 'fail' });
    try { ctx.store.write('../x', 'y'); } catch { ctx.store.write('../x', 'y'); }`,
  'one command that throws': `await book(ctx, 'hotel'); ctx.store.write('../x', 'y');`,
  'a step that is begun': `await ctx.beginStep('turn'); await book(ctx, 'hotel'); throw new Error('x');`,
  'a step that nobody waits for': `await book(ctx, 'hotel'); ctx.step('lost', () => new Promise(() => 0));`,
};

for (const [what, body] of Object.entries(ENDINGS)) {
  test(`a crash ends no rollback of a method that ends with ${what}`, () =>
    withHost(HELPERS + agent(body), async (daemon) => {
      await endsAlikeFromEveryPlace(daemon, await daemon.ended('main'));
      assert.equal(daemon.of('rollback').filter((f) => f.run === 'run_1').length, 1);
      assert.deepEqual(daemon.of('mismatch'), []);
    }));
}

test('a method that does not fail again is not waited for', () => withHost(HELPERS + agent(`
  await book(ctx, 'hotel');
  if (!fs.existsSync(process.env.CELLAR_WORK_DIR + '/flag')) {
    fs.writeFileSync(process.env.CELLAR_WORK_DIR + '/flag', '');
    throw new Error('once');
  }
  await ctx.step('next', () => 1);`), async (daemon) => {
  const ended = await daemon.ended('main');
  await endsAlikeFromEveryPlace(daemon, ended, daemon.places.get('run_1 2')[0]);
  for (const { run } of daemon.of('end')) assert.equal((await daemon.end(run)).value.message, 'once');
}));

test('nothing is undone before it is on disk that the run rolls back', () => withHost(HELPERS + agent(`
  await book(ctx, 'hotel');
  throw new Error('original');`), async (daemon) => {
  daemon.keepsBegins = true;
  daemon.run('main');
  const { o } = await daemon.next('rollback');
  await daemon.idle();
  assert.deepEqual(said(daemon), ['hotel']);
  daemon.send({ t: 'began', run: 'run_1', o });
  assert.deepEqual((await daemon.end()).value.rollback, { done: ['hotel'] });
  forget(daemon);
  daemon.run('main', {}, { id: 'second' });
  await daemon.next((f) => f.t === 'rollback' && f.run === 'second');
  daemon.send({ t: 'cancel', run: 'second' });
  const { code, rolled, value } = await daemon.end('second');
  assert.deepEqual([code, rolled, value.message, value.rollback.done], ['canceled', true, 'original', []]);
  assert.deepEqual(said(daemon), ['hotel']);
}));

test('the end of a command is of no use behind the begin of the rollbacks', () => withHost(HELPERS + agent(`
  ctx.shellAsync('x');
  await book(ctx, 'hotel');
  await new Promise((resolve) => setTimeout(resolve, 1)); // While it waits for the command, too.
  throw new Error('original');`), async (daemon) => {
  const { value } = await daemon.ended('main');
  const [at] = daemon.places.get('run_1 3');
  const replay = daemon.recordedUntil(at, 'run_1');
  replay[0].splice(4, 3, 'ok', { exitCode: 0 }, [replay[0][6][0], at + 1]);
  daemon.run('main', {}, { id: 'again', replay, attempt: 2 });
  assert.deepEqual((await daemon.end('again')).value.rollback, value.rollback);
}));

const CANCELLED = HELPERS + agent(`
  try {
    await book(ctx, 'hotel');
    await Promise.all([book(ctx, 'car'), ctx.step('open', (s) => { say('open'); return forever(s.signal); },
      { rollback: () => say('-open') }), ctx.waitForEvent('go')]);
  } finally { say('cleaned'); }`);

test('a cancel with rollback interrupts what is under way, and undoes what was completed', () =>
  withHost(CANCELLED, async (daemon) => {
    daemon.run('main');
    await daemon.next((f) => f.t === 'done' && f.o === 2);
    await daemon.idle();
    daemon.send({ t: 'cancel', run: 'run_1', rollback: { grace: 60_000 } });
    const ended = await daemon.end();
    assert.deepEqual([ended.code, ended.rolled, ended.value.name, ended.value.rollback],
      ['canceled', true, 'CancelledError', { done: ['car', 'hotel'] }]);
    assert.deepEqual(said(daemon), ['hotel', 'car', 'open', 'cleaned', '-car', '-hotel']);
    // The same where the cancel finds no process: the next one only replays, and undoes that.
    const { lsn } = daemon;
    for (let until = 0; until <= lsn; until += 1) {
      const id = `until_${until}`;
      const replay = daemon.recordedUntil(until, 'run_1');
      const done = replay.filter(([, , n, , s]) => s === 'ok' && ['hotel', 'car'].includes(n))
        .map(([, , n]) => n).reverse();
      forget(daemon);
      daemon.run('main', {}, { id, replay, attempt: 2, cancel: 60_000 });
      const again = await daemon.end(id);
      assert.deepEqual([again.code, again.value.rollback],
        ['canceled', done.length > 0 ? { done } : undefined], id);
      // Nothing is begun again.
      assert.deepEqual(said(daemon).filter((word) => !word.startsWith('-') && word !== 'cleaned'), [], id);
    }
  }));

test('rollbacks do not wait for a method beyond its grace time, and none is left out', () =>
  withHost(HELPERS + agent(`
    await book(ctx, 'hotel');
    try { await ctx.waitForEvent('go'); } finally { await new Promise(() => setInterval(() => 0, 1e6)); }`),
  async (daemon) => {
    daemon.run('main');
    await daemon.next((f) => f.k === 'wait');
    daemon.send({ t: 'cancel', run: 'run_1', rollback: { grace: 1 } });
    assert.deepEqual((await daemon.end()).value.rollback, { done: ['hotel'] });
  }));

test('a rollback is tried again as its step says; one that fails ends them all', () =>
  withHost(HELPERS + agent(`
    const undo = async (s) => { say('u' + s.attempt); if (s.attempt < 3) throw new Error('not yet'); };
    const retries = { maxAttempts: 3, delay: 1 };
    await book(ctx, 'first');
    await ctx.step('never', () => 1, { rollback: () => { throw new TypeError('gone'); } });
    await ctx.step('third', () => 1, { rollback: undo, retries });
    throw new Error('original');`), async (daemon) => {
    const ended = await daemon.ended('main');
    const { message, rollback } = ended.value;
    assert.deepEqual([ended.rolled, message, rollback.done, rollback.failed.name, rollback.not_run],
      [false, 'original', ['third'], 'never', ['first']]);
    assert.deepEqual([rollback.failed.error.name, rollback.failed.error.message], ['TypeError', 'gone']);
    assert.deepEqual(said(daemon), ['first', 'u1', 'u2', 'u3']);
    forget(daemon);
    daemon.run('main', {}, { id: 'again', replay: daemon.recorded() });
    assert.deepEqual((await daemon.end('again')).value.rollback.not_run, ['first']);
    assert.deepEqual(said(daemon), []);
  }));

test('the key of a rollback is that of the step it undoes, and no step was executed with it', () =>
  withHost(HELPERS + agent(`
    const keyed = (name) => ctx.step(name, (s) => say(s.idempotencyKey), { retries: { maxAttempts: 2, delay: 1 },
      rollback: (s) => { say(s.idempotencyKey); if (s.attempt === 1) throw new Error('again'); } });
    await keyed('hotel');
    await Promise.all(['car', 'train', 'ship'].map(keyed));
    await ctx.waitForEvent('go');`), async (daemon) => {
    daemon.run('main');
    await daemon.next((f) => f.k === 'wait');
    const steps = ['run_1-1', 'run_1-2', 'run_1-3', 'run_1-4'];
    assert.deepEqual(said(daemon), steps);
    // Of these the first one is on disk when all dies: the rollback has the place of the third.
    const hotel = [1, 'step', 'hotel', '', 'ok', null];
    daemon.run('main', {}, { replay: [hotel], attempt: 2, cancel: 60_000 });
    assert.deepEqual((await daemon.end()).value.rollback, { done: ['hotel'] });
    const key = 'run_1-1-rollback';
    assert.deepEqual(daemon.of('cmd').filter((f) => f.a === 2).map((f) => [f.o, f.n]), [[3, 'rollback hotel']]);
    assert.deepEqual(said(daemon), [...steps, key, key]);
    const marker = [2, 'rollback', 'cancelled', '', 'ok', { name: 'CancelledError', message: '' }];
    const open = [3, 'step', 'rollback hotel', '', 'open', undefined, [6, 0], { tries: 1 }];
    daemon.run('main', {}, { replay: [hotel, marker, open], attempt: 3 });
    await daemon.next((f) => f.t === 'end' && f.a === 3);
    assert.deepEqual(said(daemon), [...steps, key, key, key]);
  }));

test('a cancel without rollback ends the rollbacks', () => withHost(HELPERS + agent(`
  await book(ctx, 'first');
  await ctx.step('held', () => 1, { rollback: (s) => { say('held'); return forever(s.signal); } });
  throw new Error('original');`), async (daemon) => {
  daemon.run('main');
  await daemon.next((f) => f.n === 'rollback held');
  await daemon.idle();
  daemon.send({ t: 'cancel', run: 'run_1' });
  const ended = await daemon.end();
  assert.deepEqual([ended.code, ended.value.rollback.done, ended.value.rollback.not_run],
    ['canceled', [], ['first']]);
  assert.deepEqual(said(daemon), ['first', 'held']);
}));

test('ctx works in a rollback, and not in what the method left', () => withHost(HELPERS + agent(`
  let late;
  await ctx.step('s', () => 1, { rollback: async (s, value) => {
    await late.catch((error) => say(error.message));
    ctx.db.set('undone', [value, s.name, s.signal.aborted, ctx.signal.aborted]);
    await ctx.step('nested', () => 1).catch((error) => say(error.code));
  } });
  ctx.step('open', async (s) => {
    late = new Promise((yes, no) => s.signal.addEventListener('abort', () => no(new Error('told'))));
    await late.catch(() => 0);
    await ctx.step('more', () => 1).catch(() => 0);
    ctx.db.set('never', 1);
  }).catch(() => 0);
  throw new Error('original');`), async (daemon) => {
  daemon.answer = () => null;
  const ended = await daemon.ended('main');
  assert.deepEqual(ended.value.rollback, { done: ['s'] });
  assert.deepEqual(daemon.of('call').map((f) => [f.o, JSON.parse(f.body)]),
    [[0, { key: 'undone', value: [1, 'rollback s', false, true] }]]);
  assert.deepEqual(said(daemon), ['told', 'nested_step']);
}));

test('a version is tried with a run that was rolled back', async () => {
  let replay;
  await withHost(TRIP, async (daemon) => {
    await daemon.ended('main');
    replay = daemon.recorded();
  });
  const cases = [[TRIP, true], [TRIP.replace(`'flight'`, `'FLIGHT'`), /FLIGHT/],
    [TRIP.replace(`throw new RangeError('no seat')`, 'return 1'), /before it has done/],
    [TRIP.replace(`book(ctx, 'car')`, `ctx.step('car', () => 1)`), /rollback/]];
  for (const [source, expected] of cases) {
    await withHost(source, async (daemon) => {
      daemon.run('main', {}, { id: 'trial', replay, trial: true });
      const told = await daemon.next((f) => f.t === 'trial' || f.t === 'mismatch');
      assert.equal(told.t === 'trial' && told.ok, expected === true, told.body);
      if (expected !== true) assert.match(told.body.toString(), expected);
      assert.deepEqual(said(daemon), []);
    });
  }
});

test('of very many rollbacks the first thousand are told', () => withHost(agent(`
  for (let i = 0; i < 1002; i += 1) await ctx.step('s' + i, () => 1, { rollback: () => 1 });
  throw new Error('original');`), async (daemon) => {
  const { done } = (await daemon.ended('main')).value.rollback;
  assert.deepEqual([done.length, done[0], done[999], done[1000]], [1001, 's1001', 's2', '… and 2 more']);
}));

test('what is no rollback is refused', () => withHost(agent(`
  try { ctx.step('s', () => 1, { rollback: 'undo' }); } catch (e) { return [e.code, e.message]; }`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value,
    ['invalid_step', 'the rollback of step "s" must be a function (s, value)']);
}));

test('a value that cannot be read is the error of its rollback, and no other is left out for it', () => withHost(
  HELPERS + agent(`
  await book(ctx, 'hotel');
  await book(ctx, 'flight').catch(() => 0);
  await book(ctx, 'car');
  throw new Error('no');`), async (daemon) => {
    const later = { $: 'Later', v: 1 };
    daemon.run('main', {}, { replay: [[1, 'step', 'hotel', '', 'ok', { name: 'hotel' }],
      [2, 'step', 'flight', '', 'ok', later, undefined, { c: 'typed' }]] });
    const { value: { message, rollback }, rolled } = await daemon.end();
    assert.deepEqual([message, rolled], ['no', false]);
    assert.deepEqual([rollback.done, rollback.failed.name, rollback.failed.error.code, rollback.not_run],
      [['car'], 'flight', 'not_serialisable', ['hotel']]);
    assert.deepEqual(said(daemon), ['car', '-car']);
  }));
