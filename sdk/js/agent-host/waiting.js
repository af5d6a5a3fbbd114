'use strict';
// What a run waits for in this process: what the daemon is to say, and what its own code does.

const { decodeValue } = require('./codec');
const { CancelledError, fromJson } = require('./errors');
const { inside } = require('./phase');

// Of a command of the daemon's: by its ordinal, inside a step by its tag.
const partKey = ({ o, x }) => (o === 0 ? `x${x}` : o);

const asItIs = (value) => value;

class Waiting {
  // `recorded` is the run's Replay: what ends now ends behind all that is recorded.
  constructor(recorded) {
    this.recorded = recorded;
    this.acks = new Map(); // ordinal → settle a step
    this.begins = new Map(); // ordinal → let a step begin
    this.results = new Map(); // ordinal → settle a command of the daemon's
    this.answers = new Map(); // tag → the same for one inside a step
    this.parts = new Map(); // of a command → who is told pieces of its result
    this.lastTag = 0;
    this.bodies = 0; // of steps, that go on
    this.rejects = new Set(); // of what else is waited for: step bodies, recorded completions
  }

  // Something is under way that its own process does, or has sent to be recorded.
  get isForHost() {
    return this.acks.size + this.begins.size + this.answers.size + this.bodies > 0;
  }

  // Nothing is under way that the daemon could not give to another process.
  get isForDaemon() {
    return this.acks.size + this.begins.size + this.answers.size + this.rejects.size === 0;
  }

  // For what has no ordinal, or is sent more than once.
  nextTag() {
    this.lastTag += 1;
    return this.lastTag;
  }

  // What waits from now on settles, what has waited never does.
  clear() {
    this.recorded.stop();
    const lists = [this.acks, this.begins, this.results, this.answers, this.parts, this.rejects];
    for (const list of lists) list.clear();
  }

  // All that waits ends; what it waits for is to be cleared.
  cancel() {
    const waiting = [this.acks, this.begins, this.results, this.answers]
      .flatMap((list) => [...list.values()]);
    const rejects = [...waiting.map(({ reject }) => reject), ...this.rejects];
    for (const reject of rejects) reject(new CancelledError());
  }

  // What is given by its key in one of the lists.
  until(list, key) {
    return new Promise((resolve, reject) => list.set(key, { resolve, reject }));
  }

  // What nobody gives: it ends where all does.
  never() {
    return new Promise((_, reject) => this.rejects.add(reject));
  }

  // `settle`, {resolve, reject}, for what ends later, once: cancelling does not wait for it.
  cancellable({ resolve, reject }) {
    this.rejects.add(reject);
    const ends = (give) => (what) => {
      this.rejects.delete(reject);
      give(what);
    };
    return { resolve: ends(resolve), reject: ends(reject) };
  }

  // What begin({resolve, reject}) gives, in the same way.
  unlessCancelled(begin) {
    return new Promise((resolve, reject) => begin(this.cancellable({ resolve, reject })));
  }

  // Settles with what is recorded at this entry, in its turn: restore(json) makes the error, finish(value)
  // what the code gets of a value. isBegun as in Replay.whenCompleted.
  giveRecorded(entry, settle, { isBegun = false, restore = fromJson, finish = asItIs } = {}) {
    const { resolve, reject } = this.cancellable(settle);
    this.recorded.whenCompleted(entry.o, () => {
      const text = this.recorded.textOf(entry);
      try {
        if (entry.s === 'ok') resolve(finish(decodeValue(text, entry.c)));
        else reject(restore(JSON.parse(text)));
      } catch (error) { // What a later Node.js has written, say.
        reject(error);
      }
    }, isBegun);
  }

  // As unlessCancelled, what the body of a step gives.
  body(work) {
    this.bodies += 1;
    return this.unlessCancelled(({ resolve, reject }) => {
      const ends = (give) => (what) => {
        this.bodies -= 1;
        give(what);
      };
      work.then(ends(resolve), ends(reject));
    });
  }

  // Who waits for this key, and does so no longer.
  take(list, key) {
    const waiting = list.get(key);
    list.delete(key);
    return waiting;
  }

  // Something has ended: behind all that ended before it.
  give(list, key, give) {
    this.recorded.whenCaughtUp(() => {
      const waiting = this.take(list, key);
      if (waiting !== undefined) give(waiting);
    });
  }

  // tell(text) is called with each piece of the result of that command, as code that is `here`.
  forParts(command, { tell, here }) {
    this.parts.set(partKey(command), { tell, here });
  }

  // A piece of a result that is on its way. What is done with it is part of the command, as inside a
  // step: nothing of it is recorded, and a replay tells none. So an error there changes nothing.
  givePart(header, body) {
    const part = this.parts.get(partKey(header));
    if (part === undefined) return;
    const show = (error) => process.stderr.write(`${error?.stack ?? error}\n`);
    const text = JSON.parse(body.toString());
    inside.run(part.here, async () => part.tell(text)).catch(show);
  }

  // The result of the command with this ordinal; inside a step, of the one with this tag.
  giveResult(header, body) {
    this.parts.delete(partKey(header));
    const { o, x, ok } = header;
    const [list, key] = o === 0 ? [this.answers, x] : [this.results, o];
    this.give(list, key, ({ resolve, reject }) => {
      const value = JSON.parse(body.toString());
      if (ok) resolve(value);
      else reject(fromJson(value));
    });
  }
}

module.exports = { Waiting };
