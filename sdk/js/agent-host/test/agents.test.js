'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const { test } = require('node:test');
const { withHost } = require('./fake_daemon');

const METHODS = `
  module.exports = {
    value: (ctx, p) => p.a + 1, nothing() {}, async later() { return [1]; },
    boom() { throw Object.assign(new TypeError('bad luck'), { code: 'E_BAD' }); },
    text() { throw 'only a text'; },
    cycle() { const a = {}; a.a = a; return a; },
    big() { return 10n; },
    self() { return this.value(null, { a: 4 }); },
    setup() {}, constant: 5,
  };`;

test('values and promises of a method reach the daemon', () => withHost(METHODS, async (daemon) => {
  assert.deepEqual(await daemon.ended('value', { a: 1 }, 'a'),
    { ok: true, code: undefined, value: 2 });
  assert.equal((await daemon.ended('nothing', {}, 'b')).value, null);
  assert.deepEqual((await daemon.ended('later', {}, 'c')).value, [1]);
  assert.equal((await daemon.ended('self', {}, 'd')).value, 5);
}));

test('what a method throws reaches the daemon whole', () => withHost(METHODS, async (daemon) => {
  const boom = await daemon.ended('boom', {}, 'a');
  const { stack, ...rest } = boom.value;
  assert.deepEqual(rest, { name: 'TypeError', message: 'bad luck', code: 'E_BAD' });
  assert.match(stack, /TypeError: bad luck\n.*agent\.js:4/);
  // The code beside `ok` is the host's own word; an agent's error has its code inside.
  assert.deepEqual([boom.ok, boom.code], [false, undefined]);
  assert.equal((await daemon.ended('text', {}, 'b')).value.message, 'only a text');
}));

test('a result that is not JSON fails the run and names the method', () =>
  withHost(METHODS, async (daemon) => {
    for (const method of ['cycle', 'big']) {
      const { ok, value } = await daemon.ended(method, {}, method);
      assert.equal(ok, false);
      assert.match(value.message, new RegExp(`what ${method}\\(\\) returns is not JSON`));
    }
  }));

test('only what the agent exports is a method', () => withHost(METHODS, async (daemon) => {
  for (const name of ['nope', 'constructor', 'toString', '__proto__', 'setup', 'constant']) {
    const { ok, code, value } = await daemon.ended(name, {}, name);
    assert.deepEqual([ok, code], [false, 'method_not_found'], name);
    assert.match(value.message, new RegExp(`no method "${name}"; it has value, nothing, later, `));
    assert.doesNotMatch(value.message, /it has .*(setup|constant)/);
  }
}));

test('an agent may be CommonJS with node modules, or an ES module of any shape', async () => {
  const sources = [
    'const fs = require("node:fs"); exports.main = () => typeof fs.readFileSync;',
    '#!/usr/bin/env node\nexports.main = () => typeof require("fs").readFileSync;',
    'exports.main = async () => typeof (await import("node:fs")).readFileSync;',
    'import fs from "node:fs"; export const main = () => typeof fs.readFileSync;',
    'import fs from "node:fs"; export default { main: () => typeof fs.readFileSync };',
    'const fs = await import("node:fs");\nexport function main() { return typeof fs.readFileSync }',
    'var m=()=>"function";export{m as main};',
    'export const main = () => typeof import.meta.url === "string" ? "function" : "";',
  ];
  for (const source of sources) {
    await withHost(source, async (daemon) => {
      assert.equal((await daemon.ended('main')).value, 'function', source);
    });
  }
});

test('an agent that does not load says why, and is read again the next time', async () => {
  const sources = {
    'module.exports = {\n  a() {},\n  b( {\n};': /: agent\.js:4: SyntaxError: Unexpected token ';'$/,
    'export const a = 1;\nexport const main = () => {;': /: agent\.js:2: SyntaxError: /,
    '\nthrow new RangeError("at the top");': /: agent\.js:2:7: RangeError: at the top$/,
    'import "node:fs";\nthrow new RangeError("at the top");': /: agent\.js:2:7: RangeError: at the top$/,
    'require("no-such-module");': /: agent\.js:1:1: Error: Cannot find module/,
    'throw null;': /null/,
  };
  for (const [source, why] of Object.entries(sources)) {
    await withHost(source, async (daemon) => {
      const { ok, code, value } = await daemon.ended('main');
      assert.deepEqual([ok, code], [false, 'agent_load_failed'], source);
      assert.match(value.message, why);
      fs.writeFileSync(daemon.agent, 'exports.main = () => 1;');
      assert.equal((await daemon.ended('main', {}, 'again')).value, 1);
    });
  }
  await withHost('', async (daemon) => {
    fs.rmSync(daemon.agent);
    const { code, value } = await daemon.ended('main');
    assert.equal(code, 'agent_load_failed');
    assert.match(value.message, /ENOENT/);
  });
});

test('an agent is loaded once, setup runs where the daemon asks for it', () => withHost(`
  let count = 0;
  module.exports = { setup(ctx) { count += 1; ctx.db.set('s', count); }, main: () => count };`,
async (daemon) => {
  daemon.answer = () => true;
  daemon.run('main', {}, { setup: true });
  assert.equal((await daemon.end()).value, 1);
  assert.deepEqual(daemon.frames.filter((f) => f.o > 0).map((f) => [f.t, f.o]),
    [['call', 1], ['setup.done', 2]]);
  assert.equal((await daemon.ended('main', {}, 'run_2')).value, 1);
}));

test('a setup that fails fails the run, and one that is not there is done', async () => {
  const failing = 'exports.setup = () => { throw new Error("no"); }; exports.main = () => 1;';
  await withHost(failing, async (daemon) => {
    daemon.run('main', {}, { setup: true });
    assert.equal((await daemon.end()).value.message, 'no');
    assert.deepEqual(daemon.of('setup.done'), []);
  });
  await withHost('exports.main = () => 1;', async (daemon) => {
    daemon.run('main', {}, { setup: true });
    assert.equal((await daemon.end()).value, 1);
    assert.deepEqual(daemon.of('setup.done').map((frame) => frame.o), [1]);
  });
});
