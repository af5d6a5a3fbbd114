'use strict';
// The promises that a run's code gets of ctx: which are open, and which have failed unheard.

const { setImmediate } = require('node:timers');
const { REDACTED, coded, handedOut, show, toJson } = require('./errors');
const { CommandPromise } = require('./phase');
const { after } = require('./timers');

const SHOWN_MAX = 200;

// What an error of the code's own is called.
function nameIn(error) {
  const { name, message } = toJson(error, SHOWN_MAX);
  return message || name;
}

const quoted = (named) => named.map(([name]) => `"${name}"`).join(', ');

class Commands {
  constructor(run) {
    this.run = run;
    this.open = new Map(); // ordinal → [name, promise] of those that have not ended
    this.unheard = new Map(); // promise → name of what has failed, and nobody had waited
    this.strays = new Map(); // the same → the error, where it is none of a command
  }

  // The promise of the command with this ordinal; 0 for none of its own. begin({resolve, reject}) sees
  // to it that it is settled, later.
  promise(o, name, begin) {
    let settle;
    const promise = new CommandPromise((resolve, reject) => {
      const ends = (give) => (what) => {
        this.open.delete(o);
        give(what);
      };
      const fail = (error) => {
        const isCommand = o !== 0;
        if (!promise.isAwaited) this.leaveUnheard(promise, { name, isCommand });
        reject(this.handOut(error, name, isCommand));
      };
      settle = { resolve: ends(resolve), reject: ends(fail) };
    });
    begin(settle);
    if (o !== 0) this.open.set(o, [name, promise]);
    return promise;
  }

  // The same of what `work` gives.
  ends(o, name, work) {
    return this.promise(o, name, ({ resolve, reject }) => work.then(resolve, reject));
  }

  // It goes on, and nobody need wait for it: a step that is completed somewhere else.
  keepOpen(o, name) {
    this.open.set(o, [name, undefined]);
  }

  // What a call that is refused gives; in a later turn where it `takesTurn`.
  refused(error, takesTurn = false) {
    const origin = { name: nameIn(error), isCommand: !this.run.inStep };
    this.handOut(error, origin.name, origin.isCommand);
    const promise = new CommandPromise((_, reject) =>
      (takesTurn ? after(1, () => reject(error)) : reject(error)));
    this.leaveUnheard(promise, origin);
    return promise;
  }

  // An error that a promise of a call is rejected with. isCommand: the call is none of a step's.
  handOut(error, name, isCommand) {
    const { run } = this;
    if (typeof error === 'object' && error !== null) handedOut.set(error, { run, name, isCommand });
    return error;
  }

  // A promise was rejected that nobody has waited for yet.
  leaveUnheard(promise, { name, isCommand }) {
    if (isCommand && !this.run.phase.isOver) this.unheard.set(promise, name);
  }

  // The same of a branch of its code, with an error of that code's own. Of a step, which has ended then
  // or may yet wait for it, and of a run that is over it is shown: a replay would know nothing of it.
  leaveStray(promise, error, { phase, isSensitive }) {
    if (phase === undefined && !this.run.parked && !this.run.cancelled) {
      this.unheard.set(promise, nameIn(error));
      this.strays.set(promise, error);
    } else if (isSensitive) {
      process.stderr.write(`${REDACTED}\n`);
    } else {
      show(error);
    }
  }

  hear(promise) {
    this.unheard.delete(promise);
    this.strays.delete(promise);
  }

  // Node.js tells in the next turn of the loop which of those were waited for in this one.
  async untilHeard() {
    if (this.unheard.size > 0) await new Promise(setImmediate);
  }

  // Throws where the method has returned and left something open that nobody waits for: it would
  // be cut off at any point, and not the same on replay. Or it has failed, and nobody would know.
  checkForgotten() {
    const failed = [...this.unheard].filter(([promise]) => !this.strays.has(promise))
      .map(([promise, name]) => [name, promise]);
    const left = [...this.open.values(), ...failed].filter(([, promise]) => !promise?.isAwaited);
    const strays = [...this.strays.keys()].map((promise) => [this.unheard.get(promise)]);
    if (left.length === 0 && strays.length === 0) return;
    for (const error of this.strays.values()) show(error); // Its name does not say where.
    const told = [...this.#tellLeft(left), ...this.#tellStrays(strays)].join('; ');
    throw coded('forgotten_await', told);
  }

  #tellLeft(left) {
    if (left.length === 0) return [];
    const were = left.length === 1 ? 'was open or had failed' : 'were open or had failed';
    return [`${this.run.method}() returned while ${quoted(left)} ${were} and nobody waited for it: ` +
      'await what ctx gives'];
  }

  // Promises of the code's own.
  #tellStrays(strays) {
    if (strays.length === 0) return [];
    const were = strays.length === 1 ? 'a promise was' : `${strays.length} promises were`;
    return [`${were} rejected in ${this.run.method}() and nobody handled it: ${quoted(strays)}: ` +
      'await each promise, or catch its error'];
  }
}

module.exports = { Commands };
