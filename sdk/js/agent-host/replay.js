'use strict';
const STALL_MS = 30_000;
const BEGUN_STALL_MS = 1000; // where something goes on that may bring the code on

// What the journal holds of a run, given back in the order in which it happened.
//
// Live, each completion (the end of a step, the result of a command) reaches the code in a turn of
// the loop of its own, in the order of the journal. Replay does the same: a completion is given
// only when all that is recorded before it was asked for again or given, and all that it sets going
// is done before the next one. So Promise.all, race, any and allSettled resolve as they did.
class Replay {
  // `entries` as in the `run` frame; their values lie in `body` from `at` on, one behind the other.
  // `onStall` gets the entry of a command that the code does not come to, while it waits itself for
  // what was recorded behind it. `isQuiet()` says whether nothing else goes on that could bring the code on.
  // onCaughtUp: all that is recorded was asked for again, and given.
  constructor(entries, body, at, { isQuiet, onStall, onCaughtUp }) {
    this.isQuiet = isQuiet;
    this.onStall = onStall;
    this.onCaughtUp = onCaughtUp;
    this.recorded = new Map(); // ordinal → entry
    this.issued = new Set(); // ordinals that the code has come to
    this.waiting = new Map(); // ordinal → gives its recorded completion
    this.begun = new Set(); // those of them that were begun with ctx.beginStep
    this.live = []; // completions that came while older ones were still to be given
    this.position = 0;
    this.pumping = false;
    this.order = []; // what happened, in the order of the journal
    // Where the run began to roll back: what it did from there on is not its method's.
    this.marker = entries.find(({ k }) => k === 'rollback');
    const end = this.marker?.at ?? Infinity;
    this.last = 0; // the last ordinal that its method came to
    this.lastOfAll = 0; // the same of the run, rolling back included
    let from = at;
    for (const entry of entries) {
      this.recorded.set(entry.o, { ...entry, bytes: body.subarray(from, from + entry.len) });
      from += entry.len;
      this.lastOfAll = Math.max(this.lastOfAll, entry.o);
      if (entry.at >= end) continue;
      this.last = Math.max(this.last, entry.o);
      this.order.push({ lsn: entry.at, o: entry.o, completes: false });
      const completesLater = entry.s !== 'open' && entry.end !== entry.at && entry.end < end;
      if (completesLater) this.order.push({ lsn: entry.end, o: entry.o, completes: true });
    }
    if (this.marker !== undefined) this.last = this.marker.o - 1; // What threw left a gap before it.
    this.order.sort((a, b) => a.lsn - b.lsn);
  }

  // The code has come to all that is recorded.
  get isComplete() {
    return this.issued.size === this.recorded.size;
  }

  // More of what is recorded is to come.
  get goesOn() {
    return !this.isComplete || this.waiting.size > 0;
  }

  // What is recorded at an ordinal, without coming to it.
  peek(o) {
    return o === this.marker?.o ? undefined : this.recorded.get(o);
  }

  // The code has come to this ordinal: its entry, undefined where nothing is recorded.
  issue(o) {
    const entry = this.recorded.get(o);
    if (entry === undefined) return undefined;
    this.issued.add(o);
    this.#pumpSoon();
    return entry;
  }

  // Calls `give` when it is the turn of the recorded completion of this ordinal. isBegun: of a step
  // that was begun and completed in different places. Its code may have called more in between, and
  // calls that again only once it has the step: where nothing else goes on, it is given before its
  // turn.
  whenCompleted(o, give, isBegun) {
    this.waiting.set(o, give);
    if (isBegun) this.begun.add(o);
  }

  // Calls `give`, for something that completes now: at once, or behind all that is recorded.
  whenCaughtUp(give) {
    if (this.live.length === 0 && this.position === this.order.length) {
      give();
      return;
    }
    this.live.push(give);
    this.#pumpSoon();
  }

  // All that is recorded was asked for again and given.
  get isCaughtUp() {
    return this.live.length === 0 && this.position === this.order.length && !this.pumping;
  }

  // Nothing is given any more.
  stop() {
    clearTimeout(this.stallTimer);
    this.waiting.clear();
    this.live = [];
  }

  #pumpSoon() {
    if (this.pumping) return;
    this.pumping = true;
    setImmediate(() => this.#pump());
  }

  // Gives one completion, and comes back in the next turn.
  #pump() {
    this.pumping = false;
    clearTimeout(this.stallTimer);
    const give = this.#next();
    if (give === undefined) {
      this.#watch();
      return;
    }
    this.#pumpSoon();
    give();
  }

  #watch() {
    if (this.position === this.order.length) this.onCaughtUp();
    const isOver = this.position === this.order.length; // What waits ended behind the marker.
    if (isOver || (this.waiting.size === 0 && this.live.length === 0)) return;
    const missing = this.recorded.get(this.order[this.position].o);
    const begun = [...this.begun].find((o) => this.waiting.has(o) && o < missing.o);
    if (begun === undefined) {
      this.stallTimer = setTimeout(() => this.onStall(missing), STALL_MS);
    } else if (this.isQuiet()) {
      setImmediate(() => this.#giveIfQuiet(begun)); // What the code itself has put off comes before.
    } else {
      this.#giveLater(begun);
    }
  }

  #giveIfQuiet(o) {
    if (this.pumping || !this.waiting.has(o)) return; // It has gone on, or is over.
    if (this.isQuiet()) this.#giveEarly(o);
    else this.#giveLater(o);
  }

  #giveLater(o) {
    this.stallTimer = setTimeout(() => this.#giveEarly(o), BEGUN_STALL_MS);
  }

  #giveEarly(o) {
    const give = this.waiting.get(o);
    this.waiting.delete(o);
    this.#pumpSoon();
    give();
  }

  #next() {
    while (this.position < this.order.length) {
      const { o, completes } = this.order[this.position];
      if (!this.issued.has(o)) return undefined;
      this.position += 1;
      if (!completes) continue;
      const give = this.waiting.get(o);
      this.waiting.delete(o);
      if (give !== undefined) return give; // Nobody waits for what was given synchronously.
    }
    return this.live.shift();
  }
}

// Handles frames one in a turn of the loop: what the first sets going is done before the second.
class OneATurn {
  constructor(take) {
    this.take = take;
    this.frames = [];
    this.at = 0;
    this.isBusy = false;
    // The turn is over when all that its frame sets going is done.
    this.endTurn = () => {
      if (this.frames.length > 0) this.#next();
      else this.isBusy = false;
    };
  }

  push(header, body) {
    this.frames.push([header, body]);
    if (this.isBusy) return;
    this.isBusy = true;
    this.#next();
  }

  #next() {
    const [header, body] = this.frames[this.at];
    this.at += 1;
    if (this.at === this.frames.length) {
      this.frames = [];
      this.at = 0;
    }
    setImmediate(this.endTurn);
    this.take(header, body);
  }
}

module.exports = { Replay, OneATurn };
