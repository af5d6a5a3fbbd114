'use strict';
// ctx.waitForEvent, ctx.approve and ctx.spawn: the daemon waits, and this process may be gone meanwhile.

const { coded } = require('./errors');
const { milliseconds } = require('./timers');
const { stringify } = require('./values');

const ARGUMENTS_BYTES_MAX = 60 << 10;

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

function makeWaits(run) {
  // `args` of a command whose wait may end by a timeout.
  const wait = (kind, call, name, options, args) => {
    if (run.inStep) {
      throw coded('nested_wait', `${call}("${name}") is inside a step: end the step first`);
    }
    const { timeout } = options;
    const all = timeout === undefined ? args
      : { ...args, timeout: Math.round(milliseconds(timeout, `the timeout of ${call}("${name}")`)) };
    const size = Buffer.byteLength(stringify(all, `the options of ${call}("${name}")`));
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
    // Begins another run of this agent, once; its result is waited for with result().
    spawn(method, params) {
      if (typeof method !== 'string' || method === '' || method.length > 256) {
        throw coded('invalid_spawn', 'ctx.spawn(method, params?) needs the name of a method');
      }
      if (run.inStep) {
        throw coded('nested_spawn', `ctx.spawn("${method}") is inside a step: end the step first`);
      }
      const begun = ({ run: id }) => ({
        id,
        result: () => run.command('child', () => [run.names.take(method), { run: id }]),
      });
      return run.command('spawn', () => [run.names.take(method), { method, params: params ?? {} }],
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
