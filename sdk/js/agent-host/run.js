'use strict';
// One run in this process: its ordinals, what the journal holds of it, and what it waits for.

const { AsyncLocalStorage } = require('node:async_hooks');
const crypto = require('node:crypto');
const { CancelledError, ParkedRun, coded, fromJson, toJson } = require('./errors');

const MATCHED_SHOWN = 5;
// Whether code runs inside a step: what it does there is part of the step, and not journaled.
const inside = new AsyncLocalStorage();

function fingerprint(...args) {
  return crypto.createHash('sha256').update(JSON.stringify(args)).digest('hex').slice(0, 16);
}

function stringify(value, what) {
  let text;
  try {
    text = JSON.stringify(value === undefined ? null : value);
  } catch (error) {
    throw coded('not_serialisable', `${what} is not JSON: ${error.message}`);
  }
  if (text === undefined) throw coded('not_serialisable', `${what} is not JSON: ${typeof value}`);
  return text;
}

class Run {
  // `header` and `body` are those of the `run` frame.
  constructor(up, header, body) {
    this.up = up;
    this.id = header.run;
    this.method = header.method;
    this.attempt = header.attempt;
    this.abort = new AbortController();
    this.cancelled = false;
    this.parked = false;
    this.lastOrdinal = 0;
    this.lastTag = 0;
    this.matched = []; // the last ones that were as recorded
    this.acks = new Map(); // ordinal → settle a step
    this.results = new Map(); // tag → settle a command of the daemon's
    this.params = JSON.parse(body.subarray(0, header.params_len).toString());
    this.recorded = new Map();
    let at = header.params_len;
    for (const entry of header.replay) {
      this.recorded.set(entry.o, { ...entry, bytes: body.subarray(at, at + entry.len) });
      at += entry.len;
    }
  }

  get inStep() {
    return inside.getStore() !== undefined;
  }

  // ---- ordinals and replay ----

  check() {
    if (this.parked) throw new ParkedRun();
    if (this.cancelled) throw new CancelledError();
  }

  next() {
    this.check();
    this.lastOrdinal += 1;
    return this.lastOrdinal;
  }

  // What the journal holds at this ordinal; undefined where it holds nothing. Where it holds
  // something else the run is over in this process, and the daemon is told both sides.
  lookUp(o, k, n, fp) {
    const entry = this.recorded.get(o);
    if (entry === undefined) return undefined;
    if (entry.k === k && entry.n === n && entry.fp === fp) {
      this.matched.push({ o, k, n });
      if (this.matched.length > MATCHED_SHOWN) this.matched.shift();
      return entry;
    }
    const expected = { k: entry.k, n: entry.n, fp: entry.fp };
    const detail = { expected, got: { k, n, fp }, matched: this.matched };
    this.send({ t: 'mismatch', o }, JSON.stringify(detail));
    this.park();
    throw new ParkedRun();
  }

  park() {
    this.parked = true;
    this.acks.clear();
    this.results.clear();
  }

  cancel() {
    this.cancelled = true;
    this.abort.abort(new CancelledError());
    for (const waiting of [...this.acks.values(), ...this.results.values()]) {
      waiting.reject(new CancelledError());
    }
    this.acks.clear();
    this.results.clear();
  }

  // ---- the ways to do something ----

  send(header, body) {
    this.up.send({ ...header, run: this.id }, body);
  }

  // Something that is done here and now: recorded with its value, not done again on replay.
  value(k, n, args, produce) {
    this.check();
    if (this.inStep) return produce();
    const fp = fingerprint(k, args);
    const o = this.next();
    const entry = this.lookUp(o, k, n, fp);
    if (entry) return JSON.parse(entry.bytes.toString());
    const value = produce();
    this.send({ t: 'value', o, k, n, fp }, stringify(value, k));
    return value;
  }

  // Asks the daemon and waits.
  call(op, n, args) {
    this.check();
    const o = this.inStep ? 0 : this.next();
    const fp = fingerprint(op, args);
    const entry = o === 0 ? undefined : this.lookUp(o, op, n, fp);
    if (entry) return JSON.parse(entry.bytes.toString());
    this.send({ t: 'call', o, op, n, fp }, stringify(args, op));
    return this.#answer();
  }

  #answer() {
    const { header, body } = this.up.receive();
    const value = JSON.parse(body);
    if (!header.ok) throw fromJson(value);
    return value;
  }

  event(type, data) {
    this.check();
    const body = stringify(data, `the argument of ctx.${type}`);
    const o = this.inStep ? 0 : this.next();
    if (o !== 0 && this.lookUp(o, 'event', type, '')) return;
    this.send({ t: 'event', o, type }, body);
  }

  // A command that the daemon executes: `sync` waits here, otherwise a promise is given.
  command(k, n, args, { sync = false } = {}) {
    this.check();
    const o = this.inStep ? 0 : this.next();
    const fp = fingerprint(k, args);
    const entry = o === 0 ? undefined : this.lookUp(o, k, n, fp);
    if (entry && entry.s !== 'open') return this.#replayed(entry, sync);
    this.lastTag += 1;
    const x = this.lastTag;
    this.send({ t: 'cmd', o, k, n, fp, x, ...(sync ? { sync } : {}) }, stringify(args, k));
    if (sync) return this.#answer();
    return new Promise((resolve, reject) => this.results.set(x, { resolve, reject }));
  }

  #replayed(entry, sync) {
    const value = JSON.parse(entry.bytes.toString());
    if (entry.s === 'ok') return sync ? value : Promise.resolve(value);
    if (sync) throw fromJson(value);
    return Promise.reject(fromJson(value));
  }

  // A command whose body runs here: what it gives is on disk before anybody sees it.
  step(k, n, fp, body) {
    this.check();
    if (this.inStep) {
      return Promise.reject(coded('nested_step',
        `step "${n}" is inside another step: end the outer one first, or call it plainly`));
    }
    const o = this.next();
    const entry = this.lookUp(o, k, n, fp);
    if (entry && entry.s !== 'open') return this.#replayed(entry, false);
    this.lastTag += 1;
    this.send({ t: 'cmd', o, k, n, fp, x: this.lastTag });
    return this.#execute(o, k, n, body);
  }

  async #execute(o, k, n, body) {
    let ok = true;
    let text;
    try {
      text = stringify(await inside.run(o, body), `the value of ${k} "${n}"`);
    } catch (error) {
      ok = false;
      text = JSON.stringify(toJson(error));
    }
    if (this.parked) return new Promise(() => {});
    this.check();
    const durable = new Promise((resolve, reject) => this.acks.set(o, { resolve, reject }));
    this.send({ t: 'done', o, ok }, text);
    await durable;
    const value = JSON.parse(text); // As a replay would give it.
    if (!ok) throw fromJson(value);
    return value;
  }

  // ---- what the daemon says ----

  acknowledge(o) {
    const waiting = this.acks.get(o);
    this.acks.delete(o);
    waiting?.resolve();
  }

  settle(x, ok, body) {
    const waiting = this.results.get(x);
    this.results.delete(x);
    if (waiting === undefined) return;
    const value = JSON.parse(body.toString());
    if (ok) waiting.resolve(value);
    else waiting.reject(fromJson(value));
  }
}

module.exports = { Run, stringify, fingerprint };
