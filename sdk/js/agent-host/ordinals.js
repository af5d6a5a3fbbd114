'use strict';
// The ordinals of what a run's code does, and whether it does again what the journal holds at them.

const { CancelledError, ParkedRun, coded, toJson } = require('./errors');
const { nameOf, stringify } = require('./values');

const COMMANDS = ['step', 'shell', 'fetch', 'llm', 'spawn', 'sleep', 'wait', 'approval', 'child'];
// Where several bear one name, these are numbered.
const NUMBERED = ['step', 'wait', 'approval', 'spawn', 'child'];
// What a trial may do that has no record of it.
const CHANGES_NOTHING = ['store.read', 'store.exists', 'store.list', 'now', 'random', 'uuid', 'version', 'event'];
const MATCHED_SHOWN = 5;

class Ordinals {
  // `base` is the last one that is taken before the run begins.
  constructor(run, base) {
    this.run = run;
    this.last = base;
    this.matched = []; // the entries of the last ones that were as recorded
  }

  // That of what the code does now.
  next() {
    const { run } = this;
    if (run.isMethodClosing && this.last >= run.replay.last) throw this.closed();
    this.last += 1;
    return this.last;
  }

  // What ends the code that comes beyond what is recorded.
  closed() {
    return this.run.undoes ? new CancelledError() : new ParkedRun();
  }

  // What the journal holds at this ordinal; undefined where it holds nothing.
  lookUp(o, k, n, fp) {
    const entry = this.run.replay.issue(o);
    if (entry === undefined) {
      if (this.run.isTrial) this.#tryGap(o, k, n);
      return undefined;
    }
    if (entry.k === k && entry.n === n && entry.fp === fp) {
      this.matched.push(entry);
      if (this.matched.length > MATCHED_SHOWN) this.matched.shift();
      return entry;
    }
    this.differs(entry, { k, n, fp });
    throw new ParkedRun();
  }

  // What the journal holds behind that, without coming to it.
  peek() {
    return this.run.replay.peek(this.last + 1);
  }

  // Goes past a command of this name, where there is one.
  skip(name, names) {
    const entry = this.peek();
    const isNumbered = NUMBERED.includes(entry?.k);
    const shown = nameOf(isNumbered ? names.peek(name) : name);
    if (!COMMANDS.includes(entry?.k) || entry.n !== shown) return;
    this.last += 1;
    this.run.replay.issue(this.last);
    if (entry.s === 'open') this.#giveUp(this.last, shown);
    if (isNumbered) names.take(name);
  }

  // What the journal has open, and the code does not do any more, would be open for ever.
  #giveUp(o, name) {
    const { run } = this;
    if (run.leavesOpen) return;
    const error = coded('removed', `"${name}" is not in this version of the agent any more`);
    run.send({ t: 'done', o, ok: false }, stringify(toJson(error), `the error of "${name}"`));
  }

  // A trial has come to an ordinal that holds nothing. Between others that is what threw, and is done
  // again: a trial can where that changes nothing.
  #tryGap(o, k, n) {
    const { run } = this;
    if (o > run.replay.lastOfAll) {
      run.endTrial(true, 'null');
    } else if (CHANGES_NOTHING.includes(k)) {
      return;
    } else {
      const message = `the record holds nothing at place ${o}: what was called there threw, and a ` +
        `trial does not execute ctx.${k}("${n}") to see what it would do now`;
      run.endTrial(false, JSON.stringify({ message }));
    }
    throw new ParkedRun();
  }

  // The run is over in this process, and the daemon is told both sides.
  differs(entry, got) {
    const expected = { k: entry.k, n: entry.n, fp: entry.fp };
    const matched = this.matched.map(({ o, k, n }) => ({ o, k, n }));
    this.run.send({ t: 'mismatch', o: entry.o }, JSON.stringify({ expected, got, matched }));
    this.run.leave();
  }
}

module.exports = { Ordinals };
