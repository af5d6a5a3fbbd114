'use strict';
// Waiting that ends early when a run is cancelled, and leaves no listener behind.

// The agent's code may put others in their places.
const { clearTimeout, setTimeout } = require('node:timers');

const TIMER_MS_MAX = 2 ** 31 - 1; // What is longer fires at once.

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

// A time as people write it, in milliseconds: 1500, "1500ms", "1.5s", "10m", "1h", "7d".
function milliseconds(value, what) {
  if (typeof value === 'number' && value >= 0 && Number.isFinite(value)) return value;
  const parts = typeof value === 'string' ? /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)$/.exec(value) : null;
  if (parts !== null) return Number(parts[1]) * UNITS[parts[2]];
  throw Object.assign(new Error(`${what} must be milliseconds or a text like "10s" or "5m", not ` +
    `${typeof value === 'string' ? `"${value}"` : String(value)}`), { code: 'invalid_time' });
}

// setTimeout for any time. `clear` ends it.
function after(ms, call) {
  let timer;
  const begin = (left) => {
    const part = Math.min(left, TIMER_MS_MAX);
    timer = setTimeout(() => (part < left ? begin(left - part) : call()), part);
  };
  begin(ms);
  return { clear: () => clearTimeout(timer) };
}

// Rejects with the signal's reason when it aborts.
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const give = (settle) => () => {
      timer.clear();
      signal.removeEventListener('abort', abort);
      settle(signal.reason);
    };
    const abort = give(reject);
    const timer = after(ms, give(() => resolve()));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort);
  });
}

// A limit of time. `signal` aborts when one of those that `parents` gives does, or after `ms`
// (undefined: never) with what `makeReason` gives. It is made for who asks for it, and so are they: a
// signal costs more than a short step. release() must follow.
class Deadline {
  constructor(ms, parents, makeReason) {
    this.askParents = parents;
    this.isReleased = false;
    if (ms !== undefined) this.timer = after(ms, () => this.#controlled().abort(makeReason()));
  }

  get signal() {
    return this.#controlled().signal;
  }

  #controlled() {
    if (this.controller !== undefined) return this.controller;
    this.controller = new AbortController();
    this.follow = (event) => this.controller.abort(event.target.reason);
    this.parents = this.askParents();
    for (const parent of this.parents) {
      if (parent.aborted) this.controller.abort(parent.reason);
      else if (!this.isReleased) parent.addEventListener('abort', this.follow);
    }
    return this.controller;
  }

  // What `work` gives, or the reason of the abort if that is earlier.
  within(work) {
    return new Promise((resolve, reject) => {
      const { signal } = this;
      const abort = () => reject(signal.reason);
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
      work.then(resolve, reject);
    });
  }

  release() {
    this.isReleased = true;
    this.timer?.clear();
    if (this.controller === undefined) return;
    for (const parent of this.parents) parent.removeEventListener('abort', this.follow);
  }
}

module.exports = { after, pause, milliseconds, Deadline };
