'use strict';
// Errors that agents see, and how errors travel.

class CancelledError extends Error {
  constructor(message = 'the run was cancelled') {
    super(message);
    this.name = 'CancelledError';
    this.code = 'canceled';
  }
}

// Unwinds the code of a run that this process has nothing to do with any more. Nothing that such a
// run still asks for is done.
class ParkedRun extends Error {
  constructor() {
    super('this run is over, or goes on elsewhere');
    this.name = 'ParkedRun';
  }
}

// An error of the host's own about the agent as a whole: its code is told in the `end` frame.
class AgentError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

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

function toJson(error) {
  if (error === null || typeof error !== 'object') {
    return { name: 'Error', message: shown(error, String(error)), stack: '' };
  }
  const json = {
    name: shown(error.name, 'Error'),
    message: shown(error.message, ''),
    stack: shown(error.stack, ''),
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

module.exports = { AgentError, CancelledError, ParkedRun, coded, toJson, fromJson };
