'use strict';
const assert = require('node:assert');
const { test } = require('node:test');
const { fromJson, toJson } = require('../errors');
const { agent, withHost } = require('./fake_daemon');

const because = (message, cause) => Object.assign(new Error(message, { cause }), { stack: `Error: ${message}\n    at x` });

test('the stack of an error has its causes, as Node.js shows them, three at most', () => {
  const { stack } = toJson(because('a', because('b', 'text')));
  assert.equal(stack, "Error: a\n    at x {\n  [cause]: Error: b\n      at x {\n    [cause]: 'text'\n  }\n}");
  const circle = because('a');
  circle.cause = circle;
  assert.equal(toJson(circle).stack.split('[cause]').length, 4);
  assert.ok(toJson(because('a', because('b'.repeat(200_000)))).stack.length < 66_000);
  assert.equal(toJson(fromJson(toJson(because('a', 1)))).stack, toJson(because('a', 1)).stack); // Not twice.
});

test('of an error of a sensitive step nothing is told where it is a cause', () => withHost(agent(`
  const throws = () => { throw new Error('secret'); };
  const cause = await ctx.step('s', throws, { sensitive: 'output' }).catch((e) => e);
  throw new TypeError('fetch failed', { cause });`), async (daemon) => {
  const { value } = await daemon.ended('main');
  assert.equal(value.message, 'fetch failed');
  assert.match(value.stack, /\[cause\]: redacted/);
  assert.ok(!JSON.stringify(value).includes('secret'));
}));

test('a fetch of the code that fails says why, and what lets the cell reach the host, live and on replay', () => withHost(
  agent(`
  const cause = Object.assign(new Error('getaddrinfo ENOTFOUND api.test'), { code: 'ENOTFOUND', hostname: 'api.test' });
  const reset = Object.assign(new Error(''), { code: 'ECONNRESET' });
  const tried = async (why) => {
    try { await ctx.step('s', () => { throw new TypeError('fetch failed', { cause: why }); }); } catch (e) {
      return [e.message, e.stack];
    }
  };
  return [await tried(cause), await tried(reset), await tried(undefined)];`), async (daemon) => {
    const live = await daemon.ended('main', {}, 'live');
    assert.deepEqual(live.value.map(([message]) => message), ['fetch failed: getaddrinfo ENOTFOUND api.test ' +
      '(if the cell may not reach it: cellar network dev--test allow api.test)', 'fetch failed: ECONNRESET', 'fetch failed']);
    assert.match(live.value[0][1], /\[cause\]: Error: getaddrinfo/);
    daemon.run('main', {}, { id: 'again', replay: daemon.recorded('live') });
    assert.deepEqual(await daemon.end('again'), live);
  }));
