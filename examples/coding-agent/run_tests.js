'use strict';
// Runs a package's own nodeunit tests: node run_tests.js FOLDER... The nodeunit of 2013 does not
// start on today's Node.js; this offers its interface (groups, setUp, tearDown, test.equal and the
// rest, expect, done) to the test files as they are.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');

const CHECKS = ['ok', 'equal', 'notEqual', 'deepEqual', 'notDeepEqual', 'strictEqual',
  'notStrictEqual', 'throws', 'doesNotThrow', 'ifError'];
const ALIASES = { equals: 'equal', same: 'deepEqual' };
let count = 0;
const failures = [];

function runTest(name, before, body, after) {
  return new Promise((resolve) => {
    let expected;
    let own = 0;
    const fail = (error) => failures.push({ name, error });
    const test = {
      expect(number) { expected = number; },
      done() {
        if (expected !== undefined && expected !== own) fail(new Error(`${own} checks, ${expected} expected`));
        const end = () => resolve();
        if (after) after.call({}, end);
        else end();
      },
    };
    for (const check of [...CHECKS, ...Object.keys(ALIASES)]) {
      test[check] = (...args) => {
        own += 1;
        count += 1;
        try {
          assert[ALIASES[check] ?? check](...args);
        } catch (error) {
          fail(error);
        }
      };
    }
    const start = () => {
      try {
        body.call({}, test);
      } catch (error) {
        fail(error);
        test.done();
      }
    };
    if (before) before.call({}, start);
    else start();
  });
}

async function runGroup(name, group, before, after) {
  const setUp = group.setUp ?? before;
  const tearDown = group.tearDown ?? after;
  for (const [key, entry] of Object.entries(group)) {
    if (key === 'setUp' || key === 'tearDown') continue;
    const full = `${name} - ${key}`;
    if (typeof entry === 'function') await runTest(full, setUp, entry, tearDown);
    else await runGroup(full, entry, setUp, tearDown);
  }
}

async function main(folders) {
  for (const folder of folders) {
    for (const file of fs.readdirSync(folder).filter((entry) => entry.endsWith('.js')).sort()) {
      await runGroup(file, require(path.resolve(folder, file)));
    }
  }
  for (const { name, error } of failures) {
    const where = error.stack.split('\n').find((line) => /\/test\//.test(line)) ?? '';
    console.log(`FAIL ${name}: ${error.message.split('\n')[0]} (${JSON.stringify(error.actual)}) ${where.trim()}`);
  }
  console.log(`${count} checks, ${failures.length} failed`);
  process.exitCode = failures.length ? 1 : 0;
}

main(process.argv.slice(2));
