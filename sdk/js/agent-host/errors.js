'use strict';
// Errors that agents see, and how errors travel.

class CancelledError extends Error {
  constructor(message = 'the run was cancelled') {
    super(message);
    this.name = 'CancelledError';
    this.code = 'canceled';
  }
}

// Unwinds the code of a run that this process has nothing to do with any more. No answer of such a
// run ever settles.
class ParkedRun extends Error {
  constructor() {
    super('this run goes on elsewhere');
    this.name = 'ParkedRun';
  }
}

function coded(code, message) {
  return Object.assign(new Error(message), { code });
}

function toJson(error) {
  if (error === null || typeof error !== 'object') {
    return { name: 'Error', message: String(error), stack: '' };
  }
  const json = {
    name: String(error.name ?? 'Error'),
    message: String(error.message ?? ''),
    stack: String(error.stack ?? ''),
  };
  if (typeof error.code === 'string' || typeof error.code === 'number') json.code = error.code;
  return json;
}

// The same error again: name, message, stack and code are what they were.
function fromJson(json) {
  const error = new Error(json.message);
  for (const key of ['name', 'stack', 'code']) {
    if (json[key] === undefined) continue;
    Object.defineProperty(error, key, {
      value: json[key], enumerable: key === 'code', configurable: true, writable: true,
    });
  }
  return error;
}

module.exports = { CancelledError, ParkedRun, coded, toJson, fromJson };
