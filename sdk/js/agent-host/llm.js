'use strict';
// ctx.llm: a model is asked by the daemon, which has the keys. One durable step.

const { coded } = require('./errors');
const { milliseconds } = require('./timers');
const { fingerprint, nameOf, stringify } = require('./values');

const SHOWN_NAME_MAX = 200;
// How a call is carried through: what makes two calls the same is the rest.
const MANNERS = ['name', 'timeout', 'retries', 'stream', 'onToken'];

function wholeMs(value, what) {
  return Math.max(1, Math.round(milliseconds(value, what)));
}

// A time is that of an attempt; an object says more.
function timesOf(given) {
  if (given === undefined || given === null) return {};
  const asked = typeof given === 'object' ? given : { attempt: given };
  const names = { attempt: 'timeout_ms', total: 'total_ms', firstByte: 'first_byte_ms' };
  const times = {};
  for (const [key, value] of Object.entries(asked)) {
    if (!Object.hasOwn(names, key)) {
      throw coded('invalid_llm_request', `ctx.llm.chat: "timeout" has no option "${key}"`);
    }
    if (value !== undefined) times[names[key]] = wholeMs(value, `the timeout of ctx.llm.chat (${key})`);
  }
  return times;
}

function checked(options) {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw coded('invalid_llm_request', 'ctx.llm.chat needs an object {messages, …}');
  }
  const { name, onToken } = options;
  if (name !== undefined && (typeof name !== 'string' || name === '')) {
    throw coded('invalid_llm_request', 'ctx.llm.chat: "name" must be a text');
  }
  if (onToken !== undefined && typeof onToken !== 'function') {
    throw coded('invalid_llm_request', 'ctx.llm.chat: "onToken" must be a function (text)');
  }
}

function makeLlm(run) {
  return {
    chat(options) {
      return run.command('llm', () => {
        checked(options);
        const { name, timeout, retries, stream, onToken } = options;
        const asked = Object.fromEntries(
          Object.entries(options).filter(([key]) => !MANNERS.includes(key)));
        const args = { ...asked, ...timesOf(timeout), retries, stream };
        if (onToken !== undefined) args.on_token = true;
        const fp = fingerprint(stringify(asked, 'the request of ctx.llm.chat'));
        const shown = nameOf(name ?? `chat ${options.model ?? ''}`.trim(), SHOWN_NAME_MAX);
        return [shown, args, { fp, onPart: onToken }];
      });
    },
  };
}

module.exports = { makeLlm };
