'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { encode } = require('../frames');
const { agent, withHost } = require('./fake_daemon');

const EVERYTHING = agent(`
  ctx.stream({ begin: 1 });
  ctx.log('begins');
  const { store, db } = ctx;
  const bytes = () => [...store.read('bytes', { encoding: null })];
  const files = [store.write('f', 'written'), store.write('bytes', Buffer.from([0, 255])), bytes(),
    store.read('f'), store.read('none'), store.exists('f'), store.list(), store.delete('f')];
  const chance = [ctx.now(), ctx.random(), ctx.uuid()];
  const asked = [db.set('k', 1), db.get('k'), db.delete('k'), db.keys(), ctx.search.query('q'),
    ctx.search.index('p', 't'), ctx.journal.step('a', 'b'), ctx.journal.entries(),
    ctx.journal.clear()];
  const commands = [ctx.shell('a'), await ctx.shellAsync('b'), await ctx.sleep(1)];
  const steps = await Promise.all([ctx.step('one', async () => ({ deep: [1, new Date(0)] })),
    ctx.step('two', () => undefined), ctx.step('random', () => Math.random())]);
  return { files, chance, asked, commands, steps };`);

test('a replay gives the same result, says nothing and does nothing', async () => {
  let first;
  let replay;
  await withHost(EVERYTHING, async (daemon) => {
    daemon.answer = (op) => ({ from: op });
    first = await daemon.ended('main');
    assert.equal(first.ok, true);
    assert.deepEqual(first.value.steps.slice(0, 2),
      [{ deep: [1, '1970-01-01T00:00:00.000Z'] }, null]);
    replay = daemon.recorded();
    assert.equal(replay.length, 28);
  });
  await withHost(EVERYTHING, async (daemon) => {
    daemon.run('main', {}, { replay, attempt: 2 });
    assert.deepEqual(await daemon.end(), first);
    assert.deepEqual(daemon.types(), ['hello', 'end']);
    assert.deepEqual(fs.readdirSync(daemon.work), []); // What was written is not written again.
  });
});

test('a run knows whether it is replaying: until it has all that is recorded, and not inside of a step', () => withHost(agent(`
  const seen = [ctx.run.isReplaying];
  ctx.now();
  seen.push(ctx.run.isReplaying);
  for (const name of 'ab') {
    await ctx.step(name, () => { seen.push(name + ctx.run.isReplaying); });
    seen.push(ctx.run.isReplaying);
  }
  return seen;`), async (daemon) => {
  const seen = async (id, replay) => {
    daemon.run('main', {}, { id, replay });
    return (await daemon.end(id)).value;
  };
  assert.deepEqual(await seen('live', []), [false, false, 'afalse', false, 'bfalse', false]);
  const [now, a, b] = daemon.recorded('live');
  const open = [...a.slice(0, 4), 'open', undefined, [4, 0]];
  assert.deepEqual(await seen('one', [now]), [true, false, 'afalse', false, 'bfalse', false]);
  assert.deepEqual(await seen('open', [now, open]), [true, true, 'afalse', false, 'bfalse', false]);
  assert.deepEqual(await seen('two', [now, a]), [true, true, false, 'bfalse', false]);
  assert.deepEqual(await seen('all', [now, a, b]), [true, true, true, false]);
}));

test('a replay that ends anywhere goes on from there', async () => {
  let replay;
  await withHost(EVERYTHING, async (daemon) => {
    daemon.answer = (op) => ({ from: op });
    await daemon.ended('main');
    replay = daemon.recorded();
  });
  await withHost(EVERYTHING, async (daemon) => {
    daemon.answer = (op) => ({ from: op });
    for (let length = 0; length <= replay.length; length += 1) {
      const id = `run_${length}`;
      fs.writeFileSync(`${daemon.work}/bytes`, 'as the first attempt left it');
      daemon.run('main', {}, { id, replay: replay.slice(0, length) });
      assert.equal((await daemon.end(id)).ok, true, id);
      const first = daemon.frames.find((f) => f.run === id && f.o > 0);
      assert.equal(first?.o, length === replay.length ? undefined : length + 1);
    }
  });
});

test('errors are the same after a replay: name, message, stack and code', async () => {
  const failing = agent(`
    const seen = [];
    const keep = (e) => seen.push([e instanceof Error, e.name, e.message, e.stack, e.code]);
    try { await ctx.step('bad', () => {
      throw Object.assign(new RangeError('no'), { code: 'E1' }); }); } catch (e) { keep(e); }
    await ctx.step('text', () => { throw 'a text'; }).catch(keep);
    await ctx.step('nothing', () => { throw undefined; }).catch(keep);
    await ctx.step('cycle', () => { const a = {}; a.a = a; return a; }).catch(keep);
    await ctx.shellAsync('x').catch((e) => seen.push([e.name, e.message, e.code]));
    try { ctx.shell('x'); } catch (e) { seen.push([e.name, e.message, e.code]); }
    return seen;`);
  let first;
  let replay;
  await withHost(failing, async (daemon) => {
    daemon.answer = () => Object.assign(new Error('no such command'), { code: 'not_found' });
    first = (await daemon.ended('main')).value;
    replay = daemon.recorded();
  });
  assert.deepEqual(first[0].filter((_, i) => i !== 3), [true, 'RangeError', 'no', 'E1']);
  assert.match(first[0][3], /^RangeError: no\n +at .*agent\.js/);
  assert.deepEqual(first.map(([isError, , message]) => (isError === true ? message : isError)),
    ['no', 'a text', 'undefined', first[3][2], 'Error', 'Error']);
  assert.equal(first[3][4], 'not_serialisable');
  await withHost(failing, async (daemon) => {
    daemon.run('main', {}, { replay });
    assert.deepEqual((await daemon.end()).value, first);
    assert.deepEqual(daemon.types(), ['hello', 'end']);
  });
});

test('what was interrupted is executed again with its ordinal, what is before it is not', () =>
  withHost(agent(`
    const said = [];
    await ctx.step('one', () => { said.push('one'); });
    await ctx.step('two', ({ idempotencyKey }) => { said.push(idempotencyKey); });
    said.push(ctx.shell('sync'), await ctx.shellAsync('later'), await ctx.sleep(5));
    return said;`), async (daemon) => {
    daemon.answer = (op) => op;
    const said = (await daemon.ended('main')).value;
    assert.deepEqual(said, ['one', said[1], 'shell', 'shell', 'sleep']);
    const open = ([o, k, n, fp], index) => (index === 0
      ? [o, k, n, fp, 'ok', null] : [o, k, n, fp, 'open']);
    const replay = daemon.recorded().slice(0, 2).map(open);
    const before = daemon.frames.length;
    daemon.run('main', {}, { replay, attempt: 2 });
    await daemon.next((f) => f.t === 'end' && daemon.frames.indexOf(f) >= before);
    const after = daemon.frames.slice(before);
    assert.deepEqual(after.filter((f) => f.t === 'cmd').map((f) => f.o), [2, 3, 4, 5]);
    assert.deepEqual(JSON.parse(after.at(-1).body), said.slice(1)); // The key is the same.
  }));

const OTHER = `
  const before = [ctx.store.exists('a'), await ctx.step('one', () => 1)];
  ctx.stream({ at: 3 });`;
const REPLAY_OTHER = [[1, 'store.exists', 'a', 'FP', 'ok', true],
  [2, 'step', 'one', '', 'ok', 1], [3, 'event', 'stream', '', 'ok'],
  [4, 'step', 'recorded', '', 'ok', 4]];

test('code that asks for something else is told both sides, and never settles', async () => {
  const others = {
    "await ctx.step('other', () => 1);": { k: 'step', n: 'other', fp: '' },
    "ctx.log('other');": { k: 'event', n: 'log', fp: '' },
    "await ctx.sleep(1);": { k: 'sleep', n: '' },
    "ctx.shell('recorded');": { k: 'shell', n: 'recorded' },
    "ctx.db.get('recorded');": { k: 'db.get', n: 'recorded' },
    'ctx.now();': { k: 'now', n: '' },
  };
  await withHost(`module.exports = { ${Object.keys(others).map((code, index) => `
    async m${index}(ctx) {
      ${OTHER} try { ${code} } catch {} ctx.stream('no'); return 'no';
    }`)} };`,
  async (daemon) => {
    const fp = await fingerprintOf(daemon);
    const replay = REPLAY_OTHER.map((entry) => entry.map((part) => (part === 'FP' ? fp : part)));
    for (const [index, expected] of Object.values(others).entries()) {
      const id = `run_${index}`;
      daemon.run(`m${index}`, {}, { id, replay });
      const mismatch = await daemon.next((f) => f.t === 'mismatch' && f.run === id);
      assert.equal(mismatch.o, 4);
      const { got, ...detail } = JSON.parse(mismatch.body);
      assert.deepEqual({ ...got, ...expected }, got);
      assert.deepEqual(detail, {
        expected: { k: 'step', n: 'recorded', fp: '' },
        matched: REPLAY_OTHER.slice(0, 3).map(([o, k, n]) => ({ o, k, n })),
      });
    }
    await daemon.idle();
    assert.deepEqual(daemon.of('end', 'cmd', 'call', 'event').filter((f) => f.run !== 'fp'), []);
  });
});

// The fingerprint of ctx.store.exists('a'), from a run of its own.
async function fingerprintOf(daemon) {
  daemon.run('m0', {}, { id: 'fp' });
  await daemon.end('fp');
  return daemon.of('value').find((f) => f.run === 'fp').fp;
}

test('a recorded value that cannot be read is an error of its step', () => withHost(agent(`
  return ctx.step('s', () => 1).catch((e) => e.code);`), async (daemon) => {
  const value = { $: 'Later', v: 1 };
  daemon.run('main', {}, { replay: [[1, 'step', 's', '', 'ok', value, [1, 2], { c: 'typed' }]] });
  assert.equal((await daemon.end()).value, 'not_serialisable');
}));

test('other arguments are a mismatch, and only the last five that fitted are told', () =>
  withHost(agent('for (let i = 0; i < 8; i += 1) ctx.db.get(params.key + i);'), async (daemon) => {
    daemon.answer = () => 1;
    await daemon.ended('main', { key: 'k' });
    const replay = daemon.recorded();
    replay[6] = [7, 'db.get', 'k6', 'another', 'ok', 1];
    daemon.run('main', { key: 'k' }, { id: 'b', replay });
    const { expected, got, matched } = JSON.parse((await daemon.next('mismatch')).body);
    assert.deepEqual([expected.n, got.n, expected.fp === got.fp], ['k6', 'k6', false]);
    assert.deepEqual(matched.map(({ o }) => o), [2, 3, 4, 5, 6]);
  }));

test('code that catches everything does not keep the process after a mismatch', () =>
  withHost(agent(`
    for (;;) { try { await ctx.step('other', () => 1); } catch {} }`), async (daemon) => {
    daemon.run('main', {}, { replay: [[1, 'step', 'one', '', 'ok', 1]] });
    await daemon.next('mismatch');
    await daemon.idle();
    assert.equal(daemon.of('mismatch').length, 1);
  }));

test('a setup that is recorded is gone through again, and said nothing of', async () => {
  const source = `exports.setup = (ctx) => { ctx.db.set('a', 1); };
    exports.main = (ctx) => ctx.db.get('a');`;
  await withHost(source, async (daemon) => {
    daemon.answer = () => 5;
    daemon.run('main', {}, { setup: true });
    await daemon.end();
    const replay = daemon.recorded();
    assert.deepEqual(replay.map(([o, k]) => [o, k]), [[1, 'db.set'], [2, 'setup'], [3, 'db.get']]);
    const before = daemon.frames.length;
    daemon.run('main', {}, { id: 'again', setup: true, replay });
    assert.equal((await daemon.end('again')).value, 5);
    assert.equal(daemon.frames.length, before + 1);
  });
});

test('steps with calls between their two ends are replayed at once', () => withHost(agent(`
  const seen = [];
  for (let i = 0; i < 8; i += 1) {
    const turn = await ctx.beginStep('turn');
    ctx.now();
    seen.push(await ctx.step('in', async () => i));
    if (!turn.done) await ctx.completeStep(turn, i);
    seen.push(turn.value);
  }
  return seen;`), async (daemon) => {
  const first = await daemon.ended('main');
  const begin = Date.now();
  daemon.run('main', {}, { id: 'again', replay: daemon.recorded() });
  assert.deepEqual(await daemon.end('again'), first);
  assert.ok(Date.now() - begin < 4000); // A second each, where it is waited for whether something comes.
}));

const ONE_BY_ONE = agent(`
  const seen = [];
  let turns = 0;
  let count = setImmediate(function again() { turns += 1; count = setImmediate(again); });
  for (let i = 0; i < 250; i += 1) {
    await ctx.step('s', () => i);
    process.nextTick(() => seen.push('tick ' + i));
    Promise.resolve().then(() => seen.push('promise ' + i));
    if (i % 50 === 7) await new Promise(setImmediate);
    if (i % 50 === 8) await new Promise((resolve) => setTimeout(resolve, 1));
    // What a run that is over throws is nobody's error.
    if (i % 50 === 9) process.nextTick(() => { throw new ctx.errors.CancelledError(); });
  }
  clearImmediate(count);
  return { seen, others: turns > 1 };`);

test('steps one behind the other are replayed with all that each of them sets going, and others have their turns', async () => {
  await withHost(ONE_BY_ONE, async (daemon) => {
    const live = await daemon.ended('main', {}, 'live');
    assert.equal(live.value.seen.length, 499); // The last tick comes behind the end.
    daemon.run('main', {}, { id: 'again', replay: daemon.recorded('live') });
    assert.deepEqual(await daemon.end('again'), live);
    assert.equal(live.value.others, true);
  });
});

test('what fails between recorded steps and is waited for by nobody fails the run, as it did', () => withHost(agent(`
  await ctx.step('a', () => 1);
  (async () => { await null; throw new Error('a branch'); })();
  await ctx.step('b', () => 2);
  await ctx.step('c', () => 3);`), async (daemon) => {
  const live = await daemon.ended('main', {}, 'live');
  assert.deepEqual([live.ok, live.value.code], [false, 'forgotten_await']);
  assert.match(live.value.message, /"a branch"/);
  daemon.run('main', {}, { id: 'again', replay: daemon.recorded('live') });
  assert.equal((await daemon.end('again')).value.message, live.value.message);
}));

const PUTS_OFF = agent(`
  let isThere = false;
  let isTold = false;
  const { port1, port2 } = new MessageChannel();
  port2.on('message', () => { isTold = true; });
  await ctx.step('a', () => 1);
  setImmediate(() => { isThere = true; });
  port1.postMessage(1);
  await ctx.step('b', () => 2);
  await ctx.step('c', () => 3);
  if (isThere) await ctx.step('d', () => 4);
  if (isTold) await ctx.step('told', () => 4);
  port1.close();
  for (let i = 0; i < 5; i += 1) await ctx.step('e', () => i);
  return [isThere, isTold];`);

test('what the code puts off to the next turn comes before the next completion, as it did', () => withHost(PUTS_OFF, async (daemon) => {
  const live = await daemon.ended('main', {}, 'live');
  assert.deepEqual(live.value, [true, true]);
  daemon.run('main', {}, { id: 'again', replay: daemon.recorded('live') });
  assert.deepEqual(await daemon.end('again'), live);
}));

const PUTS_OFF_FIRST = agent(`
  let isThere = false;
  const first = ctx.step('a', () => 1);
  setImmediate(() => { isThere = true; });
  await first;
  if (isThere) await ctx.step('d', () => 4);
  return isThere;`);

test('what it puts off before it waits for the first one comes before that', () => withHost(PUTS_OFF_FIRST, async (daemon) => {
  const live = await daemon.ended('main', {}, 'live');
  assert.equal(live.value, true);
  daemon.run('main', {}, { id: 'again', replay: daemon.recorded('live') });
  assert.deepEqual(await daemon.end('again'), live);
}));

const PUTS_OFF_BESIDE = agent(`
  let isThere = false;
  const seen = [];
  await Promise.all([
    ctx.step('a', () => 1).then(() => { setImmediate(() => { isThere = true; }); }),
    ctx.step('b', () => 2).then(() => { seen.push(isThere); }),
  ]);
  if (seen[0]) await ctx.step('d', () => 4);
  return seen[0];`);

test('it does so however what has completed is cut, and on replay', () => withHost(PUTS_OFF_BESIDE, async (daemon) => {
  for (const pieces of [1, 2]) {
    const id = `live in ${pieces}`;
    daemon.keepsAcks = true;
    daemon.run('main', {}, { id });
    await daemon.next(({ t, run, o }) => t === 'done' && run === id && o === 2);
    daemon.keepsAcks = false;
    const acks = [1, 2].map((o) => encode({ t: 'ack', run: id, a: 1, o }));
    if (pieces === 2) {
      daemon.down.write(acks.shift());
      await daemon.idle();
    }
    daemon.down.write(Buffer.concat(acks));
    const live = await daemon.end(id);
    assert.deepEqual(live.value, true, id);
    daemon.run('main', {}, { id: `${id} again`, replay: daemon.recorded(id) });
    assert.deepEqual(await daemon.end(`${id} again`), live);
  }
}));

const COMPUTES = agent(`
  const fs = require('node:fs');
  for (let i = 0; i < 20; i += 1) {
    await ctx.step('s', () => i);
    if (i === 0) fs.writeFileSync('there', '');
    while (params.waits && !fs.existsSync('asked'));
    const end = Date.now() + 10;
    while (Date.now() < end);
  }`);

test('code that computes between its recorded steps leaves others their turns', () => withHost(COMPUTES, async (daemon) => {
  daemon.send({ t: 'cell' }, '{}'); // Its code is in /work then.
  await daemon.ended('main', {}, 'live');
  const there = path.join(daemon.work, 'there');
  fs.rmSync(there);
  daemon.run('main', { waits: true }, { id: 'again', replay: daemon.recorded('live') });
  while (!fs.existsSync(there)) await new Promise(setImmediate);
  daemon.down.write(encode({ t: 'ping', n: 7 }), () => fs.writeFileSync(path.join(daemon.work, 'asked'), ''));
  await daemon.end('again');
  const place = (kind) => daemon.frames.findLastIndex(({ t }) => t === kind);
  assert.ok(place('pong') > 0 && place('pong') < place('end'));
}));

test('a Node.js without what ends a turn gives each completion in one of its own', async () => {
  const before = path.join(os.tmpdir(), `no-ticks-${process.pid}.js`);
  fs.writeFileSync(before, 'process._tickCallback = undefined;');
  try {
    await withHost(ONE_BY_ONE, async (daemon) => {
      const live = await daemon.ended('main', {}, 'live');
      daemon.run('main', {}, { id: 'again', replay: daemon.recorded('live') });
      assert.deepEqual(await daemon.end('again'), live);
    }, { env: { NODE_OPTIONS: `--require ${before}` } });
  } finally {
    fs.rmSync(before);
  }
});
