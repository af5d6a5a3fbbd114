'use strict';
// ctx.waitForEvent, ctx.approve and ctx.spawn: the daemon waits, and this process may be gone meanwhile.

const { coded } = require('./errors');
const { milliseconds } = require('./timers');
const { fingerprint, nameOf, stringify } = require('./values');

const ARGUMENTS_BYTES_MAX = 60 << 10;
const ID_BYTES_MAX = 256; // As of an idempotency key.

function optionsOf(call, name, given, keys) {
  if (typeof name !== 'string' || name === '') {
    throw coded('invalid_wait', `${call}(name, options?) needs a name`);
  }
  const options = given ?? {};
  for (const key of Object.keys(options)) {
    if (![...keys, 'timeout', 'onTimeout'].includes(key)) {
      throw coded('invalid_wait', `${call}("${name}") has the unknown option "${key}"`);
    }
  }
  return options;
}

function checkedSpawn(method, options) {
  for (const key of Object.keys(options)) {
    if (key !== 'id') throw coded('invalid_spawn', `ctx.spawn("${method}") has the unknown option "${key}"`);
  }
  const { id } = options;
  const isId = typeof id === 'string' && id !== '' && Buffer.byteLength(id) <= ID_BYTES_MAX;
  if (id !== undefined && !isId) {
    throw coded('invalid_spawn', `the id of ctx.spawn("${method}") must be a text of 1 to ${ID_BYTES_MAX} bytes`);
  }
  return options;
}

// Whether JSON says all of it: what is undefined would be left out, and the rest be less than was asked for.
function isWhole(value) {
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isWhole);
  return !['undefined', 'function', 'symbol'].includes(typeof value);
}

function isMatch(value) {
  if (value === undefined) return true;
  return Object.prototype.toString.call(value) === '[object Object]' && isWhole(value);
}

function makeWaits(run) {
  // One that an earlier host has let through is given on.
  const wasRecorded = (kind, name, json) => {
    const entry = run.ordinals.peek();
    return entry?.k === kind && entry.n === nameOf(run.names.peek(name)) && entry.fp === fingerprint(json);
  };
  // `args` of a command whose wait may end by a timeout.
  const wait = (kind, call, name, options, args) => {
    if (run.inStep) {
      throw coded('nested_wait', `${call}("${name}") is inside a step: end the step first`);
    }
    const { timeout } = options;
    const all = timeout === undefined ? args
      : { ...args, timeout: Math.round(milliseconds(timeout, `the timeout of ${call}("${name}")`)) };
    const json = stringify(all, `the options of ${call}("${name}")`);
    if (!isMatch(args.match) && !wasRecorded(kind, name, json)) {
      throw coded('invalid_wait', `the match of ${call}("${name}") must be an object in which nothing is undefined`);
    }
    const size = Buffer.byteLength(json);
    if (size > ARGUMENTS_BYTES_MAX) {
      throw coded('too_large', `the options of ${call}("${name}") take ${size} bytes as JSON, ` +
        `at most ${ARGUMENTS_BYTES_MAX}: keep the rest in a file`);
    }
    const instead = (error) => {
      if (error?.code === 'wait_timeout') return options.onTimeout;
      throw error;
    };
    const finish = Object.hasOwn(options, 'onTimeout') ? (work) => work.catch(instead) : undefined;
    return run.command(kind, () => [run.names.take(name), all], finish);
  };
  return {
    // Begins another run of this agent, once; its result is waited for with result(). Those with one `id`
    // are the same run, however often this one continues.
    spawn(method, params, options) {
      if (typeof method !== 'string' || method === '' || method.length > 256) {
        throw coded('invalid_spawn', 'ctx.spawn(method, params?, options?) needs the name of a method');
      }
      const { id } = checkedSpawn(method, options ?? {});
      if (run.inStep) {
        throw coded('nested_spawn', `ctx.spawn("${method}") is inside a step: end the step first`);
      }
      const begun = (child) => ({
        id: child.run,
        result: () => run.command('child', () => [run.names.take(method), { run: child.run }]),
      });
      return run.command('spawn', () => [run.names.take(method), { method, params: params ?? {}, id }],
        (work) => work.then(begun));
    },
    waitForEvent(name, given) {
      const options = optionsOf('ctx.waitForEvent', name, given, ['type', 'match']);
      const { type = name, match } = options;
      if (typeof type !== 'string' || type === '') {
        throw coded('invalid_wait', `the type of ctx.waitForEvent("${name}") must be a text`);
      }
      return wait('wait', 'ctx.waitForEvent', name, options, { type, match });
    },
    approve(name, given) {
      const options = optionsOf('ctx.approve', name, given, ['prompt', 'data']);
      const { prompt, data } = options;
      if (prompt !== undefined && typeof prompt !== 'string') {
        throw coded('invalid_wait', `the prompt of ctx.approve("${name}") must be a text`);
      }
      return wait('approval', 'ctx.approve', name, options, { prompt, data });
    },
  };
}

module.exports = { makeWaits };
