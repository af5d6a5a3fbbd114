'use strict';
// What a run has done and can undo: the rollbacks of its steps, and what is told of them.

const { decodeValue } = require('./codec');
const { toJson } = require('./errors');

const NAMES_TOLD_MAX = 1000;
const FROM_NOW_ON = Number.MAX_SAFE_INTEGER; // Behind all that is recorded.

// The rollbacks that steps have declared, by their ordinals, and which of these steps are completed.
class Rollbacks {
  constructor() {
    this.declared = new Map(); // ordinal → {name, options}
    this.completed = []; // {o, at, text, codec}
    this.unkept = new Set(); // ordinals of those whose end is on its way to the disk
  }

  // `options` are those of the step; their undo(value, o) gives the body of the step that undoes it.
  declare(o, name, options) {
    this.declared.set(o, { name, options });
  }

  // The step has ended with this value. `at` is the place of that in the journal.
  complete(o, text, codec, at = FROM_NOW_ON) {
    if (!this.declared.has(o)) return;
    this.completed.push({ o, at, text, codec });
    if (at === FROM_NOW_ON) this.unkept.add(o);
  }

  // That is on disk.
  keep(o) {
    this.unkept.delete(o);
    if (this.unkept.size === 0) this.tellKept?.();
  }

  // It has ended with an error in its place.
  forget(o) {
    this.completed = this.completed.filter((each) => each.o !== o);
    this.keep(o);
  }

  // What was done until now is not the run's alone, and stays.
  leaveOut() {
    this.declared.clear();
    this.completed = [];
    this.unkept.clear();
  }

  // Calls `give` once it is known of all that is completed whether it was kept.
  whenKept(give) {
    if (this.unkept.size === 0) give();
    else this.tellKept = give;
  }

  // {name, options, body}: what was completed last comes first.
  inOrder() {
    const order = [...this.completed].sort((a, b) => a.at - b.at).reverse();
    return order.map(({ o, text, codec }) => {
      const { name, options } = this.declared.get(o);
      // What cannot be read is an error of the step that undoes it, and keeps no other from being undone.
      const body = (...begun) => options.undo(decodeValue(text, codec), o)(...begun);
      return { name, options, body };
    });
  }
}

// The first of them, and how many more there are: for people to read.
function told(names) {
  if (names.length <= NAMES_TOLD_MAX) return names;
  return [...names.slice(0, NAMES_TOLD_MAX), `… and ${names.length - NAMES_TOLD_MAX} more`];
}

// Undoes each; undo({name, options, body}) throws what one of them fails with. The others are not
// begun then: they may rely on it. Gives what the run's error tells of it.
async function undoAll(list, undo) {
  const done = [];
  for (const each of list) {
    try {
      await undo(each);
    } catch (error) {
      const rest = list.slice(done.length + 1).map(({ name }) => name);
      const failed = { name: each.name, error: toJson(error) };
      return { done: told(done), failed, not_run: told(rest) };
    }
    done.push(each.name);
  }
  return { done: told(done) };
}

module.exports = { Rollbacks, undoAll };
