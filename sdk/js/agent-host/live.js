'use strict';
// What goes on, and is no data: a response, a stream, a promise, a generator. JSON.stringify makes {} of it
// and says nothing.

const { isGeneratorObject, isPromise } = require('node:util').types;
const { coded } = require('./errors');

const LEFT_OUT = [Object.prototype, Array.prototype, null]; // Prototypes of plain data.
// What to keep in its place, by what it says to be.
const BY_TAG = {
  Response: 'keep what `await response.json()` or `await response.text()` gives',
  Request: 'keep its url, method and body',
  ReadableStream: 'read it first',
  WritableStream: 'keep what was written',
  TransformStream: 'read it first',
};

// {kind, remedy} of such an object, or undefined.
function kindOf(object) {
  if (isPromise(object)) return { kind: 'promise', remedy: 'await it' };
  if (isGeneratorObject(object)) return { kind: 'generator', remedy: 'go through it, and keep what it gives' };
  const tag = object[Symbol.toStringTag];
  if (typeof tag === 'string' && Object.hasOwn(BY_TAG, tag)) return { kind: tag, remedy: BY_TAG[tag] };
  if (typeof object.pipe === 'function' && typeof object.on === 'function') {
    return { kind: 'stream', remedy: 'read it first' };
  }
  const isIterator = typeof object.next === 'function' &&
    (typeof object[Symbol.iterator] === 'function' || typeof object[Symbol.asyncIterator] === 'function');
  return isIterator ? { kind: 'iterator', remedy: 'go through it, and keep what it gives' } : undefined;
}

// Of an object that does not say itself what it is as JSON. Of plain ones nothing more is asked.
function isLive(object) {
  return !LEFT_OUT.includes(Object.getPrototypeOf(object)) && kindOf(object) !== undefined;
}

function isObject(value) {
  return typeof value === 'object' && value !== null;
}

// Whether what JSON.stringify has written holds such a thing.
function holdsLive(value) {
  if (!isObject(value) || ArrayBuffer.isView(value) || typeof value.toJSON === 'function') return false;
  return isLive(value) || Object.values(value).some(holdsLive);
}

// [place, member] of each.
function* membersOf(object) {
  const at = (key) => `[${typeof key === 'string' ? JSON.stringify(key) : isObject(key) ? '…' : String(key)}]`;
  if (object instanceof Map) {
    for (const [key, member] of object) yield* [[at(key), member], ['[a key]', key]];
  } else if (object instanceof Set) {
    for (const member of object) yield ['', member];
  } else if (typeof object.toJSON === 'function') {
    yield ['', object.toJSON()];
  } else {
    for (const [key, member] of Object.entries(object)) yield [at(Array.isArray(object) ? Number(key) : key), member];
  }
}

// The first such thing, and where it is.
function find(value, seen = new Set()) {
  if (!isObject(value) || seen.has(value) || ArrayBuffer.isView(value)) return undefined;
  seen.add(value);
  if (typeof value.toJSON !== 'function' && isLive(value)) return { ...kindOf(value), place: '' };
  for (const [place, member] of membersOf(value)) {
    const found = find(member, seen);
    if (found !== undefined) return { ...found, place: place + found.place };
  }
  return undefined;
}

// The error of a value that holds something live; `what` names it.
function refusalOf(value, what) {
  const { kind, remedy, place } = find(value) ?? { kind: 'stream', remedy: 'read it first', place: '' };
  return coded('not_serialisable',
    `${what} holds a${kind === 'iterator' ? 'n' : ''} ${kind}${place && ` at ${place}`}, which cannot be written down: ${remedy}`);
}

// What a method gives that is a generator would be {}, with nothing of it done.
function checkNoGenerator(value, call) {
  if (!isGeneratorObject(value)) return;
  throw coded('not_serialisable', `${call} is a generator, and nothing goes through it: make it an ordinary async ` +
    'method, and call ctx.stream(…) for each part');
}

module.exports = { checkNoGenerator, holdsLive, isLive, refusalOf };
