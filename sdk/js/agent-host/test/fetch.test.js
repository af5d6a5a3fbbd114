'use strict';
const assert = require('node:assert');
const http = require('node:http');
const { test } = require('node:test');
const { agent, withHost } = require('./fake_daemon');

// Runs `body` with the address of a server that counts what it is asked.
async function withServer(handle, body) {
  const asked = [];
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const { method, url } = request;
      asked.push({ method, url, body: Buffer.concat(chunks).toString() });
      handle(response, asked.length, request);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await body(`http://127.0.0.1:${server.address().port}/`, asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const FETCH = agent(`
  const r = await ctx.fetch(params.url, params.options);
  return [r.ok, r.status, r.statusText, await r.text(), r.headers['x-asked'], r.body];`);

test('a fetch is a step: tried again after 503 and 429, its answer is the same on replay', () =>
  withServer((response, count) => {
    const now = count === 1 ? '0.001' : new Date().toUTCString(); // Both forms of it.
    response.writeHead([503, 429][count - 1] ?? 201, { 'retry-after': now, 'x-asked': `${count}` });
    response.end('{"a":1}');
  }, async (url, asked) => {
    let first;
    let replay;
    const options = { method: 'POST', headers: { a: 'b' }, body: 'question' };
    await withHost(FETCH, async (daemon) => {
      first = await daemon.ended('main', { url, options });
      replay = daemon.recorded();
    });
    assert.deepEqual(first.value, [true, 201, 'Created', '{"a":1}', '3', '{"a":1}']);
    assert.deepEqual(asked, Array(3).fill({ method: 'POST', url: '/', body: 'question' }));
    assert.deepEqual(replay[0].slice(1, 3), ['fetch', `POST ${url}`]);
    await withHost(FETCH, async (daemon) => {
      daemon.run('main', { url, options }, { replay });
      assert.deepEqual(await daemon.end(), first);
      assert.deepEqual(daemon.types(), ['hello', 'end']);
      // Another question is another step.
      daemon.run('main', { url, options: { ...options, body: 'other' } }, { id: 'b', replay });
      await daemon.next('mismatch');
    });
    assert.equal(asked.length, 3);
  }));

test('headers that come several times are joined', () => withServer((response) => {
  response.writeHead(200, { 'set-cookie': ['a=1; path=/', 'b=2'], 'x-some': ['1', '2'] });
  response.end();
}, (url) => withHost(agent(`
  const { headers } = await ctx.fetch(params.url);
  return [headers['set-cookie'], headers['x-some']];`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main', { url })).value, ['a=1; path=/, b=2', '1, 2']);
})));

test('a fetch in a step that fails before it is waited for ends nothing', () => withServer((response) => {
  response.destroy();
}, (url) => withHost(agent(`
  return ctx.step('s', async () => {
    const p = ctx.fetch(params.url, { retries: 0 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    try { await p; } catch (e) { return e.code; }
  });`), async (daemon) => {
  assert.equal((await daemon.ended('main', { url })).value, 'UND_ERR_SOCKET');
  assert.equal(daemon.stderr, '');
})));

test('a status that stays bad is given as it is', () => withServer((response) => {
  response.writeHead(500, { 'retry-after': '0' });
  response.end('broken');
}, (url, asked) => withHost(agent(`
  const r = await ctx.fetch(params.url, { retries: 1 });
  let json; try { r.json(); } catch (e) { json = e.name; }
  return [r.ok, r.status, r.body, json];`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main', { url })).value,
    [false, 500, 'broken', 'SyntaxError']);
  assert.equal(asked.length, 2);
})));

test('what does not answer is an error with a code, the same on replay', () =>
  withServer(() => {}, (url) => withHost(agent(`
    const failed = async (url, options) => {
      try { await ctx.fetch(url, { retries: 0, ...options }); }
      catch (e) { return [e.code, e.message]; }
    };
    return [await failed(params.url, { timeoutMs: 5 }), await failed(params.closed)];`),
  async (daemon) => {
    let closed;
    await withServer(() => {}, (address) => { closed = address; });
    const { value: [late, refused] } = await daemon.ended('main', { url, closed });
    assert.deepEqual(late, ['fetch_timeout', `fetch ${url}: no answer within 5 ms`]);
    assert.equal(refused[0], 'ECONNREFUSED');
    const replay = daemon.recorded();
    daemon.run('main', { url, closed }, { id: 'again', replay });
    assert.deepEqual((await daemon.end('again')).value, [late, refused]);
  })));

test('cancelling ends a request, and the wait for the next one', () => withServer(
  (response, count, request) => {
    if (request.url === '/wait') return;
    response.writeHead(503, { 'retry-after': '30' });
    response.end();
  }, (url, asked) => withHost(agent(`
    const got = (path) => ctx.fetch(params.url + path).catch((e) => e.code);
    return Promise.all([got('wait'), got('again')]);`), async (daemon) => {
    daemon.run('main', { url });
    await new Promise((resolve) => { // One is asked and waits, the other was told to come again.
      const look = () => (asked.length === 2 ? resolve() : setImmediate(look));
      look();
    });
    daemon.send({ t: 'cancel', run: 'run_1' });
    assert.deepEqual((await daemon.end()).value, ['canceled', 'canceled']);
  })));

test('the agent may abort a request itself', () => withServer(() => {}, (url) => withHost(agent(`
  const own = new AbortController();
  const answer = ctx.fetch(params.url, { signal: own.signal });
  own.abort(Object.assign(new Error('enough'), { code: 'mine' }));
  try { await answer; } catch (e) { return [e.code, e.message]; }`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main', { url })).value, ['mine', 'enough']);
})));

test('a fetch that nobody waits for fails the run, and one of no URL is a rejection', () => withHost(agent(`
  const bad = ctx.fetch('no URL');
  ctx.fetch(params.url);
  await ctx.step('next', () => 1);
  return bad.catch((e) => e.code);`), async (daemon) => withServer((response) => response.end('x'), async (url) => {
  const { value } = await daemon.ended('main', { url });
  assert.equal(value.code, 'forgotten_await');
  assert.match(value.message, new RegExp(`"GET ${url}"`));
})));

test('inside a step a fetch is part of it; a hundred leave nothing behind', () => withServer(
  (response) => response.end('x'), (url) => withHost(agent(`
    let length = 0;
    await ctx.step('s', async () => { length += (await ctx.fetch(params.url)).body.length; });
    for (let i = 0; i < 100; i += 1) length += (await ctx.fetch(params.url)).body.length;
    return length;`), async (daemon) => {
    assert.equal((await daemon.ended('main', { url })).value, 101);
    assert.equal(daemon.of('cmd').length, 101);
    assert.equal(daemon.stderr, ''); // A listener too many is a warning there.
  })));

test('a name that is not known is told with what lets the cell reach it', () => withHost(agent(`
  const cause = Object.assign(new Error('getaddrinfo ENOTFOUND api.test'), { code: 'ENOTFOUND' });
  globalThis.fetch = async () => { throw Object.assign(new TypeError('fetch failed'), { cause }); };
  return ctx.fetch('https://api.test/v1', { retries: 0 }).catch((e) => [e.code, e.message]);`), async (daemon) => {
  assert.deepEqual((await daemon.ended('main')).value, ['ENOTFOUND', 'fetch https://api.test/v1: fetch failed: ' +
    'getaddrinfo ENOTFOUND api.test (if the cell may not reach it: cellar network dev--test allow api.test)']);
}));
