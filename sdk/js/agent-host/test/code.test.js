'use strict';
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { withHost } = require('./fake_daemon');

const SOURCES = path.join(__dirname, '..');
const JOINS = path.join(SOURCES, '../../../cmake/bundle_js.py');
const AGENT = `
  export default { async go(ctx) { return (await ctx.step('…', () => ctx.cellId + ' ä')).length; },
                   boom: (ctx) => ctx.step('') };`;

// Calls `work` with the folder that the host is in as the daemon has it: joined.
async function withJoined(work) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'agent-host-joined-'));
  try {
    execFileSync('python3', [JOINS, SOURCES, 'host', 'main', 'code', folder]);
    fs.copyFileSync(path.join(SOURCES, 'rehearsal.js'), path.join(folder, 'rehearsal.js'));
    await work({ host: path.join(folder, 'host.js') }, folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

async function check(daemon) {
  assert.deepEqual(await daemon.ended('go', {}, 'a'), { ok: true, code: undefined, value: 11 });
  const { value } = await daemon.ended('boom', {}, 'b');
  assert.match(value.message, /needs a name/);
  assert.match(value.stack, /agent-host-joined-\w+\/all\.js:\d/);
  return (await daemon.next('hello')).lacks;
}

test('joined it is the same, and says what would make its start shorter', () =>
  withJoined(async (options, folder) => {
    let code;
    await withHost(AGENT, async (daemon) => {
      const lacks = await check(daemon);
      assert.match(lacks, /^v[\d.]+-\w+-\d+\.code$/);
      const before = daemon.frames.length;
      daemon.send({ t: 'code' });
      code = await daemon.next('code');
      assert.equal(code.name, lacks);
      assert.deepEqual(daemon.types().slice(before), ['code']); // Nobody hears of the run of nobody's.
      assert.equal(daemon.stderr, '');
    }, options);
    fs.writeFileSync(path.join(folder, code.name), code.body);
    await withHost(AGENT, async (daemon) => assert.equal(await check(daemon), undefined), options);
    fs.writeFileSync(path.join(folder, code.name), code.body.subarray(0, 1000)); // Half of it.
    await withHost(AGENT, async (daemon) => assert.equal(await check(daemon), code.name), options);
  }));

test('joined its program is read by a Node.js that is much too old', () => withJoined(async ({ host }) => {
  const words = fs.readFileSync(host, 'utf8').replace(/'[^']*'|`[^`]*`/g, "''");
  assert.doesNotMatch(words, /\bimport\b|\basync\b|\?\.|\?\?|catch \{|\.\.\.|\*\*/);
}));

test('as files it lacks nothing', () => withHost(AGENT, async (daemon) => {
  assert.equal((await daemon.next('hello')).lacks, undefined);
}));
