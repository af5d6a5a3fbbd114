'use strict';
// The parts of a run's life, and which of them the code at hand belongs to.

const { AsyncLocalStorage } = require('node:async_hooks');

// The phase whose step the code is in: what it does there is part of the step, and not journaled.
const inside = new AsyncLocalStorage();

// What a run does until its method has ended, or after that, to roll back. Steps belong to the one
// that they began in.
class Phase {
  constructor() {
    this.abort = new AbortController();
    this.isOver = false; // Nothing more is begun in it.
  }
}

module.exports = { Phase, inside };
