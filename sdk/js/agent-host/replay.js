'use strict';
// The agent's code may put others in their places.
const { clearTimeout, setImmediate, setTimeout } = require('node:timers');

const STALL_MS = 30_000;
const BEGUN_STALL_MS = 1000; // where something goes on that may bring the code on
const GIVEN_IN_TURN_MAX = 100; // Then others have theirs, ...
const TURN_MS = 5; // ... and after so long: the code may compute between what it waits for.
const { now } = Date;
// What Node.js does behind each callback: all that waits in nextTick() and promises, and tells of rejections.
// It is deprecated (DEP0134): where a Node.js has it not, each completion has a turn of its own.
const runTicks = process._tickCallback;
// Whether the code has put something off to the next turn, or may have. What it has unref'd is not seen.
const PUT_OFF = ['Immediate', 'MessagePort'];
const putsOff = () => (process.getActiveResourcesInfo?.() ?? PUT_OFF).some((kind) => PUT_OFF.includes(kind));

// Calls go() in the next turn of the loop, behind all that the code has put off to it.
function inNextTurn(go) {
  setImmediate(() => (putsOff() ? setImmediate(go) : go()));
}

// Entries by one of their places in the journal, one after the other.
class InOrder {
  constructor(place) {
    this.place = place;
    this.entries = [];
    this.position = 0;
  }

  add(entry) {
    this.entries.push(entry);
  }

  sort() {
    this.entries.sort((a, b) => a[this.place] - b[this.place]);
  }

  // Undefined behind the last one.
  get next() {
    return this.entries[this.position];
  }

  pass() {
    this.position += 1;
  }
}

// What the journal holds of a run, given back in the order in which it happened.
//
// Live, each completion (the end of a step, the result of a command) reaches the code in a turn of
// the loop of its own, in the order of the journal. Replay does the same: a completion is given
// only when all that is recorded before it was asked for again or given, and all that it sets going
// is done before the next one. So Promise.all, race, any and allSettled resolve as they did.
class Replay {
  // `entries` as in the `run` frame, which become this one's; their values lie in `body` from `at` on, one
  // behind the other.
  // `onStall` gets the entry of a command that the code does not come to, while it waits itself for
  // what was recorded behind it. `isQuiet()` says whether nothing else goes on that could bring the code on.
  // onCaughtUp: all that is recorded was asked for again, and given.
  constructor(entries, body, at, { isQuiet, onStall, onCaughtUp }) {
    this.isQuiet = isQuiet;
    this.onStall = onStall;
    this.onCaughtUp = onCaughtUp;
    this.body = entries.length > 0 ? body : undefined;
    this.recorded = new Map(); // ordinal → entry
    this.issuedCount = 0; // how many of them the code has come to
    this.waiting = new Map(); // ordinal → gives its recorded completion
    this.begun = new Set(); // those of them that were begun with ctx.beginStep
    this.live = []; // completions that came while older ones were still to be given
    this.pumping = false;
    // Where the run began to roll back: what it did from there on is not its method's.
    this.marker = entries.find(({ k }) => k === 'rollback');
    const end = this.marker?.at ?? Infinity;
    this.last = 0; // the last ordinal that its method came to
    this.lastOfAll = 0; // the same of the run, rolling back included
    // What happened, in the order of the journal: what began, or was done at once, and what ended later.
    this.begins = new InOrder('at');
    this.ends = new InOrder('end');
    let from = at;
    for (const entry of entries) {
      entry.from = from; // where its value lies
      from += entry.len;
      this.recorded.set(entry.o, entry);
      this.lastOfAll = Math.max(this.lastOfAll, entry.o);
      if (entry.at >= end) continue;
      this.last = Math.max(this.last, entry.o);
      this.begins.add(entry);
      if (entry.s !== 'open' && entry.end !== entry.at && entry.end < end) this.ends.add(entry);
    }
    if (this.marker !== undefined) this.last = this.marker.o - 1; // What threw left a gap before it.
    this.begins.sort();
    this.ends.sort();
  }

  // The JSON text that is recorded at an entry.
  textOf({ from, len }) {
    return this.body.toString('utf8', from, from + len);
  }

  // The code has come to all that is recorded.
  get isComplete() {
    return this.issuedCount === this.recorded.size;
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
    if (!entry.isIssued) this.issuedCount += 1;
    entry.isIssued = true;
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
    if (this.live.length === 0 && this.#isAllGiven) {
      give();
      return;
    }
    this.live.push(give);
    this.#pumpSoon();
  }

  // All that is recorded was asked for again and given.
  get isCaughtUp() {
    return this.live.length === 0 && this.#isAllGiven && !this.pumping;
  }

  get #isAllGiven() {
    return this.begins.next === undefined && this.ends.next === undefined;
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
    inNextTurn(() => this.#pump());
  }

  // Gives one completion, and comes back in the next turn. Where the code waits for nothing else, and has put
  // nothing off to the next turn, the next one is given in the same: to begin a turn costs a quarter of
  // what it takes to give one.
  #pump() {
    clearTimeout(this.stallTimer);
    const began = now();
    let given = 0;
    let isMore = true;
    try {
      do {
        isMore = this.#giveNext();
        given += 1;
      } while (isMore && given < GIVEN_IN_TURN_MAX && this.#goesOnInTurn() && now() - began < TURN_MS);
    } finally {
      this.pumping = false;
      if (isMore) this.#pumpSoon();
    }
    if (!isMore) this.#watch();
  }

  #giveNext() {
    const give = this.#next();
    give?.();
    return give !== undefined;
  }

  // Does all that the last completion set going, where the code waited for it alone. True where it waits for
  // one more at most then, and nothing else comes before that.
  #goesOnInTurn() {
    if (runTicks === undefined || this.waiting.size > 0 || this.live.length > 0) return false;
    runTicks();
    return this.waiting.size <= 1 && this.live.length === 0 && !putsOff();
  }

  #watch() {
    if (this.#isAllGiven && this.isComplete) this.body = undefined; // Nobody asks for a value again.
    if (this.#isAllGiven) this.onCaughtUp();
    // Where all is given, what waits ended behind the marker.
    if (this.#isAllGiven || (this.waiting.size === 0 && this.live.length === 0)) return;
    const missing = this.#nextIn().next;
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

  // The list that what happened next is in.
  #nextIn() {
    const { begins, ends } = this;
    if (ends.next === undefined) return begins;
    return begins.next === undefined || ends.next.end < begins.next.at ? ends : begins;
  }

  #next() {
    while (!this.#isAllGiven) {
      const list = this.#nextIn();
      const { o, isIssued } = list.next;
      if (!isIssued) return undefined;
      list.pass();
      if (list === this.begins) continue;
      const give = this.waiting.get(o);
      this.waiting.delete(o);
      if (give !== undefined) return give; // Nobody waits for what was given synchronously.
    }
    return this.live.shift();
  }
}

// Handles frames one in a turn of the loop: what the first sets going is done before the second. Most come
// alone in theirs, and nothing is put off for those.
class OneATurn {
  constructor(take) {
    this.take = take;
    this.frames = []; // that wait for a turn
    this.at = 0;
    this.hasTaken = false; // in the turn at hand
    this.isPutOff = false;
    this.takeNext = () => this.#takeNext();
  }

  // What is pushed from now on comes in another turn than all before.
  begin() {
    if (this.frames.length === 0) this.hasTaken = false;
  }

  push(header, body) {
    if (!this.hasTaken) {
      this.hasTaken = true;
      this.take(header, body);
      return;
    }
    this.frames.push([header, body]);
    this.#putOff();
  }

  #putOff() {
    if (this.isPutOff) return;
    this.isPutOff = true;
    inNextTurn(this.takeNext);
  }

  #takeNext() {
    this.isPutOff = false;
    const [header, body] = this.frames[this.at];
    this.at += 1;
    if (this.at < this.frames.length) {
      this.#putOff();
    } else {
      this.frames = [];
      this.at = 0;
    }
    this.take(header, body);
  }
}

module.exports = { Replay, OneATurn };
