'use strict';
// Waiting that ends early when a run is cancelled, and leaves no listener behind.

const TIMER_MS_MAX = 2 ** 31 - 1; // What is longer fires at once.

// Rejects with the signal's reason when it aborts.
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const give = (settle) => () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      settle(signal.reason);
    };
    const abort = give(reject);
    const timer = setTimeout(give(() => resolve()), Math.min(ms, TIMER_MS_MAX));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort);
  });
}

// Work with a limit of time. `signal` aborts when one of `parents` does, or after `ms` (undefined:
// never) with what `makeReason` gives. release() must follow.
class Deadline {
  constructor(ms, parents, makeReason) {
    this.parents = parents;
    this.controller = new AbortController();
    this.signal = this.controller.signal;
    this.follow = (event) => this.controller.abort(event.target.reason);
    for (const parent of parents) {
      if (parent.aborted) this.controller.abort(parent.reason);
      else parent.addEventListener('abort', this.follow);
    }
    if (ms !== undefined) {
      const expire = () => this.controller.abort(makeReason());
      this.timer = setTimeout(expire, Math.min(ms, TIMER_MS_MAX));
    }
  }

  // What `work` gives, or the reason of the abort if that is earlier.
  within(work) {
    return new Promise((resolve, reject) => {
      const abort = () => reject(this.signal.reason);
      if (this.signal.aborted) abort();
      else this.signal.addEventListener('abort', abort, { once: true });
      work.then(resolve, reject);
    });
  }

  release() {
    clearTimeout(this.timer);
    for (const parent of this.parents) parent.removeEventListener('abort', this.follow);
  }
}

module.exports = { pause, Deadline };
