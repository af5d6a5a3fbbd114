'use strict';
// What a run is made of: the parts of its life, which of them the code at hand belongs to, and the
// promises of its commands.

const { AsyncLocalStorage } = require('node:async_hooks');
const { coded } = require('./errors');

// {run, phase, isSensitive, ordinal, attempt} of the step that the code is in: what it does there is part of
// the step, and not journaled. What it says there bears both numbers: it counts where that attempt does.
// {run} alone in a method outside of its steps, {isTold} in what hears that its phase is aborted.
const inside = new AsyncLocalStorage();

// What a run does until its method has ended, or after that, to roll back. Steps belong to the one
// that they began in.
class Phase {
  #controller;
  #reason;

  constructor() {
    this.isOver = false; // Nothing more is begun in it.
    this.isLeft = false; // Its run goes on elsewhere.
  }

  // Made for who asks for it: for the first one in a process Node.js loads what events are made of.
  get signal() {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  // Tells what is under way in it to stop. The first reason stays.
  abort(reason) {
    this.#reason ??= reason;
    if (this.#controller === undefined) return;
    inside.run({ isTold: true }, () => this.#controller.abort(reason));
  }
}

// Whether the code at hand was told that nobody waits for it: what hears of an abort, and steps of a run
// that goes on elsewhere. Other runs of the process must not suffer from what is thrown there.
function isToldToStop() {
  const here = inside.getStore();
  return here?.isTold === true || here?.phase?.isLeft === true;
}

// Code of one run that uses the ctx of another would be recorded where it never comes by again.
function checkOwn(run) {
  const here = inside.getStore()?.run;
  if (here === undefined || here === run) return;
  throw coded('foreign_run', 'this ctx is that of another run, or of an earlier attempt: hand each function ' +
    'the ctx that its own run was called with');
}

// The promise of a command, which knows whether anybody has ever waited for it: `await` asks for its
// constructor, all else calls `then`. That it says to be a plain Promise spares each `await` three more.
class CommandPromise extends Promise {
  then(settled, failed) {
    this.isAwaited = true;
    return super.then(settled, failed);
  }
}

Object.defineProperty(CommandPromise.prototype, 'constructor', {
  get() {
    this.isAwaited = true;
    return Promise;
  },
});

// Whether there is something to wait for.
const isThenable = (value) => typeof value?.then === 'function';

module.exports = { CommandPromise, Phase, checkOwn, inside, isThenable, isToldToStop };
