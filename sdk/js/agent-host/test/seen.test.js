'use strict';
// What the code has seen of the world is on disk before it does something with it.
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { agent, withHost } = require('./fake_daemon');

const keeps = (daemon) => daemon.frames.filter(({ t }) => ['cmd', 'call'].includes(t))
  .map(({ k, op, n, keeps: does }) => [k ?? op, n, does ?? false]);

test('a step behind a value begins once that is on disk, and the next one at once', () => withHost(agent(`
  const id = ctx.uuid();
  await ctx.step('pay', () => { require('node:fs').writeFileSync(process.env.CELLAR_WORK_DIR + '/paid', id); });
  await ctx.step('tell', () => 1);`), async (daemon) => {
  daemon.keepsBegins = true;
  daemon.run('main');
  await daemon.next(({ n }) => n === 'pay');
  await daemon.idle();
  const paid = path.join(daemon.work, 'paid');
  assert.ok(!fs.existsSync(paid));
  daemon.send({ t: 'began', run: 'run_1', o: 2 });
  await daemon.end();
  assert.equal(fs.readFileSync(paid, 'utf8'), JSON.parse(daemon.of('value')[0].body));
  assert.deepEqual(keeps(daemon), [['step', 'pay', true], ['step', 'tell', false]]);
}));

test('of steps side by side those that were said before the value do not wait', () => withHost(agent(`
  const first = ctx.step('first', () => 1);
  ctx.now();
  await Promise.all([first, ctx.step('second', () => 2)]);
  await ctx.step('third', () => 3);`), async (daemon) => {
  daemon.keepsAcks = true;
  daemon.run('main');
  await daemon.next(({ t, o }) => t === 'done' && o === 3);
  daemon.send({ t: 'ack', run: 'run_1', o: 1 }); // It tells nothing of the value.
  daemon.keepsAcks = false;
  daemon.send({ t: 'ack', run: 'run_1', o: 3 });
  await daemon.end();
  assert.deepEqual(keeps(daemon), [['step', 'first', false], ['step', 'second', true], ['step', 'third', false]]);
}));

test('commands and calls behind a value say so, and a file is written once it is on disk', () => withHost(agent(`
  const before = ctx.store.read('routes.txt') ?? '';
  ctx.store.write('routes.txt', before + 'r1;');
  ctx.store.write('other.txt', 'x');
  ctx.db.get('a');
  await ctx.shell('true');
  ctx.db.set('a', 1);`), async (daemon) => {
  const seen = [];
  daemon.answer = (op) => {
    seen.push(op);
    return op === 'shell' ? { exit_code: 0, stdout: '', stderr: '' } : null;
  };
  const take = daemon.take.bind(daemon);
  daemon.take = (frame) => {
    if (frame.op === 'journal.sync') assert.ok(!fs.existsSync(path.join(daemon.work, 'routes.txt')));
    take(frame);
  };
  assert.equal((await daemon.ended('main')).error, undefined);
  assert.deepEqual(keeps(daemon), [['journal.sync', undefined, false], ['db.get', 'a', false],
    ['shell', 'true', true], ['db.set', 'a', true]]);
  assert.equal(fs.readFileSync(path.join(daemon.work, 'routes.txt'), 'utf8'), 'r1;');
}));

test('what was recorded is on disk, and what is inside a step is part of it', () => withHost(agent(`
  ctx.now();
  await ctx.step('a', () => { ctx.uuid(); ctx.store.write('x', 'y'); });
  await ctx.step('b', () => 1);`), async (daemon) => {
  daemon.run('main', {}, { replay: [[1, 'now', '', '44136fa355b3678a', 'ok', 5]] }); // That of {}.
  assert.equal((await daemon.end()).error, undefined);
  assert.deepEqual(keeps(daemon), [['step', 'a', false], ['step', 'b', false]]);
}));

test('what a delete gave is on disk before anything acts on it', () => withHost(agent(`
  if (ctx.store.delete('job')) await ctx.step('pay', () => 1);`), async (daemon) => {
  fs.writeFileSync(path.join(daemon.work, 'job'), '');
  await daemon.ended('main');
  assert.deepEqual(keeps(daemon), [['step', 'pay', true]]);
}));
