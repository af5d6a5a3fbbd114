'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { agent, withHost } = require('./fake_daemon');

test('files are read, written, listed and deleted below the work folder', () => withHost(agent(`
  const s = ctx.store;
  const before = [s.read('a/b.txt'), s.exists('a'), s.delete('a'), s.list('none')];
  s.write('a/b.txt', 'text'); s.write('bytes', Buffer.from([0, 255])); s.write('a/b.txt', 'new');
  s.write(ctx.workDir + '/a/.git/x', '');
  return { before, text: s.read('a/b.txt'), bytes: [...s.read('bytes', { encoding: null })],
    base64: s.read('bytes', { encoding: 'base64' }), noBytes: s.read('none', { encoding: null }),
    all: s.list(), below: s.list('a'), gone: [s.delete('a'), s.exists('a/b.txt')] };`),
async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value, {
    before: [null, false, false, []], text: 'new', bytes: [0, 255], base64: 'AP8=', noBytes: null,
    all: ['a/.git/x', 'a/b.txt', 'bytes'], below: ['.git/x', 'b.txt'], gone: [true, false],
  });
  assert.deepEqual(fs.readdirSync(daemon.work), ['bytes']);
}));

test('what a file gives is what a replay gives, also where its text is cut in the middle of a character', () =>
  withHost(agent(`
    ctx.store.write('f', Buffer.from([0x3d, 0xd8, 0x61, 0]));
    return [...ctx.store.read('f', 'utf16le')].map((c) => c.codePointAt(0));`), async (daemon) => {
    const first = await daemon.ended('main');
    assert.deepEqual(first.value, [0xfffd, 0x61]);
    daemon.run('main', {}, { id: 'again', replay: daemon.recorded() });
    assert.deepEqual(await daemon.end('again'), first);
  }));

test('no path leads outside, by dots, by its start or by a link', () => withHost(agent(`
  const tried = {};
  const doing = (what) => { try { what(); return 'done'; } catch (e) { return e.code; } };
  for (const path of params.paths) {
    tried[path] = [doing(() => ctx.store.read(path)), doing(() => ctx.store.write(path, 'x')),
      doing(() => ctx.store.exists(path)), doing(() => ctx.store.delete(path))].join(' ');
  }
  return tried;`), async (daemon) => {
  const outside = path.join(daemon.dir, 'outside');
  fs.symlinkSync('/etc', path.join(daemon.work, 'link'));
  fs.symlinkSync('..', path.join(daemon.work, 'up'));
  fs.symlinkSync(outside, path.join(daemon.work, 'dangling')); // Made later by somebody, perhaps.
  fs.symlinkSync('dangling', path.join(daemon.work, 'chain'));
  const paths = ['../x', '/etc/passwd', '../work2/x', 'link', 'link/passwd', 'link/new/x', 'up/x',
    'a/../../x', 'dangling', 'dangling/x', 'chain/x', '', 'a\0b'];
  const { value } = await daemon.ended('main', { paths });
  for (const name of paths) {
    assert.equal(value[name], Array(4).fill('invalid_path').join(' '), name);
  }
  assert.deepEqual(fs.readdirSync(daemon.dir).sort(), ['agent.js', 'work']);
  assert.deepEqual(fs.readdirSync(daemon.work).sort(), ['chain', 'dangling', 'link', 'up']);
}));

test('links inside are followed', () => withHost(agent(`
  ctx.store.write('inside/new', 'through');
  return [ctx.store.read('real/new'), ctx.store.list()];`),
async (daemon) => {
  fs.mkdirSync(path.join(daemon.work, 'real'));
  fs.symlinkSync('real', path.join(daemon.work, 'inside'));
  assert.deepEqual((await daemon.ended('main')).value, ['through', ['inside', 'real/new']]);
}));

test('a write that fails leaves nothing behind, the work folder itself is no file', () =>
  withHost(agent(`
    ctx.store.write('folder/file', 'x');
    const codes = [];
    for (const path of ['folder', '.', ctx.workDir]) {
      try { ctx.store.write(path, 'y'); } catch (e) { codes.push(e.code); }
    }
    try { ctx.store.delete('.'); } catch (e) { codes.push(e.code); }
    try { ctx.store.write('object', {}); } catch (e) { codes.push(e.code); }
    return codes;`), async (daemon) => {
    assert.deepEqual((await daemon.ended('main')).value,
      ['EISDIR', 'invalid_path', 'invalid_path', 'invalid_path', 'invalid_content']);
    assert.deepEqual(fs.readdirSync(daemon.work), ['folder']);
    assert.deepEqual(fs.readdirSync(daemon.dir).sort(), ['agent.js', 'work']);
  }));

test('a file keeps its mode when it is written, and a long name is no problem', () =>
  withHost(agent("for (const path of params.paths) ctx.store.write(path, 'new');"),
    async (daemon) => {
      const script = path.join(daemon.work, 'script');
      fs.writeFileSync(script, 'old');
      fs.chmodSync(script, 0o755);
      const { ok } = await daemon.ended('main', { paths: ['script', 'n'.repeat(255)] });
      assert.equal(ok, true);
      assert.equal(fs.statSync(script).mode & 0o777, 0o755);
    }));

test('what is written or deleted is durable with its name and the folders that were made', () =>
  withHost(agent(`
    const fs = require('node:fs');
    const path = require('node:path');
    const real = fs.fsyncSync;
    const synced = [];
    fs.fsyncSync = (fd) => {
      real(fd);
      synced.push(path.relative(ctx.workDir, fs.readlinkSync('/proc/self/fd/' + fd)));
    };
    ctx.store.write('a/b/file', 'x'); ctx.store.write('a/b/file', 'y');
    ctx.store.delete('a/b/file'); ctx.store.delete('a/b');
    fs.fsyncSync = real;
    return synced.map((name) => (name.includes('.cellar-') ? 'draft' : name));`),
  async (daemon) => {
    assert.deepEqual((await daemon.ended('main')).value,
      ['draft', 'a/b', 'a', '', 'draft', 'a/b', 'a/b', 'a']);
  }));

test('in a step files are not journaled, outside each use is', () => withHost(agent(`
  await ctx.step('s', () => { ctx.store.write('a', '1'); return ctx.store.list(); });
  ctx.store.write('b', '2'); ctx.store.read('a'); ctx.store.exists('c'); ctx.store.delete('a');
  ctx.store.list();`), async (daemon) => {
  await daemon.ended('main');
  assert.deepEqual(daemon.of('value').map((f) => [f.o, f.k, f.n, f.body.toString()]), [
    [2, 'store.write', 'b', 'true'], [3, 'store.read', 'a', '"1"'],
    [4, 'store.exists', 'c', 'false'], [5, 'store.delete', 'a', 'true'],
    [6, 'store.list', '', '["b"]'],
  ]);
}));
