'use strict';
const assert = require('node:assert');
const { test } = require('node:test');
const { agent, withHost } = require('./fake_daemon');

test('an attempt that fails is recorded with the time of the next one', () => withHost(agent(`
  const attempts = [];
  const value = await ctx.step('flaky', ({ attempt }) => {
    attempts.push(attempt);
    if (attempt < 3) throw new RangeError('attempt ' + attempt);
    return 'done';
  }, { retries: { maxAttempts: 3, delay: 8, backoff: 'linear', jitter: false } });
  return [value, attempts];`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value, ['done', [1, 2, 3]]);
  assert.deepEqual(daemon.of('failed').map((f) => [f.o, f.n, f.delay]), [[1, 1, 8], [1, 2, 16]]);
  assert.equal(JSON.parse(daemon.of('failed')[1].body).message, 'attempt 2');
}));

test('the next attempt begins once it is on disk that one failed', () => withHost(agent(`
  const attempts = [];
  return ctx.step('flaky', ({ attempt }) => {
    ctx.log(attempt);
    if (attempt < 3) throw new Error('no');
    return attempt;
  }, { retries: { maxAttempts: 3, delay: 0 } });`), async (daemon) => {
  daemon.keepsBegins = true;
  daemon.run('main');
  for (const n of [1, 2]) {
    await daemon.next((f) => f.t === 'failed' && f.n === n);
    await daemon.idle();
    assert.equal(daemon.of('event').length, n); // No other attempt has said anything.
    daemon.send({ t: 'began', run: 'run_1', o: 1 });
  }
  assert.equal((await daemon.end()).value, 3);
}));

test('attempts go on where the last process left them, and not before they are due', () =>
  withHost(agent(`
    return ctx.step('flaky', (s) => [s.attempt, s.lastProgress, Date.now() >= params.due - 1],
      { retries: 5 });`), async (daemon) => {
    const due = Date.now() + 50;
    const before = { tries: 3, retry_at: due, started_at: due - 1000, progress: { job: 7 } };
    daemon.run('main', { due }, {
      replay: [[1, 'step', 'flaky', '', 'open', undefined, [1, 0], before]],
    });
    assert.deepEqual((await daemon.end()).value, [4, { job: 7 }, true]);
  }));

test('delays grow up to their limit, and jitter takes off at most half', () => withHost(agent(`
  await ctx.step('s', ({ attempt }) => { if (attempt < 7) throw new Error('x'); },
    { retries: { maxAttempts: 9, delay: 1, maxDelay: 10 } });`), async (daemon) => {
  await daemon.ended('main');
  const delays = daemon.of('failed').map((f) => f.delay);
  assert.equal(delays.length, 6);
  delays.forEach((delay, i) => {
    const full = Math.min(2 ** i, 10);
    assert.ok(delay >= Math.floor(full / 2) && delay <= full, `${i}: ${delays}`);
  });
}));

test('of an error so much is recorded, and the code is given no more', () => withHost(agent(`
  const long = Object.assign(new Error('m'.repeat(70_000)), { name: 'n'.repeat(300), code: 'c'.repeat(300) });
  const kept = await ctx.step('value', () => long);
  const thrown = await ctx.step('s', () => { throw long; }).catch((e) => e);
  return [kept.message.length, thrown.message, thrown.name, thrown.code, thrown.stack.length < 66_000];`), async (daemon) => {
  const [kept, message, name, code, isCut] = (await daemon.ended('main')).value;
  assert.equal(kept, 70_000);
  assert.equal(message, 'm'.repeat(65_536) + '… (4464 characters more)');
  assert.deepEqual([name, code, isCut],
    ['n'.repeat(200) + '… (100 characters more)', 'c'.repeat(200) + '… (100 characters more)', true]);
}));

test('an error may say that no attempt follows, or when', () => withHost(agent(`
  const { NonRetryableError, RetryAfterError } = ctx.errors;
  const count = { no: 0, after: 0 };
  const no = await ctx.step('no', () => { count.no += 1; throw new NonRetryableError('bad key'); },
    { retries: 5 }).catch((e) => [e instanceof NonRetryableError, e.message, e.code]);
  const after = await ctx.step('after', () => {
    count.after += 1;
    if (count.after === 1) throw new RetryAfterError('busy', '0.02s');
    return 'then';
  }, { retries: 1 });
  return { count, no, after };`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value, {
    count: { no: 1, after: 2 }, no: [true, 'bad key', 'non_retryable'], after: 'then',
  });
  assert.deepEqual(daemon.of('failed').map((f) => f.delay), [20]);
}));

test('an error that names no time of its own leaves that to the retries', () => withHost(agent(`
  return ctx.step('s', (s) => {
    if (s.attempt === 3) return 'third';
    const error = new ctx.errors.RetryAfterError('later', 1);
    error.delay = s.attempt === 1 ? undefined : NaN;
    throw error;
  }, { retries: { maxAttempts: 3, delay: 1 } });`), async (daemon) => {
  assert.equal((await daemon.ended('main')).value, 'third');
}));

test('a limit of time holds for an attempt and for all of them', () => withHost(agent(`
  const never = () => new Promise(() => {});
  const codes = [];
  const keep = (e) => codes.push([e.code, e instanceof ctx.errors.StepTimeoutError]);
  await ctx.step('attempt', never, { timeout: '5ms', retries: { maxAttempts: 2, delay: 1 } }).catch(keep);
  await ctx.step('total', never, { timeout: { attempt: 5, total: 40 },
    retries: { maxAttempts: 1000, delay: 1, backoff: 'constant' } }).catch(keep);
  return codes;`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value,
    [['step_timeout', true], ['step_timeout', true]]);
  assert.equal(daemon.of('failed').filter((f) => f.o === 1).length, 1);
}));

test('the limit of all attempts counts from the first one, in whatever process it was', () =>
  withHost(agent(`
    return ctx.step('s', ({ attempt }) => { throw new Error('attempt ' + attempt); },
      { timeout: { total: '1h' }, retries: 100 }).catch((e) => e.message);`), async (daemon) => {
    const before = { tries: 4, started_at: Date.now() - 3_600_000 };
    daemon.run('main', {}, { replay: [[1, 'step', 's', '', 'open', undefined, [1, 0], before]] });
    // The crash took all of it: what may cost money is not begun any more.
    assert.equal((await daemon.end()).value, 'step "s" took longer than 3600000 ms in all');
  }));

test('a step that must not be executed twice waits until its start is on disk', () =>
  withHost(agent(`
    return ctx.step('pay', { onInterrupt: 'fail' }, () => { ctx.db.set('paid', 1); return 'paid'; });`),
  async (daemon) => {
    const order = [];
    daemon.answer = (op) => { order.push(op); return null; };
    const send = daemon.send.bind(daemon);
    let letBegin;
    const asked = new Promise((resolve) => {
      daemon.send = (header, body) => {
        if (header.t !== 'began') return send(header, body);
        letBegin = () => { order.push('began'); send(header, body); };
        return resolve();
      };
    });
    daemon.run('main');
    await asked;
    await daemon.idle(); // It has had every chance to begin.
    letBegin();
    assert.equal((await daemon.end()).value, 'paid');
    assert.deepEqual(order, ['began', 'db.set']);
    assert.equal(daemon.of('cmd')[0].pol, 'fail');
  }));

test('progress is told, waited for, and given to the next attempt', () => withHost(agent(`
  return ctx.step('job', async (s) => {
    if (s.attempt === 1) { await s.progress({ id: 5 }); throw new Error('again'); }
    return s.lastProgress;
  }, { retries: { maxAttempts: 2, delay: 1 } });`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value, { id: 5 });
  assert.deepEqual(JSON.parse(daemon.of('progress')[0].body), { id: 5 });
}));

test('what an attempt makes of the progress it is given, no other attempt sees', () => withHost(agent(`
  return ctx.step('job', async (s) => {
    s.lastProgress.seen.push(s.attempt);
    if (s.attempt === 4) return s.lastProgress;
    throw new Error('again');
  }, { retries: { maxAttempts: 4, delay: 1 } });`), async (daemon) => {
  const before = { started_at: 1, tries: 2, progress: { seen: [] } };
  for (const id of ['a', 'b']) {
    daemon.run('main', {}, { id, replay: [[1, 'step', 'job', '', 'open', undefined, [1, 0], before]] });
    assert.deepEqual((await daemon.end(id)).value, { seen: [4] });
  }
}));

test('a step may begin and end in different places', async () => {
  const source = agent(`
    const step = await ctx.beginStep('message');
    const seen = [step.name, step.done];
    if (!step.done) await ctx.completeStep(step, { text: 'hi' });
    const twice = await ctx.completeStep(step, 1).catch((e) => e.code);
    return [...seen, step.value, step.done, twice];`);
  await withHost(source, async (daemon) => {
    assert.deepEqual((await daemon.ended('main')).value,
      ['message', false, { text: 'hi' }, true, 'step_ended']);
    daemon.run('main', {}, { id: 'again', replay: daemon.recorded() });
    assert.deepEqual((await daemon.end('again')).value,
      ['message', true, { text: 'hi' }, true, 'step_ended']);
  });
});

test('what lost a race is told when the method ends', () => withHost(agent(`
  const lost = ctx.step('slow', (s) => new Promise((resolve) => {
    s.signal.addEventListener('abort', () => process.stderr.write('stopped'));
  }));
  return Promise.race([lost, ctx.step('quick', () => 1)]);`), async (daemon) => {
  assert.equal((await daemon.ended('main')).value, 1);
  await daemon.idle();
  assert.equal(daemon.stderr, 'stopped');
}));

test('what is called between the begin and the end of a step is found again', async () => {
  const source = agent(`
    const step = await ctx.beginStep('message');
    const between = [await ctx.step('a', () => 1), ctx.now() > 0];
    if (!step.done) await ctx.completeStep(step, { text: 'hi' });
    return [step.value, between, await ctx.step('b', () => 2)];`);
  await withHost(source, async (daemon) => {
    const first = await daemon.ended('main');
    assert.deepEqual(first.value, [{ text: 'hi' }, [1, true], 2]);
    daemon.run('main', {}, { id: 'again', replay: daemon.recorded() });
    assert.deepEqual(await daemon.end('again'), first);
    assert.deepEqual(daemon.of('mismatch'), []);
  });
});

test('steps of one name get numbers', () => withHost(agent(`
  const names = [];
  for (const name of ['a', 'b', 'a', 'a']) await ctx.step(name, (s) => { names.push(s.name); });
  await ctx.completeStep(await ctx.beginStep('b'), 0);
  return names;`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value, ['a', 'b', 'a#2', 'a#3']);
  assert.deepEqual(daemon.of('cmd').map((f) => f.n), ['a', 'b', 'a#2', 'a#3', 'b#2']);
}));

test('what is open at the end and was never waited for fails the run, and is named', () =>
  withHost(`module.exports = {
    async forgets(ctx) { ctx.step('lost', () => new Promise(() => {})); ctx.shellAsync('sleep 9'); },
    async begins(ctx) { await ctx.beginStep('half'); },
    async spawns(ctx) { ctx.spawn('child'); },
    async asks(ctx) { ctx.approve('deploy', { timeout: '1h', onTimeout: null }); },
    async races(ctx) { return Promise.race([ctx.step('quick', () => 1), ctx.sleep('1h')]); },
  };`, async (daemon) => {
    const forgot = await daemon.ended('forgets', {}, 'a');
    assert.equal(forgot.value.code, 'forgotten_await');
    assert.match(forgot.value.message, /"lost", "sleep 9" were open or/);
    assert.equal((await daemon.ended('begins', {}, 'b')).value.code, 'forgotten_await');
    assert.equal((await daemon.ended('races', {}, 'c')).value, 1);
    assert.equal((await daemon.ended('spawns', {}, 'd')).value.code, 'forgotten_await');
    assert.equal((await daemon.ended('asks', {}, 'e')).value.code, 'forgotten_await');
  }));

test('what has failed may be waited for later, also behind a function, and must be at all', async () => {
  const source = `
    const bad = () => { throw new Error('no'); };
    const branch = async (ctx) => ctx.step('bad', bad);
    const again = async (ctx) => { try { await ctx.step('bad', bad); } catch (e) { throw e; } };
    const caught = (e) => [e.message];
    module.exports = {
      async late(ctx) {
        const p = ctx.step('bad', bad);
        await ctx.step('good', () => 1);
        try { await p; } catch (e) { return caught(e); }
      },
      async branches(ctx) {
        const p = branch(ctx), q = again(ctx);
        await ctx.sleep(1);
        try { await p; } catch {}
        await ctx.step('good', () => 1);
        try { await q; } catch (e) { return caught(e); }
      },
      async continues(ctx, params) {
        if (params.n) return ['no'];
        const p = branch(ctx);
        await ctx.step('good', () => 1);
        try { await p; } catch {}
        return ctx.continueAs({ n: 1 });
      },
      async refused(ctx) {
        const p = ctx.shellAsync(5);
        await ctx.step('good', () => 1);
        try { await p; } catch { return ['no']; }
      },
      async forgets(ctx) { ctx.step('bad', bad); branch(ctx); await ctx.step('good', () => 1); await ctx.sleep(1); },
    };`;
  await withHost(source, async (daemon) => {
    daemon.answer = () => null;
    for (const method of ['late', 'branches', 'refused']) {
      const first = await daemon.ended(method, {}, method);
      assert.deepEqual(first.value, ['no'], method);
      daemon.run(method, {}, { id: `${method} again`, replay: daemon.recorded(method) });
      assert.deepEqual(await daemon.end(`${method} again`), first);
    }
    daemon.run('continues', {}, { id: 'continues' });
    await daemon.next('continue');
    const forgot = (await daemon.ended('forgets', {}, 'forgets')).value;
    assert.equal(forgot.code, 'forgotten_await');
    assert.match(forgot.message, /^forgets\(\) returned while "bad", "bad#2" were open or had failed/);
    assert.equal(daemon.stderr, '');
  });
});

// Each program, and what it gives where it waits for its branch `p` later.
const BRANCHES = {
  'wraps the error of a step': [`const p = (async () => {
      try { await ctx.step('bad', () => { throw new Error('x'); }); } catch (cause) { throw new Error('wrapped', { cause }); }
    })();`, 'wrapped'],
  'has a synchronous call refused': ['const p = (async () => { ctx.shell("x"); })();', 'refused'],
  'throws by itself': ['const p = (async () => { await null; throw new Error("its own"); })();', 'its own'],
  'throws what is no error': ['const p = Promise.reject("a text");', 'a text'],
};

for (const [what, [begins, message]] of Object.entries(BRANCHES)) {
  test(`a branch that ${what} may be waited for later, and must be at all`, () => withHost(`module.exports = {
    async waits(ctx) { ${begins} await ctx.step('z', () => 1); try { await p; } catch (e) { return e.message ?? e; } },
    async forgets(ctx) { ${begins} await ctx.step('z', () => 1); return 1; },
  };`, async (daemon) => {
    daemon.answer = () => Object.assign(new Error('refused'), { code: 'broken' });
    const first = await daemon.ended('waits', {}, 'a');
    assert.deepEqual(first.value, message);
    assert.equal(daemon.stderr, '');
    daemon.run('waits', {}, { id: 'a again', replay: daemon.recorded('a') });
    assert.deepEqual(await daemon.end('a again'), first);
    const { value } = await daemon.ended('forgets', {}, 'b');
    assert.equal(value.code, 'forgotten_await');
    assert.equal(value.message, `a promise was rejected in forgets() and nobody handled it: "${message}": ` +
      'await each promise, or catch its error');
  }));
}

test('a promise of a step that fails before it is waited for, or after the run, ends nothing', () =>
  withHost(`const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms)); module.exports = {
    async waits(ctx) {
      return ctx.step('a', async () => {
        const p = (async () => { throw new Error('early'); })();
        await later(1);
        try { await p; } catch (e) { return e.message; }
      });
    },
    async secret(ctx) {
      return ctx.step('a', async () => { Promise.reject(new Error('hush')); await later(1); return 1; }, { sensitive: 'output' });
    },
    async ends() { (async () => { await later(1); throw new Error('too late'); })(); },
    async other(ctx) { await ctx.sleep(1); return 'ended'; },
  };`, async (daemon) => {
    daemon.run('other', {}, { id: 'other' });
    assert.equal((await daemon.ended('waits', {}, 'a')).value, 'early');
    assert.match(daemon.stderr, /^Error: early\n +at /);
    assert.equal((await daemon.ended('secret', {}, 'b')).value, 1);
    assert.equal((await daemon.ended('ends', {}, 'c')).ok, true);
    await new Promise((resolve) => setTimeout(resolve, 100));
    daemon.reply(await daemon.next('cmd'), null);
    assert.equal((await daemon.end('other')).value, 'ended');
    assert.match(daemon.stderr, /redacted: the step is sensitive\nError: too late\n/);
    assert.doesNotMatch(daemon.stderr, /hush/);
  }));

test('an AggregateError of a step comes back with its errors', () => withHost(agent(`
  const all = new AggregateError([new TypeError('t'), new ctx.errors.NonRetryableError('n'), 5,
    new AggregateError(Array.from({ length: 30 }, (_, i) => new Error(String(i))), 'inner')], 'all');
  try {
    await ctx.step('s', () => Promise.any([Promise.reject(all)]).catch((e) => { throw e.errors[0]; }));
  } catch (e) {
    const [type, mine, other, inner] = e.errors;
    return [e instanceof AggregateError, e.name, e.message, type.name, mine instanceof ctx.errors.NonRetryableError,
      other.message, inner.errors.length, inner.errors.at(-1).message, Object.keys(e)];
  }`), async (daemon) => {
  const first = await daemon.ended('main');
  assert.deepEqual(first.value, [true, 'AggregateError', 'all', 'TypeError', true, '5', 21, '… and 10 more', []]);
  daemon.run('main', {}, { id: 'again', replay: daemon.recorded() });
  assert.deepEqual(await daemon.end('again'), first);
}));

test('options that are none are refused, and say what would be right', () => withHost(agent(`
  const wrong = [{ retries: -1 }, { retries: { maxAttempts: 0 } }, { retries: { tries: 1 } },
    { retries: { maxAttempts: 2, backoff: 'cubic' } }, { timeout: 'soon' }, { timeout: 0 },
    { timeout: { each: 1 } }, { onInterrupt: 'panic' }, { fs: 'atomic' }];
  const messages = [];
  for (const options of wrong) {
    try { await ctx.step('s', () => 1, options); } catch (e) { messages.push(e.message); }
  }
  return messages;`), async (daemon) => {
  const messages = (await daemon.ended('main')).value;
  assert.equal(messages.length, 9);
  assert.match(messages[3], /constant, linear, exponential/);
  assert.match(messages[4], /"10s" or "5m", not "soon"/);
  assert.match(messages[8], /unknown option "fs"/);
  assert.deepEqual(daemon.of('cmd'), []);
}));

test('with a full disk steps ask before they are executed, and what is not kept is an error', () =>
  withHost(agent(`
    const ran = [];
    const step = (name, rollback) => ctx.step(name, () => ran.push(name), { rollback })
      .catch((e) => [e instanceof ctx.errors.JournalFullError, e.code]);
    const values = [await step('refused'), await step('begun'), await step('lost', () => {}), await step('plain')];
    throw new Error(JSON.stringify([values, ran]));`), async (daemon) => {
    const error = JSON.stringify({ name: 'JournalFullError', message: 'full', code: 'journal_full' });
    const told = (t, o, more, body) => daemon.send({ t, run: 'run_1', o, ...more }, body);
    const cmd = (o) => daemon.next((f) => f.t === 'cmd' && f.o === o);
    const done = (o) => daemon.next((f) => f.t === 'done' && f.o === o);
    daemon.keepsAcks = true;
    daemon.keepsBegins = true;
    daemon.send({ t: 'room', steps: 0, n: 1 });
    daemon.run('main');
    assert.equal((await cmd(1)).ask, true);
    told('refused', 1, {}, error);
    assert.equal((await done(1)).ok, false);
    told('ack', 1);
    assert.equal((await cmd(2)).ask, true);
    await daemon.idle();
    assert.equal(daemon.of('done').length, 1);
    told('began', 2);
    await done(2);
    told('ack', 2);
    await cmd(3);
    told('began', 3);
    await done(3);
    daemon.send({ t: 'room', steps: 1, n: 2 });
    assert.deepEqual((await daemon.next((f) => f.t === 'room' && f.n === 2)).n, 2);
    told('ack', 3, { ok: false }, error);
    assert.equal((await cmd(4)).ask, undefined);
    await done(4);
    told('ack', 4);
    const full = [true, 'journal_full'];
    const { value } = await daemon.end(); // Nothing is rolled back: what was not kept is no step.
    assert.deepEqual(JSON.parse(value.message), [[full, 1, full, 3], ['begun', 'lost', 'plain']]);
    assert.equal(daemon.of('rollback').length, 0);
  }));

for (const way of ['failed', 'cancelled']) {
  test(`what is not kept after its run has ${way} is not undone`, () => withHost(agent(`
    const step = (name) => ctx.step(name, () => 1, { rollback: () => ctx.log('undone', name) });
    const waits = Promise.allSettled([step('kept'), step('lost')]);
    if (params.way === 'failed') throw new Error('it');
    await waits;
    await ctx.sleep('1h');`), async (daemon) => {
    const error = JSON.stringify({ name: 'JournalFullError', message: 'full', code: 'journal_full' });
    daemon.keepsAcks = true;
    daemon.run('main', { way });
    await daemon.next((f) => f.t === 'done' && f.o === 2);
    if (way === 'cancelled') daemon.send({ t: 'cancel', run: 'run_1', rollback: { grace: 1000 } });
    await daemon.idle();
    daemon.send({ t: 'ack', run: 'run_1', o: 1 });
    await daemon.idle();
    assert.deepEqual(daemon.of('rollback', 'end'), []);
    daemon.keepsAcks = false;
    daemon.send({ t: 'ack', run: 'run_1', o: 2, ok: false }, error);
    assert.deepEqual((await daemon.end()).value.rollback, { done: ['kept'] });
  }));
}

test('a few steps are begun without asking, as many as there are places for', () =>
  withHost(agent(`
    let go;
    const gate = new Promise((resolve) => { go = resolve; });
    const step = (name) => ctx.step(name, () => gate);
    const first = [step('a'), step('b'), step('c'), step('x'.repeat(201)), step('d')];
    setTimeout(go, 20);
    await Promise.all(first);
    await step('e');`), async (daemon) => {
    const cmd = (o) => daemon.next((f) => f.t === 'cmd' && f.o === o);
    daemon.send({ t: 'room', steps: 3, n: 1 });
    daemon.run('main');
    const asked = [];
    for (let o = 1; o <= 5; o += 1) asked.push((await cmd(o)).ask);
    assert.deepEqual(asked, [undefined, undefined, undefined, true, true]);
    for (const o of [4, 5]) daemon.send({ t: 'began', run: 'run_1', o });
    assert.equal((await cmd(6)).ask, undefined); // The ends of the others are recorded.
    assert.equal((await daemon.end()).ok, true);
  }));

test('the places of a run that is over are free again', () =>
  withHost(agent(`
    await Promise.race([ctx.step('slow', () => new Promise(() => {})), ctx.step('fast', () => 1)]);
    throw new Error('over');`), async (daemon) => {
    daemon.send({ t: 'room', steps: 2, n: 1 });
    for (const run of ['run_1', 'run_2', 'run_3']) {
      daemon.run('main', {}, { id: run });
      const asked = [1, 2].map((o) => daemon.next((f) => f.t === 'cmd' && f.run === run && f.o === o));
      assert.deepEqual((await Promise.all(asked)).map(({ ask }) => ask), [undefined, undefined]);
      await daemon.next((f) => f.t === 'end' && f.run === run);
    }
  }));

test('a step that ends elsewhere is begun once that may be', () =>
  withHost(agent(`
    const codeOf = (e) => e.code;
    const refused = await ctx.beginStep('refused').catch(codeOf);
    const step = await ctx.beginStep('begun');
    throw new Error(JSON.stringify([refused, step.done, await ctx.completeStep(step, 1).catch(codeOf)]));`),
  async (daemon) => {
    const error = JSON.stringify({ name: 'JournalFullError', message: 'full', code: 'journal_full' });
    daemon.keepsAcks = true;
    daemon.keepsBegins = true;
    daemon.send({ t: 'room', steps: 0, n: 1 });
    daemon.run('main');
    assert.equal((await daemon.next((f) => f.t === 'cmd' && f.o === 1)).ask, true);
    daemon.send({ t: 'refused', run: 'run_1', o: 1 }, error);
    assert.equal((await daemon.next((f) => f.t === 'done' && f.o === 1)).ok, false);
    daemon.send({ t: 'ack', run: 'run_1', o: 1 });
    await daemon.next((f) => f.t === 'cmd' && f.o === 2);
    await daemon.idle();
    assert.equal(daemon.of('done').length, 1);
    daemon.send({ t: 'began', run: 'run_1', o: 2 });
    await daemon.next((f) => f.t === 'done' && f.o === 2);
    daemon.send({ t: 'ack', run: 'run_1', o: 2, ok: false }, error);
    assert.equal((await daemon.end()).value.message, JSON.stringify(['journal_full', false, 'journal_full']));
  }));

test('what is said in a step bears the attempt that says it, also where that was given up', () => withHost(agent(`
  let go, said;
  const second = new Promise((resolve) => { go = resolve; }), late = new Promise((resolve) => { said = resolve; });
  await ctx.step('slow', async (s) => {
    ctx.stream(s.attempt);
    if (s.attempt > 1) return go();
    await second;
    ctx.stream('late');
    said(s.progress('late').catch((error) => error.code));
    s.progress('nobody looks at it');
  }, { timeout: 20, retries: { maxAttempts: 2, delay: 1 } });
  ctx.stream(await late);`), async (daemon) => {
  await daemon.ended('main');
  assert.deepEqual(daemon.of('event').map((f) => [f.in, f.try]), [[1, 1], [1, 2], [1, 1], [undefined, undefined]]);
  assert.equal(JSON.parse(daemon.of('event').at(-1).body), 'step_ended');
  assert.deepEqual(daemon.of('progress'), []);
}));
