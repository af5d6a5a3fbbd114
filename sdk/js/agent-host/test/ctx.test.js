'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');
const { encode } = require('../frames');
const { withHost } = require('./fake_daemon');

const agent = (body) => `module.exports = { async main(ctx, params) { ${body} } };`;
const frames = (daemon, ...types) => daemon.frames.filter((frame) => types.includes(frame.t));

test('values, promises and errors of a method reach the daemon', () => withHost(`
  module.exports = {
    value: (ctx, p) => p.a + 1, nothing() {}, async later() { return [1]; },
    boom() { throw Object.assign(new TypeError('bad luck'), { code: 'E_BAD' }); },
    cycle() { const a = {}; a.a = a; return a; },
  };`, async (daemon) => {
  const ended = async (method, params, id) => { daemon.run(method, params, { id }); return daemon.end(id); };
  assert.deepEqual(await ended('value', { a: 1 }, 'a'), { ok: true, code: undefined, value: 2 });
  assert.equal((await ended('nothing', {}, 'b')).value, null);
  assert.deepEqual((await ended('later', {}, 'c')).value, [1]);
  const boom = await ended('boom', {}, 'd');
  assert.deepEqual([boom.ok, boom.code, boom.value.code, boom.value.name, boom.value.message],
    [false, undefined, 'E_BAD', 'TypeError', 'bad luck']);
  assert.match(boom.value.stack, /agent\.js/);
  assert.match((await ended('cycle', {}, 'e')).value.message, /what cycle\(\) returns is not JSON/);
  for (const [name, id] of [['nope', 'f'], ['constructor', 'g'], ['__proto__', 'h'], ['setup', 'i']]) {
    const unknown = await ended(name, {}, id);
    assert.equal(unknown.code, 'method_not_found', name);
    assert.match(unknown.value.message, /it has value, nothing, later, boom, cycle/);
  }
}));

test('an agent may be an ES module, and one that does not load says why', async () => {
  await withHost('import fs from "node:fs"; export const main = () => typeof fs.readFileSync;', async (daemon) => {
    daemon.run('main');
    assert.equal((await daemon.end()).value, 'function');
  });
  await withHost('export default { main: () => 5 };', async (daemon) => {
    daemon.run('main');
    assert.equal((await daemon.end()).value, 5);
  });
  await withHost('module.exports = {', async (daemon) => {
    daemon.run('main');
    const end = await daemon.end();
    assert.equal(end.code, 'agent_load_failed');
    assert.match(end.value.message, /SyntaxError/);
  });
});

test('files are read, written, listed and deleted below the work folder', () => withHost(agent(`
  const s = ctx.store;
  const before = [s.read('a/b.txt'), s.exists('a'), s.delete('a')];
  s.write('a/b.txt', 'text'); s.write('bytes', Buffer.from([0, 255])); s.write('a/b.txt', 'new');
  return { before, text: s.read('a/b.txt'), bytes: [...s.read('bytes', { encoding: null })],
    all: s.list(), below: s.list('a'), gone: [s.delete('a'), s.exists('a/b.txt')] };`), async (daemon) => {
  daemon.run('main');
  assert.deepEqual((await daemon.end()).value, {
    before: [null, false, false], text: 'new', bytes: [0, 255], all: ['a/b.txt', 'bytes'], below: ['b.txt'],
    gone: [true, false],
  });
  assert.deepEqual(fs.readdirSync(daemon.work), ['bytes']);
}));

test('no path leads outside, by dots, by its start or by a link', () => withHost(agent(`
  const tried = {};
  for (const path of params.paths) {
    try { ctx.store.read(path); tried[path] = 'read'; } catch (e) { tried[path] = e.code; }
    try { ctx.store.write(path, 'x'); tried[path] += ' written'; } catch (e) { tried[path] += ' ' + e.code; }
  }
  return tried;`), async (daemon) => {
  fs.symlinkSync('/etc', path.join(daemon.work, 'link'));
  fs.symlinkSync('..', path.join(daemon.work, 'up'));
  const paths = ['../x', '/etc/passwd', 'link/passwd', 'up/x', 'a/../../x', '', 'a\0b'];
  daemon.run('main', { paths });
  const { value } = await daemon.end();
  for (const name of paths) assert.equal(value[name], 'invalid_path invalid_path', name);
}));

test('synchronous calls wait for the daemon, and throw what it throws', () => withHost(agent(`
  ctx.db.set('k', { a: 1 });
  let error = null;
  try { ctx.db.get('broken'); } catch (e) { error = e.message; }
  return [ctx.db.get('k'), ctx.db.keys('p'), ctx.search.query('q', 3), ctx.search.query('q', { limit: 4 }),
    ctx.journal.step('type', 'message', { m: 1 }), error];`), async (daemon) => {
  daemon.answer = (op, args) => (args.key === 'broken' ? new Error('it is broken') : [op, args]);
  daemon.run('main');
  assert.deepEqual((await daemon.end()).value, [
    ['db.get', { key: 'k' }], ['db.keys', { prefix: 'p' }], ['search.query', { query: 'q', limit: 3 }],
    ['search.query', { query: 'q', limit: 4 }], ['journal.step', { type: 'type', message: 'message', meta: { m: 1 } }],
    'it is broken']);
}));

test('commands: one waits, one gives a promise', () => withHost(agent(`
  const sync = ctx.shell('one', { timeoutMs: 5 });
  const later = ctx.shellAsync(['two', 'words']);
  return [sync, await later, await ctx.sleep(7)];`), async (daemon) => {
  daemon.run('main');
  const one = await daemon.next((f) => f.t === 'cmd' && f.sync);
  assert.deepEqual(JSON.parse(one.body), { cmd: 'one', opts: { timeoutMs: 5 } });
  daemon.up.write(encode({ t: 'result', ok: true }, JSON.stringify({ exitCode: 3 })));
  const two = await daemon.next((f) => f.t === 'cmd' && f.n === 'two words');
  daemon.send({ t: 'result', run: 'run_1', o: two.o, x: two.x, ok: true }, '{"exitCode":0}');
  const sleep = await daemon.next((f) => f.t === 'cmd' && f.k === 'sleep');
  assert.deepEqual(JSON.parse(sleep.body), { ms: 7 });
  daemon.send({ t: 'result', run: 'run_1', o: sleep.o, x: sleep.x, ok: true }, 'null');
  assert.deepEqual((await daemon.end()).value, [{ exitCode: 3 }, { exitCode: 0 }, null]);
}));

test('fetch tries again, and its answer is plain', async () => {
  let asked = 0;
  const server = http.createServer((request, response) => {
    asked += 1;
    response.writeHead(asked === 1 ? 503 : 200, { 'retry-after': '0.001', 'x-asked': String(asked) });
    response.end('{"a":1}');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await withHost(agent('const r = await ctx.fetch(params.url); return [r.ok, r.status, r.json(), r.headers["x-asked"]];'),
      async (daemon) => {
        daemon.run('main', { url: `http://127.0.0.1:${server.address().port}/` });
        assert.deepEqual((await daemon.end()).value, [true, 200, { a: 1 }, '2']);
      });
  } finally {
    server.close();
  }
});

test('a value of 20 MB goes both ways', () => withHost(agent('return params.text.length + ctx.store.read("big").length;'),
  async (daemon) => {
    fs.writeFileSync(path.join(daemon.work, 'big'), 'x'.repeat(10 << 20));
    daemon.run('main', { text: 'y'.repeat(20 << 20) });
    assert.equal((await daemon.end()).value, 30 << 20);
    assert.equal(frames(daemon, 'value')[0].body.length, (10 << 20) + 2);
  }));
