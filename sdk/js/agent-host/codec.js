'use strict';
// Values of steps as text, so that a replay gives what was given live: JSON where that is enough
// (codec "json"), else JSON in which {"$": type, "v": …} stands for what JSON has not ("typed").

const util = require('node:util');
const { coded, fromJson, toJson } = require('./errors');
const { isLive, refusalOf } = require('./live');
const { BODY_BYTES_MAX, checkSize, toText, withoutHalfPairs } = require('./values');

const { isAnyArrayBuffer, isDate, isMap, isNativeError, isRegExp, isSet } = util.types;
const VIEWS = new Map([Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array,
  Uint32Array, Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView,
  globalThis.Float16Array] // Node 24 has it.
  .filter((kind) => kind !== undefined).map((kind) => [kind.name, kind]));

const LEVELS_MAX = 1000; // What is deeper in typed values might be written and not read: both use the stack.

function isPlainNumber(value) {
  return Number.isFinite(value) && !Object.is(value, -0);
}

// What an object says itself that it is as JSON.
function asJson(object) {
  return typeof object.toJSON === 'function' ? object.toJSON() : object;
}

// Whether JSON would give `value` back as something else. `isGiven`: an object's toJSON gave it, and
// it is not asked again, as JSON.stringify does not.
function needsTypes(value, isGiven = false) {
  switch (typeof value) {
    case 'number': return !isPlainNumber(value);
    case 'undefined':
    case 'bigint': return true;
    case 'object': break;
    default: return false;
  }
  if (value === null) return false;
  if (Array.isArray(value)) return value.some((item) => needsTypes(item)) || Object.keys(value).length < value.length;
  if (isSpecial(value) || Object.hasOwn(value, '$')) return true;
  const given = isGiven ? value : asJson(value);
  if (given !== value) return needsTypes(given, true);
  return isLive(value) || Object.values(value).some((item) => needsTypes(item)); // The encoder refuses it.
}

function isSpecial(value) {
  return isDate(value) || isMap(value) || isSet(value) || isRegExp(value) || isNativeError(value) ||
    isAnyArrayBuffer(value) || ArrayBuffer.isView(value);
}

function tagged(type, v) {
  return v === undefined ? { $: type } : { $: type, v };
}

function tooDeep(what) {
  return coded('not_serialisable', `${what} is nested too deep to be written down`);
}

// Of the engine: toJSON and getters may throw errors of that class, too.
function isStackFull(error) {
  return error instanceof RangeError && /call stack/.test(error.message);
}

class Encoder {
  constructor(root, what) {
    this.root = root;
    this.what = what;
    this.base64Length = 0; // of all bytes
    this.above = new Set(); // the objects that hold the one at hand
  }

  value(value, isGiven = false) {
    switch (typeof value) {
      case 'number': return isPlainNumber(value) ? value
        : tagged('number', Object.is(value, -0) ? '-0' : String(value));
      case 'bigint': return tagged('bigint', value.toString());
      case 'undefined':
      case 'function':
      case 'symbol': return tagged('undefined');
      case 'object': return value === null ? null : this.#nested(value, isGiven);
      default: return value;
    }
  }

  // All of it, as the text.
  text() {
    const encoded = this.value(this.root);
    if (this.base64Length > BODY_BYTES_MAX) {
      throw coded('too_large', `${this.what} takes more than ${this.base64Length} bytes as JSON, at most ` +
        `${BODY_BYTES_MAX}: its bytes are written as base64`);
    }
    return JSON.stringify(encoded);
  }

  // Written when all is known to be small enough: before that it would take the memory of the process.
  #base64(buffer, offset = 0, length = buffer.byteLength) {
    this.base64Length += 4 * Math.ceil(length / 3);
    return { toJSON: () => Buffer.from(buffer, offset, length).toString('base64') };
  }

  #nested(object, isGiven) {
    if (this.above.has(object)) {
      throw coded('not_serialisable', `${this.what} holds itself: a circle cannot be written down`);
    }
    if (this.above.size === LEVELS_MAX) throw tooDeep(this.what);
    this.above.add(object);
    const encoded = this.#object(object, isGiven);
    this.above.delete(object);
    return encoded;
  }

  #object(object, isGiven) {
    const all = (list) => Array.from(list, (value) => this.value(value));
    if (Array.isArray(object)) return all(object);
    if (isDate(object)) return tagged('Date', this.value(object.getTime()));
    if (isMap(object)) return tagged('Map', Array.from(object, (pair) => all(pair)));
    if (isSet(object)) return tagged('Set', all(object));
    if (isRegExp(object)) return tagged('RegExp', [object.source, object.flags]);
    if (isNativeError(object)) return tagged('Error', toJson(object, Infinity));
    if (isAnyArrayBuffer(object)) return tagged('ArrayBuffer', this.#base64(object));
    if (ArrayBuffer.isView(object)) {
      const type = Buffer.isBuffer(object) ? 'Buffer' : object[Symbol.toStringTag] ?? 'DataView';
      return tagged(type, this.#base64(object.buffer, object.byteOffset, object.byteLength));
    }
    const given = isGiven ? object : asJson(object);
    if (given !== object) return this.value(given, true);
    if (isLive(object)) throw refusalOf(this.root, this.what);
    const fields = Object.entries(object).filter(([, value]) =>
      typeof value !== 'function' && typeof value !== 'symbol')
      .map(([key, value]) => [key, this.value(value)]);
    const encoded = Object.fromEntries(fields);
    return Object.hasOwn(encoded, '$') ? tagged('object', encoded) : encoded;
  }
}

function view(kind, v) {
  const bytes = Buffer.from(v, 'base64');
  const own = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  return new kind(own);
}

// Python writes long ones as hexadecimal digits, behind a sign that BigInt does not read there.
function integer(text) {
  return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
}

const DECODERS = {
  number: Number,
  bigint: integer,
  undefined: () => undefined,
  Date: (v) => new Date(decode(v)),
  Map: (v) => new Map(v.map((pair) => pair.map(decode))),
  Set: (v) => new Set(v.map(decode)),
  RegExp: ([source, flags]) => new RegExp(source, flags),
  Error: fromJson,
  ArrayBuffer: (v) => view(Uint8Array, v).buffer,
  Buffer: (v) => Buffer.from(v, 'base64'),
  object: (v) => fieldsOf(v),
};

function fieldsOf(object) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, decode(value)]));
}

function decode(value) {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(decode);
  if (!Object.hasOwn(value, '$')) return fieldsOf(value);
  if (VIEWS.has(value.$)) return view(VIEWS.get(value.$), value.v);
  if (Object.hasOwn(DECODERS, value.$)) return DECODERS[value.$](value.v);
  throw coded('not_serialisable', `this Node.js has no ${value.$}, which is in a recorded value`);
}

// {text, codec} of a value. `what` names it in errors.
function encodeValue(value, what) {
  let isTyped;
  let text;
  try {
    isTyped = needsTypes(value);
  } catch (error) {
    if (!isStackFull(error)) throw error; // toJSON or a getter threw: its error is told.
    isTyped = true; // It holds itself, and the encoder says so; or it is deeper than the stack.
  }
  if (!isTyped) return { text: toText(value, what), codec: 'json' };
  try {
    text = withoutHalfPairs(new Encoder(value, what).text());
  } catch (error) {
    throw isStackFull(error) ? tooDeep(what) : error;
  }
  checkSize(text, what);
  return { text, codec: 'typed' };
}

function decodeValue(text, codec) {
  const value = JSON.parse(text);
  return codec === 'typed' ? decode(value) : value;
}

module.exports = { encodeValue, decodeValue };
