'use strict';
// Errors that agents see, and how errors travel.

const { inspect, types: { isNativeError } } = require('node:util');
const { milliseconds } = require('./timers');

class CancelledError extends Error {
  constructor(message = 'the run was cancelled') {
    super(message);
    this.name = 'CancelledError';
    this.code = 'canceled';
  }
}

// Unwinds the code of a run that this process has nothing to do with any more. Nothing that such a
// run still asks for is done. Code that lets a cancel through lets this through, too.
class ParkedRun extends CancelledError {
  constructor() {
    super('this run is over, or goes on elsewhere');
  }
}

// An error of the host's own about the agent as a whole: its code is told in the `end` frame.
class AgentError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// What a step throws to say that no other attempt would help.
class NonRetryableError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = 'NonRetryableError';
    this.code = 'non_retryable';
  }
}

// What a step throws to say when the next attempt is worth it: milliseconds, "30s", or a Date.
class RetryAfterError extends Error {
  constructor(message, after, options) {
    super(message, options);
    this.name = 'RetryAfterError';
    this.code = 'retry_after';
    this.delay = after instanceof Date ? Math.max(0, after - Date.now())
      : milliseconds(after, 'the time of RetryAfterError(message, after)');
  }
}

class StepTimeoutError extends Error {
  constructor(message) {
    super(message);
    this.name = 'StepTimeoutError';
    this.code = 'step_timeout';
  }
}

// A step with onInterrupt "fail" was running when its process ended: whether what it does was done
// is not known, and it is not done again.
class StepInterruptedError extends Error {
  constructor(message) {
    super(message);
    this.name = 'StepInterruptedError';
    this.code = 'step_interrupted';
  }
}

// What was waited for did not come in time.
class WaitTimeoutError extends Error {
  constructor(message) {
    super(message);
    this.name = 'WaitTimeoutError';
    this.code = 'wait_timeout';
  }
}

// The disk has no room for what would have to be recorded: it was not begun, or not kept.
class JournalFullError extends Error {
  constructor(message) {
    super(message);
    this.name = 'JournalFullError';
    this.code = 'journal_full';
  }
}

// Those that agents may throw and recognise, as ctx.errors.
const forAgents = {
  CancelledError, JournalFullError, NonRetryableError, RetryAfterError, StepInterruptedError,
  StepTimeoutError, WaitTimeoutError,
};

function coded(code, message) {
  return Object.assign(new Error(message), { code });
}

// Anything may be thrown, also what cannot be shown.
function shown(value, fallback) {
  try {
    return value === undefined || value === null ? fallback : String(value);
  } catch {
    return fallback;
  }
}

// A member of an error. Reading it may throw, too.
function member(error, key) {
  try {
    return error[key];
  } catch {
    return undefined;
  }
}

// Errors of sensitive steps: what they say is told to nobody but the agent's own code.
const sensitive = new WeakSet();
const REDACTED = 'redacted: the step is sensitive';

// Errors that the promises of the host were rejected with → {run, name, isCommand}. Code may come to a
// promise after it was rejected: that is no reason to end the process.
const handedOut = new WeakMap();

// Anything may be thrown: of a proxy, to look may throw.
function isA(error, kind) {
  try {
    return error instanceof kind;
  } catch {
    return false;
  }
}

function markSensitive(error) {
  sensitive.add(error);
  Object.defineProperty(error, inspect.custom, { value: () => REDACTED }); // Within others, too.
  if (isA(error, AggregateError)) error.errors.forEach(markSensitive);
}

// What makes the error of a step of what is recorded. It is sensitive by the step's options, or by its
// `entry` in the journal.
function restorer(options, entry) {
  return (json) => {
    const error = fromJson(json);
    if (options.sensitive || entry?.sens !== undefined) {
      markSensitive(error);
    }
    return error;
  };
}

// In place of what must not be shown.
function showable(value) {
  return sensitive.has(value) ? REDACTED : value;
}

// As a log shows it.
function inspected(object) {
  if (isNativeError(object)) return '';
  try {
    return inspect(object);
  } catch {
    return '';
  }
}

function cut(text, lengthMax) {
  const left = text.length - lengthMax;
  return left <= 0 ? text : `${text.slice(0, lengthMax)}… (${left} characters more)`;
}

// Of the texts of an error so many characters are told and recorded.
const TEXT_LENGTH_MAX = 65_536;
const NAME_LENGTH_MAX = 200;
// Of an AggregateError so many of its errors, on so many levels, and so many in all; their texts are as much shorter.
const MEMBERS_MAX = 20;
const LEVELS_MAX = 5;
const MEMBERS_IN_ALL_MAX = 50;

// Of causes so many are told, one within the other.
const CAUSES_MAX = 3;

// A name that the cell's network policy does not list is one that nobody knows. `cause`: of what fetch threw.
function networkRemedy(cause, host) {
  if (!host || member(cause, 'code') !== 'ENOTFOUND') return '';
  const cell = process.env.CELLAR_CELL_ID || 'CELL';
  return ` (if the cell may not reach it: cellar network ${cell} allow ${host})`;
}

// What Node.js' own fetch throws says nothing but that it failed.
function messageOf(error, cause) {
  const message = member(error, 'message') ?? inspected(error); // Any object may be thrown.
  if (message !== 'fetch failed' || !isA(cause, Error) || sensitive.has(cause)) return message;
  const why = member(cause, 'message') || member(cause, 'code');
  return why ? `${message}: ${why}${networkRemedy(cause, member(cause, 'hostname'))}` : message;
}

// The stack with its causes, as Node.js prints it. `left`: how many causes may be told yet.
function stackOf(error, lengthMax, left = CAUSES_MAX) {
  const stack = shown(member(error, 'stack'), '');
  const cause = left > 0 && stack !== '' ? member(error, 'cause') : undefined;
  if (cause === undefined) return cut(stack, lengthMax);
  const told = causeText(cause, lengthMax, left - 1).replaceAll('\n', '\n  ');
  return cut(`${stack} {\n  [cause]: ${told}\n}`, lengthMax);
}

function causeText(cause, lengthMax, left) {
  if (sensitive.has(cause)) return REDACTED;
  if (!isA(cause, Error)) return cut(inspected(cause) || shown(cause, ''), lengthMax);
  const { name, message } = { name: member(cause, 'name'), message: member(cause, 'message') };
  return stackOf(cause, lengthMax, left) || cut(`${shown(name, 'Error')}: ${shown(message, '')}`, lengthMax);
}

// `lengthMax`: of its message and of its stack. Of one within others `level` says how many, and `places.left`
// how many may be told yet.
function toJson(error, lengthMax = TEXT_LENGTH_MAX, level = 0, places = { left: MEMBERS_IN_ALL_MAX }) {
  if (sensitive.has(error)) {
    const name = Object.values(forAgents).find((kind) => isA(error, kind))?.name ?? 'Error';
    return { name, message: REDACTED, stack: '', code: 'sensitive' };
  }
  if (error === null || typeof error !== 'object') {
    return { name: 'Error', message: cut(shown(error, error === null ? 'null' : typeof error), lengthMax), stack: '' };
  }
  const code = member(error, 'code');
  const message = messageOf(error, member(error, 'cause'));
  const json = {
    name: cut(shown(member(error, 'name'), 'Error'), NAME_LENGTH_MAX),
    message: cut(shown(message, ''), lengthMax),
    stack: stackOf(error, lengthMax),
  };
  if (typeof code === 'string') json.code = cut(code, NAME_LENGTH_MAX);
  if (Number.isFinite(code)) json.code = code;
  const members = isA(error, AggregateError) && level < LEVELS_MAX ? member(error, 'errors') : undefined;
  if (Array.isArray(members)) json.errors = membersJson(members, lengthMax, level + 1, places);
  return json;
}

function membersJson(members, lengthMax, level, places) {
  const told = [];
  const count = Math.min(members.length, MEMBERS_MAX);
  while (told.length < count && places.left > 0) {
    places.left -= 1;
    told.push(toJson(members[told.length], Math.floor(lengthMax / (8 * count)), level, places));
  }
  const more = members.length - told.length;
  return more === 0 ? told : [...told, toJson(coded('more_errors', `… and ${more} more`))];
}

// To the agent's output.
function show(error) {
  const { name, message, stack } = toJson(error);
  process.stderr.write(`${stack || `${name}: ${message}`}\n`);
}

// The same error again: class, name, message, stack and code are what they were.
function fromJson(json) {
  const error = Array.isArray(json.errors) ? new AggregateError(json.errors.map(fromJson), json.message)
    : new Error(json.message);
  const kind = Object.hasOwn(forAgents, json.name) ? forAgents[json.name] : undefined;
  if (kind !== undefined) Object.setPrototypeOf(error, kind.prototype);
  for (const key of ['name', 'stack', 'code']) {
    if (json[key] === undefined) continue;
    Object.defineProperty(error, key, {
      value: json[key], enumerable: key === 'code', configurable: true, writable: true,
    });
  }
  return error;
}

module.exports = {
  AgentError, CancelledError, NonRetryableError, ParkedRun, REDACTED, RetryAfterError, StepTimeoutError,
  coded, forAgents, fromJson, handedOut, isA, member, networkRemedy, restorer, show, showable, toJson,
};
