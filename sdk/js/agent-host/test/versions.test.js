'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const { test } = require('node:test');
const { agent, withHost } = require('./fake_daemon');

// What a run of `source` has recorded when it came to an end, or to `until`.
async function recordOf(source, until) {
  let replay;
  await withHost(source, async (daemon) => {
    daemon.answer = () => 'done';
    daemon.run('main');
    await (until ? daemon.next(until) : daemon.end());
    replay = daemon.recorded();
  });
  return replay;
}

const OLD = agent(`
  const a = await ctx.step('a', () => 1);
  const b = await ctx.step('b', () => 2);
  return [a, b, await ctx.shellAsync('rest')];`);
const NEW = agent(`
  const a = await ctx.step('a', () => 1);
  const way = ctx.getVersion('flow', 2);
  if (way >= 2) await ctx.step('checked', () => 0);
  ctx.removed('b');
  return [a, way, await ctx.shellAsync('rest')];`);

test('old and new runs go their own ways through the same code', async () => {
  const old = await recordOf(OLD, (f) => f.k === 'shell');
  old[2].splice(4, 2, 'open', undefined); // It was under way.
  await withHost(NEW, async (daemon) => {
    daemon.answer = () => 'done';
    daemon.run('main', {}, { replay: old });
    assert.deepEqual((await daemon.end()).value, [1, 0, 'done']);
    assert.deepEqual(daemon.types(), ['hello', 'cmd', 'end']);
    assert.deepEqual((await daemon.ended('main', {}, 'new')).value, [1, 2, 'done']);
    daemon.run('main', {}, { id: 'again', replay: daemon.recorded('new') });
    assert.deepEqual((await daemon.end('again')).value, [1, 2, 'done']);
  });
});

test('what was open and is removed is given up, but for a trial', async () => {
  const old = await recordOf(OLD);
  old[1].splice(4, 2, 'open', undefined);
  await withHost(NEW, async (daemon) => {
    daemon.run('main', {}, { id: 'trial', replay: old, trial: true });
    await daemon.next('trial');
    daemon.run('main', {}, { replay: old });
    const given = await daemon.next('done');
    assert.deepEqual([given.run, given.o, given.ok, JSON.parse(given.body).code], ['run_1', 2, false, 'removed']);
    const gone = [old[0], [2, 'step', 'b', '', 'error', JSON.parse(given.body)], old[2]];
    daemon.run('main', {}, { id: 'again', replay: gone });
    assert.deepEqual((await daemon.end('again')).value, [1, 0, old[2][5]]);
    assert.deepEqual(daemon.types().filter((t) => t === 'done'), ['done']);
  });
});

test('each call of what was called several times may be removed', async () => {
  const old = await recordOf(agent(`
    for (let i = 0; i < 3; i += 1) { await ctx.step('a', () => i); await ctx.shellAsync('a'); }
    return ctx.step('a', () => 'last');`));
  await withHost(agent(`
    const first = await ctx.step('a', () => 0);
    for (let i = 0; i < 2; i += 1) { ctx.removed('b'); ctx.removed('a'); ctx.removed('a'); }
    ctx.removed('a');
    return [first, await ctx.step('a', () => 'no')];`), async (daemon) => {
    daemon.run('main', {}, { replay: old });
    assert.deepEqual((await daemon.end()).value, [0, 'last']);
  });
});

test('a trial compares and executes nothing', async () => {
  const old = await recordOf(OLD);
  const executes = NEW.replace("'checked', () => 0", "'checked', () => { throw new Error('executed'); }");
  const firstOpen = old.map((entry, i) => (i === 0 ? [1, 'step', 'a', '', 'open', undefined, [1, 0]] : entry)).slice(0, 2);
  const cases = [
    [OLD, old, true], [NEW, old, true], [executes, old.slice(0, 1), true], [NEW, [], true],
    [agent('return 1;'), [], true], [agent('return 1;'), old, /before it has done/],
    [agent('throw new Error("lost");'), old, /lost/], ['syntax error', old, /syntax/i],
    ['syntax error', [], /syntax/i], ['module.exports = { other() {} };', [], /no method/],
    ['syntax error', [...old, [9, 'rollback', 'failed', '', 'ok', { name: 'Error', message: 'no' }]], /syntax/i],
    [agent('await ctx.step("other", () => 1);'), old, /other/],
    [agent(`await Promise.all(['a', 'b'].map((n) => ctx.step(n, () => 1)));`), firstOpen, true],
    [agent(`const a = await ctx.beginStep('a'); await ctx.step('b', () => 1); await ctx.completeStep(a, 1);`), firstOpen, true],
  ];
  for (const [source, replay, expected] of cases) {
    await withHost(source, async (daemon) => {
      daemon.run('main', {}, { id: 'trial', replay, trial: true });
      const told = await daemon.next((f) => f.t === 'trial' || f.t === 'mismatch');
      await daemon.idle();
      assert.deepEqual(daemon.types().filter((t) => t !== 'pong'), ['hello', told.t]);
      assert.equal(told.t === 'trial' && told.ok, expected === true, `${source} ${told.body}`);
      if (expected !== true) assert.match(told.body.toString(), expected);
      assert.deepEqual(fs.readdirSync(daemon.work), []);
    });
  }
});

test('a trial looks behind what threw and has no record', async () => {
  const old = (read, ...more) => agent(`
    let got;
    try { got = ${read}; } catch { got = 'none'; }
    ctx.log('read');
    ${more.join('')}
    return [got, await ctx.step('b', () => 1)];`);
  const lost = () => Object.assign(new Error('down'), { code: 'down' });
  const cases = [
    ["ctx.store.read('..')", /true/], ["ctx.db.get('k')", /ctx.db.get\(/],
    ["ctx.store.write('..', 'x')", /ctx.store.write/],
  ];
  for (const [read, expected] of cases) {
    let replay;
    await withHost(old(read), async (daemon) => {
      daemon.answer = () => lost();
      assert.deepEqual((await daemon.ended('main')).value, ['none', 1]);
      replay = daemon.recorded().filter(([, k]) => k !== 'db.get');
      assert.deepEqual(replay.map(([o]) => o), [2, 3]);
    });
    for (const [source, told] of [[old(read), expected], [old(read).replace("'b'", "'c'"), /"n":"c"|ctx/]]) {
      await withHost(source, async (daemon) => {
        daemon.run('main', {}, { id: 'trial', replay, trial: true });
        const frame = await daemon.next((f) => f.t === 'trial' || f.t === 'mismatch');
        assert.match(`${frame.ok} ${frame.body}`, told);
        await daemon.idle();
        assert.deepEqual(daemon.types().filter((t) => t !== 'pong'), ['hello', frame.t]);
      });
    }
  }
});

test('a run goes on with a state and an empty history', () => withHost(agent(`
  const step = await ctx.step('count', () => params.n + 1);
  if (step < 3) return ctx.continueAs({ n: step });
  return [ctx.run.id, step];`), async (daemon) => {
  daemon.run('main', { n: 1 });
  const frame = await daemon.next('continue');
  assert.deepEqual([frame.o, JSON.parse(frame.body)], [2, { n: 2 }]);
  await daemon.idle();
  assert.deepEqual(daemon.of('end'), []);
  daemon.run('main', { n: 2 }, { attempt: 2, base: frame.o });
  assert.deepEqual((await daemon.end()).value, ['run_1', 3]);
  assert.equal(daemon.of('cmd')[1].o, 3);
}));

test('what is no version, or not at its place, is refused', () => withHost(agent(`
  const codes = [];
  for (const call of [() => ctx.getVersion('', 1), () => ctx.getVersion('v', 0), () => ctx.removed(7),
    () => ctx.step('s', () => ctx.getVersion('v', 1)), () => ctx.step('s', () => ctx.continueAs(1))]) {
    codes.push(await (async () => call())().catch((e) => e.code));
  }
  const open = ctx.shellAsync('lost');
  codes.push(await ctx.continueAs(1).catch((e) => e.code));
  open.catch(() => 0);
  return codes;`), async (daemon) => {
  const code = 'invalid_version';
  assert.deepEqual((await daemon.ended('main')).value,
    [code, code, code, 'nested_version', 'nested_continue', 'forgotten_await']);
}));
