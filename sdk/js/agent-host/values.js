'use strict';
// What crosses to the daemon: JSON texts, the names of commands, and fingerprints of arguments.

const { coded } = require('./errors');
const { holdsLive, refusalOf } = require('./live');

const EVENT_BYTES_MAX = 1 << 20;
const BODY_BYTES_MAX = 256 * 2 ** 20;
const DEPTH_MAX = 60; // The daemon reads 64 levels, and adds some of its own.
const NAME_LENGTH_MAX = 4096; // A path is not longer.
const FINGERPRINT_DIGITS = 16;
const UTF8_BYTES_MAX = 3; // of a unit of a JavaScript string
const SURROGATE = /[\ud800-\udfff]/;

// JSON.stringify writes half of a surrogate pair as an escape that strict parsers refuse, and an
// agent that cuts a text into chunks does produce halves. They become U+FFFD, as in UTF-8.
function withoutHalfPairs(json) {
  if (!json.includes('\\ud')) return json;
  return json.replace(/\\(u[\da-f]{4}|.)/g, (whole, escaped) =>
    (/^ud[89a-f]/.test(escaped) ? '\ufffd' : whole));
}

// Where the string that begins at this quote ends.
function endOfString(json, from) {
  for (let at = json.indexOf('"', from + 1); ; at = json.indexOf('"', at + 1)) {
    let escapes = at;
    while (json[escapes - 1] === '\\') escapes -= 1;
    if ((at - escapes) % 2 === 0) return at;
  }
}

// How many objects and arrays hold one another at most in a JSON text.
function depthOf(json) {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < json.length; at += 1) {
    switch (json[at]) {
      case '"': at = endOfString(json, at); break;
      case '[':
      case '{':
        depth += 1;
        deepest = Math.max(deepest, depth);
        break;
      case ']':
      case '}': depth -= 1; break;
      default:
    }
  }
  return deepest;
}

function checkDepth(json, what) {
  if (json.length <= 2 * DEPTH_MAX || depthOf(json) <= DEPTH_MAX) return;
  throw coded('not_serialisable', `${what} is nested more than ${DEPTH_MAX} levels deep`);
}

// The value as JSON that the daemon reads; undefined is null. `what` names it in errors.
function stringify(value, what) {
  const json = toText(value, what);
  checkDepth(json, what);
  return json;
}

// The same of what a call is given: what is no data is refused, and not left out.
function dataText(value, what) {
  const json = stringify(value, what);
  if (holdsLive(value)) throw refusalOf(value, what);
  return json;
}

// The same at any depth, for what only this side reads.
function toText(value, what) {
  let json;
  try {
    json = JSON.stringify(value === undefined ? null : value);
  } catch (error) {
    throw coded('not_serialisable', `${what} is not JSON: ${error?.message ?? error}`);
  }
  if (json === undefined) throw coded('not_serialisable', `${what} is not JSON: ${typeof value}`);
  checkSize(json, what);
  return withoutHalfPairs(json);
}

function checkSize(json, what) {
  if (json.length <= BODY_BYTES_MAX / UTF8_BYTES_MAX) return;
  const size = Buffer.byteLength(json);
  if (size > BODY_BYTES_MAX) {
    throw coded('too_large', `${what} takes ${size} bytes as JSON, at most ${BODY_BYTES_MAX}`);
  }
}

// Of ctx.stream and ctx.log.
function eventText(type, data) {
  const text = stringify(data, `the argument of ctx.${type}`);
  const size = Buffer.byteLength(text);
  if (size <= EVENT_BYTES_MAX) return text;
  throw coded('too_large', `the argument of ctx.${type} takes ${size} bytes as JSON, at most ` +
    `${EVENT_BYTES_MAX}: send it in parts`);
}

// A name as the journal keeps it: whole characters, and short enough for a header.
function nameOf(value, lengthMax = NAME_LENGTH_MAX) {
  const text = String(value).slice(0, lengthMax);
  return SURROGATE.test(text) ? Buffer.from(text).toString() : text;
}

// Loading it would be a fifth of the host's start: not before it is needed.
function sha256(content) {
  return require('node:crypto').createHash('sha256').update(content).digest('hex');
}

function fingerprint(json) {
  return sha256(json).slice(0, FINGERPRINT_DIGITS);
}

module.exports = {
  BODY_BYTES_MAX, checkSize, dataText, eventText, fingerprint, nameOf, sha256, stringify, toText, withoutHalfPairs,
};
