'use strict';
// Promise.all, race, any and allSettled over commands: random programs, replayed from every point.
const assert = require('node:assert');
const { test } = require('node:test');
const { agent, withHost } = require('./fake_daemon');

const PROGRAMS = 25;
const DEPTH = 3;

// Executes a program, a tree, and tells in which order things came to be known.
const INTERPRETER = agent(`
  const trace = [];
  const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const leaf = {
    step: ({ n, ms }) => ctx.step(n, async () => { await later(ms); return n; }),
    fails: ({ n, ms }) => ctx.step(n, async () => { await later(ms); throw new Error(n); }),
    shell: ({ n }) => ctx.shellAsync(n),
  };
  const run = async (node) => {
    if (leaf[node.t]) {
      const told = await leaf[node.t](node).then((value) => value, (e) => { trace.push('!' + e.message); throw e; });
      trace.push(told);
      return told;
    }
    if (node.t !== 'seq') return Promise[node.t](node.of.map(run));
    const values = [];
    for (const child of node.of) values.push(await run(child).catch((e) => 'no ' + e.message));
    return values;
  };
  const value = await run(params.program);
  // One more command, whose ordinal depends on all that came before.
  return { value, trace, last: ctx.now() > 0 };`);

// The generator of a seed: numbers from 0 to below `n`. (mulberry32)
function random(seed) {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) % n;
  };
}

function program(next, depth) {
  const kind = next(depth === 0 ? 3 : 8);
  if (kind < 3) {
    return { t: ['step', 'fails', 'shell'][kind], n: `c${next(1000)}`, ms: next(3) };
  }
  const of = Array.from({ length: 1 + next(3) }, () => program(next, depth - 1));
  return { t: ['seq', 'all', 'race', 'any', 'allSettled'][kind - 3], of };
}

// Answers commands in an order of the seed's choice, some at once, some after others.
function answerAtRandom(daemon, next) {
  const held = [];
  const plain = daemon.take.bind(daemon);
  daemon.take = (frame) => {
    plain(frame);
    if (frame.t === 'cmd' && frame.k === 'shell') held.push(frame);
  };
  const timer = setInterval(() => {
    if (held.length > 0) daemon.reply(held.splice(next(held.length), 1)[0], `ran ${next(9)}`);
  }, 1);
  return () => clearInterval(timer);
}

test('a replay resolves in the order in which it happened, from every point', async (t) => {
  const seed = Number(process.env.CELLAR_SEED ?? Date.now() % 1_000_000);
  t.diagnostic(`CELLAR_SEED=${seed}`);
  for (let number = 0; number < PROGRAMS; number += 1) {
    const next = random(seed + number);
    const params = { program: { t: 'seq', of: [program(next, DEPTH), program(next, DEPTH)] } };
    const what = `seed ${seed + number}: ${JSON.stringify(params)}`;
    await withHost(INTERPRETER, async (daemon) => {
      const stop = answerAtRandom(daemon, next);
      daemon.run('main', params, { id: 'live' });
      const live = await daemon.end('live');
      assert.ok(live.ok, what);
      const last = Math.max(0, ...daemon.recorded('live').map(([, , , , , , [, end]]) => end));
      for (let lsn = 0; lsn <= last; lsn += 1) {
        const id = `until_${lsn}`;
        const replay = daemon.recordedUntil(lsn, 'live');
        daemon.run('main', params, { id, replay });
        const again = await daemon.end(id);
        assert.ok(again.ok, `${what}, until ${lsn}: ${JSON.stringify(again.value)}`);
        const began = daemon.frames.filter((f) => f.run === id && f.t === 'cmd').map((f) => f.o);
        const finished = replay.filter(([, , , , s]) => s !== 'open').map(([o]) => o);
        assert.deepEqual(began.filter((o) => finished.includes(o)), [], `${what}, until ${lsn}`);
        if (lsn === last) assert.deepEqual(again, live, what);
      }
      stop();
    });
  }
});
