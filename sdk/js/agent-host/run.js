'use strict';
// One run in this process: its ordinals, what the journal holds of it, and what it waits for.

const { AsyncLocalStorage } = require('node:async_hooks');
const { CancelledError, ParkedRun, coded, fromJson, toJson } = require('./errors');
const { fingerprint, nameOf, stringify } = require('./values');

const MATCHED_SHOWN = 5;
// The run whose step the code is in: what it does there is part of the step, and not journaled.
const inside = new AsyncLocalStorage();
// Unique in the process, not only in a run: a run may begin anew while an old result is on its way.
let lastTag = 0;

function nextTag() {
  lastTag += 1;
  return lastTag;
}

// What gives a promise never throws. In a run that is over the promise stays open: code that
// catches everything and tries again would never let go of the process.
function promised(begin) {
  try {
    return Promise.resolve(begin());
  } catch (error) {
    return error instanceof ParkedRun ? new Promise(() => {}) : Promise.reject(error);
  }
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
    this.matched = []; // the last ones that were as recorded
    this.acks = new Map(); // ordinal → settle a step
    this.results = new Map(); // tag → settle a command of the daemon's
    this.bodies = new Set(); // reject the steps that are executed now
    this.params = JSON.parse(body.subarray(0, header.params_len).toString());
    this.recorded = new Map();
    let at = header.params_len;
    for (const entry of header.replay) {
      this.recorded.set(entry.o, { ...entry, bytes: body.subarray(at, at + entry.len) });
      at += entry.len;
    }
  }

  get inStep() {
    return inside.getStore() === this;
  }

  // ---- ordinals and replay ----

  check() {
    if (this.parked) throw new ParkedRun();
    if (this.cancelled) throw new CancelledError();
  }

  #next() {
    this.lastOrdinal += 1;
    return this.lastOrdinal;
  }

  // What the journal holds at this ordinal; undefined where it holds nothing. Where it holds
  // something else the run is over in this process, and the daemon is told both sides.
  #lookUp(o, k, n, fp) {
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

  // From now on nothing that its code asks for is done, and nothing that it waits for settles.
  park() {
    this.parked = true;
    this.acks.clear();
    this.results.clear();
    this.bodies.clear();
  }

  cancel() {
    if (this.cancelled || this.parked) return;
    this.cancelled = true;
    const rejects = [...this.acks.values(), ...this.results.values()].map(({ reject }) => reject);
    for (const reject of [...rejects, ...this.bodies]) reject(new CancelledError());
    this.acks.clear();
    this.results.clear();
    this.bodies.clear();
    this.abort.abort(new CancelledError());
  }

  // ---- the ways to do something ----

  send(header, body) {
    this.up.send({ ...header, run: this.id }, body);
  }

  // Something that is done here and now: recorded with its value, not done again on replay. What
  // throws leaves its ordinal empty, and is tried again.
  value(k, name, args, produce) {
    this.check();
    if (this.inStep) return produce();
    const n = nameOf(name);
    const fp = fingerprint(stringify(args, `the arguments of ctx.${k}`));
    const o = this.#next();
    const entry = this.#lookUp(o, k, n, fp);
    if (entry) return JSON.parse(entry.bytes.toString());
    const value = produce();
    this.send({ t: 'value', o, k, n, fp }, stringify(value, `what ctx.${k}("${n}") gives`));
    return value;
  }

  // Asks the daemon and waits.
  call(op, name, args) {
    this.check();
    const n = nameOf(name);
    const text = stringify(args, `the arguments of ctx.${op}`);
    const fp = fingerprint(text);
    const o = this.inStep ? 0 : this.#next();
    const entry = o === 0 ? undefined : this.#lookUp(o, op, n, fp);
    if (entry) return JSON.parse(entry.bytes.toString());
    this.send({ t: 'call', o, op, n, fp }, text);
    return this.#answer();
  }

  #answer() {
    const { header, body } = this.up.receive();
    const value = JSON.parse(body);
    if (header.ok) return value;
    if (value.code === 'canceled') this.cancel(); // Its frame waits on the other socket.
    throw fromJson(value);
  }

  event(type, data) {
    this.check();
    const body = stringify(data, `the argument of ctx.${type}`);
    const o = this.inStep ? 0 : this.#next();
    if (o !== 0 && this.#lookUp(o, 'event', type, '')) return;
    this.send({ t: 'event', o, type }, body);
  }

  setupDone() {
    this.check();
    const o = this.#next();
    if (!this.#lookUp(o, 'setup', '', '')) this.send({ t: 'setup.done', o });
  }

  // A command that the daemon executes, and that the process waits for.
  commandSync(k, name, args) {
    const { entry, header, text } = this.#command(k, name, args);
    if (entry === undefined) {
      this.send({ ...header, sync: true }, text);
      return this.#answer();
    }
    const value = JSON.parse(entry.bytes.toString());
    if (entry.s !== 'ok') throw fromJson(value);
    return value;
  }

  // The same with a promise.
  command(k, name, args) {
    return promised(() => {
      const { entry, header, text } = this.#command(k, name, args);
      if (entry) return this.#replayed(entry);
      this.send(header, text);
      return new Promise((resolve, reject) => this.results.set(header.x, { resolve, reject }));
    });
  }

  // What is recorded of it, or else the frame to send.
  #command(k, name, args) {
    this.check();
    const n = nameOf(name);
    const text = stringify(args, `the arguments of ctx.${k}`);
    const fp = fingerprint(text);
    const o = this.inStep ? 0 : this.#next();
    const entry = o === 0 ? undefined : this.#lookUp(o, k, n, fp);
    if (entry && entry.s !== 'open') return { entry };
    return { header: { t: 'cmd', o, k, n, fp, x: nextTag() }, text };
  }

  async #replayed(entry) {
    const value = JSON.parse(entry.bytes.toString());
    if (entry.s !== 'ok') throw fromJson(value);
    return value;
  }

  // A command whose body, body(ordinal), runs here: what it gives is on disk before anybody sees
  // it.
  step(k, name, fp, body) {
    return promised(() => {
      this.check();
      const n = nameOf(name);
      if (this.inStep) {
        throw coded('nested_step',
          `step "${n}" is inside another step: end the outer one first, or call it plainly`);
      }
      const o = this.#next();
      const entry = this.#lookUp(o, k, n, fp);
      if (entry && entry.s !== 'open') return this.#replayed(entry);
      this.send({ t: 'cmd', o, k, n, fp, x: nextTag() });
      return this.#execute(o, k, n, body);
    });
  }

  async #execute(o, k, n, body) {
    let ok = true;
    let text;
    try {
      const value = await this.#untilCancelled(async () => body(o));
      text = stringify(value, `the value of ${k} "${n}"`);
    } catch (error) {
      ok = false;
      text = stringify(toJson(error), `the error of ${k} "${n}"`);
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

  // What `work` gives inside a step; cancelling does not wait for it.
  #untilCancelled(work) {
    return new Promise((resolve, reject) => {
      this.bodies.add(reject);
      const settle = (give) => (what) => {
        this.bodies.delete(reject);
        give(what);
      };
      inside.run(this, work).then(settle(resolve), settle(reject));
    });
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

module.exports = { Run };
