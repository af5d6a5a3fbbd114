'use strict';
// One run in this process: its ordinals, what the journal holds of it, and what it waits for.

const {
  CancelledError, ParkedRun, coded, fromJson, handedOut, restorer, toJson,
} = require('./errors');
const { decodeValue, encodeValue } = require('./codec');
const { CommandPromise, Phase, inside, isThenable } = require('./phase');
const { Replay } = require('./replay');
const { Rollbacks, undoAll } = require('./rollback');
const { after } = require('./timers');
const { fingerprint, nameOf, stringify } = require('./values');

const COMMANDS = ['step', 'shell', 'fetch', 'llm', 'spawn', 'sleep', 'wait', 'approval', 'child'];
// What a trial may do that has no record of it.
const CHANGES_NOTHING = ['store.read', 'store.exists', 'store.list', 'now', 'random', 'uuid', 'version', 'event'];
// Where several bear one name, these are numbered.
const NUMBERED = ['step', 'wait', 'approval', 'spawn', 'child'];
const MATCHED_SHOWN = 5;
const EVENT_BYTES_MAX = 1 << 20;
const GRACE_MS = 1000;
const UNASKED_NAME_MAX = 200;
const SHOWN_MAX = 200;

const PLAIN = { policy: 'retry', sensitive: false, undo: undefined };

// Of a command of the daemon's: by its ordinal, inside a step by its tag.
const partKey = (o, x) => (o === 0 ? `x${x}` : o);

class Run {
  // `header` and `body` are those of the `run` frame.
  constructor(up, header, body) {
    this.up = up;
    this.id = header.run;
    this.method = header.method;
    this.attempt = header.a;
    this.frameEnd = `,"run":${JSON.stringify(this.id)},"a":${this.attempt}}`; // of what it says
    this.phase = new Phase();
    this.parked = false;
    this.undoes = false; // It is cancelled, and what it has done is undone.
    this.isRollingBack = false;
    this.rollbacks = new Rollbacks();
    this.outOfTime = new Promise((resolve) => { this.cutOff = resolve; });
    this.isTrial = header.trial === true; // Of this version: nothing is done, only compared.
    this.lastOrdinal = header.base;
    this.matched = []; // the last ones that were as recorded
    this.acks = new Map(); // ordinal → settle a step
    this.begins = new Map(); // ordinal → let a step begin
    this.unasked = new Set(); // ordinals of steps that the daemon was not asked for
    this.results = new Map(); // ordinal → settle a command of the daemon's
    this.answers = new Map(); // tag → the same for one inside a step
    this.parts = new Map(); // the same keys → who is told pieces of a result: [in a step, call]
    this.lastTag = 0;
    this.rejects = new Set(); // of what else is waited for: step bodies, recorded completions
    this.open = new Map(); // ordinal → [name, promise] of commands that have not ended
    this.unheard = new Map(); // promise → name of what has failed, and nobody had waited
    this.names = new Map(); // name → how many steps bear it
    this.params = JSON.parse(body.subarray(0, header.params_len).toString());
    this.replay = new Replay(header.replay, body, header.params_len, {
      onStall: (missing) =>
        this.#differs(missing, missing.o, { k: 'nothing', n: 'the code waits', fp: '' }),
      onCaughtUp: () => {
        if (this.isTrial && this.replay.marker === undefined) this.endTrial(true, 'null');
      },
    });
    // Its method gets to where it was, and not beyond.
    this.isClosing = this.replay.marker !== undefined;
    const isCancelled = header.cancel !== undefined || this.replay.marker?.n === 'cancelled';
    if (isCancelled) this.cancel({ grace: header.cancel ?? GRACE_MS });
    // It need not fail again: all that it leaves is recorded.
    if (this.replay.marker?.n === 'failed') this.replay.whenCaughtUp(() => this.#limit(GRACE_MS));
  }

  // Aborts with what is under way, and only that: rollbacks are not aborted with what they undo.
  get signal() {
    return this.phase.signal;
  }

  // The trial has come to an end of what is recorded: nothing is executed behind it.
  endTrial(ok, text) {
    if (this.parked) return;
    this.send({ t: 'trial', o: this.lastOrdinal, ok }, ok ? 'null' : text);
    this.park();
  }

  // Nothing of it is under way here: what it waits for is the daemon's to give.
  get isAtRest() {
    const busy = this.acks.size + this.begins.size + this.answers.size + this.rejects.size;
    return this.replay.isCaughtUp && busy === 0 && !this.isClosing;
  }

  get inStep() {
    return inside.getStore()?.phase === this.phase;
  }

  // ---- ordinals and replay ----

  check() {
    if (this.parked) throw new ParkedRun();
    if (this.phase.isOver) throw new CancelledError();
    if (this.isRollingBack && !this.inStep) throw this.#closed(); // The method's own code.
  }

  #closed() {
    return this.undoes ? new CancelledError() : new ParkedRun();
  }

  // What gives a promise never throws. In a run that is over the promise stays open: code that
  // catches everything and tries again would never let go of the process.
  promised(begin) {
    try {
      return begin();
    } catch (error) {
      if (!(error instanceof ParkedRun)) return this.refused(error);
      return new Promise((resolve, reject) => { if (!this.parked) this.rejects.add(reject); });
    }
  }

  // What a call that is refused gives.
  refused(error) {
    const origin = { name: toJson(error, SHOWN_MAX).message, isCommand: !this.inStep };
    this.#handOut(error, origin.name, origin.isCommand);
    const promise = new CommandPromise((_, reject) => reject(error));
    this.leaveUnheard(promise, origin);
    return promise;
  }

  // An error that a promise of a call is rejected with. isCommand: the call is none of a step's.
  #handOut(error, name, isCommand) {
    if (typeof error === 'object' && error !== null) handedOut.set(error, { run: this, name, isCommand });
    return error;
  }

  // A promise was rejected that nobody has waited for yet.
  leaveUnheard(promise, { name, isCommand }) {
    if (isCommand && !this.phase.isOver) this.unheard.set(promise, name);
  }

  hear(promise) {
    this.unheard.delete(promise);
  }

  // Node.js tells in the next turn of the loop which of those were waited for in this one.
  async untilHeard() {
    if (this.unheard.size > 0) await new Promise(setImmediate);
  }

  #next() {
    const isNew = this.isClosing && !this.isRollingBack && this.lastOrdinal >= this.replay.last;
    if (isNew) throw this.#closed();
    this.lastOrdinal += 1;
    return this.lastOrdinal;
  }

  // What the journal holds at this ordinal; undefined where it holds nothing.
  #lookUp(o, k, n, fp) {
    const entry = this.replay.issue(o);
    if (entry === undefined) {
      if (this.isTrial) this.#tryGap(o, k, n);
      return undefined;
    }
    if (entry.k === k && entry.n === n && entry.fp === fp) {
      this.matched.push({ o, k, n });
      if (this.matched.length > MATCHED_SHOWN) this.matched.shift();
      return entry;
    }
    this.#differs(entry, o, { k, n, fp });
    throw new ParkedRun();
  }

  // A trial has come to an ordinal that holds nothing. Between others that is what threw, and is done
  // again: a trial can where that changes nothing.
  #tryGap(o, k, n) {
    if (o > this.replay.lastOfAll) {
      this.endTrial(true, 'null');
    } else if (CHANGES_NOTHING.includes(k)) {
      return;
    } else {
      const message = `the record holds nothing at place ${o}: what was called there threw, and a ` +
        `trial does not execute ctx.${k}("${n}") to see what it would do now`;
      this.endTrial(false, JSON.stringify({ message }));
    }
    throw new ParkedRun();
  }

  // A trial executes nothing, nor does a method whose run is rolled back: what was open stays so.
  get #leavesOpen() {
    return this.isTrial || (this.isClosing && !this.isRollingBack);
  }

  // What was open and stays so, and the code waits for it.
  #left(o, name) {
    return this.#completes(o, name, new Promise((_, reject) => this.rejects.add(reject)));
  }

  // The run is over in this process, and the daemon is told both sides.
  #differs(entry, o, got) {
    const expected = { k: entry.k, n: entry.n, fp: entry.fp };
    this.send({ t: 'mismatch', o }, JSON.stringify({ expected, got, matched: this.matched }));
    this.leave();
  }

  // From now on nothing that its code asks for is done, and nothing that it waits for settles.
  park() {
    this.parked = true;
    this.grace?.clear();
    this.#letGo();
  }

  #letGo() {
    this.replay.stop();
    const lists = [this.acks, this.begins, this.results, this.answers, this.parts, this.rejects];
    for (const list of lists) list.clear();
    this.up.stepCount -= this.unasked.size;
    this.unasked.clear();
  }

  // Its method has ended: what still goes on has nobody who keeps it, and is told to stop.
  end() {
    this.park();
    this.phase.abort(new CancelledError('the run has ended'));
  }

  // It goes on elsewhere, or in its next attempt, or is paused: what still goes on would be done twice at once.
  leave() {
    this.park(); // First: nothing that it says to this counts.
    this.phase.isLeft = true;
    this.phase.abort(new CancelledError('the run goes on elsewhere'));
  }

  // Ends what is under way, rollbacks too. With `rollback`, {grace} in ms: what its method has going,
  // once the method is where it was; the method has the grace time to end, and then what it has done
  // is undone.
  cancel(rollback) {
    if (this.parked) return;
    if (rollback === undefined) {
      this.undoes = false;
      this.#stop();
    } else if (!this.undoes && !this.isRollingBack && this.replay.marker?.n !== 'failed') {
      this.undoes = true;
      this.isClosing = true;
      this.replay.whenCaughtUp(() => {
        this.#limit(rollback.grace);
        this.#stop();
      });
    }
  }

  // After `grace` ms its method is not waited for any more.
  #limit(grace) {
    this.grace = after(grace, this.cutOff);
  }

  get cancelled() {
    return this.undoes || this.phase.isOver;
  }

  #stop() {
    if (this.phase.isOver) return;
    this.phase.isOver = true;
    const waiting = [this.acks, this.begins, this.results, this.answers]
      .flatMap((list) => [...list.values()]);
    const rejects = [...waiting.map(({ reject }) => reject), ...this.rejects];
    for (const reject of rejects) reject(new CancelledError());
    this.#letGo();
    this.phase.abort(new CancelledError());
  }

  // The name of the next step that its code calls `name`: name, name#2, name#3, …
  named(name) {
    const count = this.#countOf(name) + 1;
    this.names.set(name, count);
    return this.#shownOf(name, count);
  }

  #countOf(name) {
    return this.names.get(name) ?? 0;
  }

  #shownOf(name, count) {
    return count === 1 ? name : `${name}#${count}`;
  }

  // Throws where the method has returned and left something open that nobody waits for: it would
  // be cut off at any point, and not the same on replay. Or it has failed, and nobody would know.
  checkForgotten() {
    const failed = [...this.unheard].map(([promise, name]) => [name, promise]);
    const names = [...this.open.values(), ...failed].filter(([, promise]) => !promise?.isAwaited)
      .map(([name]) => `"${name}"`);
    if (names.length === 0) return;
    const were = names.length === 1 ? 'was open or had failed' : 'were open or had failed';
    throw coded('forgotten_await', `${this.method}() returned while ${names.join(', ')} ${were} ` +
      'and nobody waited for it: await what ctx gives');
  }

  // ---- the ways to do something ----

  send(header, body) {
    this.up.sendText(JSON.stringify(header).slice(0, -1) + this.frameEnd, body);
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
    const text = stringify(value, `what ctx.${k}("${n}") gives`);
    if (!this.isTrial) this.send({ t: 'value', o, k, n, fp }, text);
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
    if (header.left) {
      this.leave();
      throw new ParkedRun();
    }
    if (value.code === 'canceled') this.cancel(header.rollback); // Its frame waits on the other socket.
    throw fromJson(value);
  }

  event(type, data) {
    this.check();
    const body = stringify(data, `the argument of ctx.${type}`);
    const size = Buffer.byteLength(body);
    if (size > EVENT_BYTES_MAX) {
      throw coded('too_large', `the argument of ctx.${type} takes ${size} bytes as JSON, at most ` +
        `${EVENT_BYTES_MAX}: send it in parts`);
    }
    const o = this.inStep ? 0 : this.#next();
    if (o !== 0 && (this.#lookUp(o, 'event', type, '') || this.isTrial)) return;
    this.send({ t: 'event', o, type, ...this.#where(o) }, body);
  }

  // Of what is part of a step: which one, and in which attempt.
  #where(o) {
    if (o !== 0) return {};
    const { ordinal, attempt } = inside.getStore();
    return { in: ordinal, try: attempt };
  }

  // ---- versions of the agent, and histories that become too long ----

  // Which way the run goes: `newest` where it comes here for the first time, what it was then on
  // replay, 0 where it came past here before this call was in the code.
  version(name, newest) {
    this.check();
    if (this.inStep) throw coded('nested_version', `ctx.getVersion("${name}") is inside a step`);
    const recorded = this.replay.peek(this.lastOrdinal + 1);
    const isOlder = recorded !== undefined && (recorded.k !== 'version' || recorded.n !== nameOf(name));
    return isOlder ? 0 : this.value('version', name, {}, () => newest);
  }

  // A command of this name was here once: runs that recorded it go past it.
  removed(name) {
    this.check();
    if (this.inStep) throw coded('nested_version', `ctx.removed("${name}") is inside a step`);
    const o = this.lastOrdinal + 1;
    const entry = this.replay.peek(o);
    const isNumbered = NUMBERED.includes(entry?.k);
    const shown = nameOf(isNumbered ? this.#shownOf(name, this.#countOf(name) + 1) : name);
    if (!COMMANDS.includes(entry?.k) || entry.n !== shown) return;
    this.lastOrdinal = o;
    this.replay.issue(o);
    if (isNumbered) this.named(name);
  }

  // The run goes on with `state` as its params, and with an empty history. Never returns.
  continueAs(state) {
    const go = () => this.promised(() => this.#continue(state));
    return this.unheard.size === 0 ? go() : this.untilHeard().then(go);
  }

  #continue(state) {
    this.check();
    if (this.inStep) throw coded('nested_continue', 'ctx.continueAs() is inside a step');
    this.checkForgotten();
    const text = stringify(state, 'the state of ctx.continueAs()');
    const o = this.#next();
    this.#lookUp(o, 'continue', '', '');
    this.send({ t: 'continue', o }, text);
    this.leave();
    throw new ParkedRun();
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
      if (this.#leavesOpen) throw new ParkedRun();
      this.send({ ...header, sync: true }, text);
      return this.#answer();
    }
    const value = JSON.parse(entry.bytes.toString());
    if (entry.s !== 'ok') throw fromJson(value);
    return value;
  }

  // The same with a promise. prepare() gives name and arguments; what it throws rejects. finish()
  // makes of the result what the code gets.
  command(k, prepare, finish = (work) => work) {
    return this.promised(() => {
      const [name, args, { fp, onPart } = {}] = prepare();
      const { entry, header, text } = this.#command(k, name, args, fp);
      if (entry) return this.#completes(entry.o, name, finish(this.#replayed(entry)));
      const { o, x } = header;
      if (this.#leavesOpen) return this.#left(o, name);
      this.send(header, text);
      const here = o === 0 ? inside.getStore()
        : { phase: this.phase, isSensitive: false, ordinal: o };
      if (onPart !== undefined) this.parts.set(partKey(o, x), { tell: onPart, here });
      const work = o === 0 ? this.#until(this.answers, x) : this.#until(this.results, o);
      return this.#completes(o, name, finish(work));
    });
  }

  #nextTag() {
    this.lastTag += 1;
    return this.lastTag;
  }

  // The promise of the command with this ordinal; 0 for none of its own. begin({resolve, reject}) sees
  // to it that it is settled, later.
  #promiseOf(o, name, begin) {
    let settle;
    const promise = new CommandPromise((resolve, reject) => {
      const ends = (give) => (what) => {
        this.open.delete(o);
        give(what);
      };
      const fail = (error) => {
        const isCommand = o !== 0;
        if (!promise.isAwaited) this.leaveUnheard(promise, { name, isCommand });
        reject(this.#handOut(error, name, isCommand));
      };
      settle = { resolve: ends(resolve), reject: ends(fail) };
    });
    begin(settle);
    if (o !== 0) this.open.set(o, [name, promise]);
    return promise;
  }

  // The same of what `work` gives.
  #completes(o, name, work) {
    return this.#promiseOf(o, name, ({ resolve, reject }) => work.then(resolve, reject));
  }

  // What is recorded of it, or else the frame to send. `same` is the fingerprint, where not all of the
  // arguments are in it.
  #command(k, name, args, same) {
    this.check();
    const n = nameOf(name);
    const text = stringify(args, `the arguments of ctx.${k}`);
    const fp = same ?? fingerprint(text);
    const o = this.inStep ? 0 : this.#next();
    const entry = o === 0 ? undefined : this.#lookUp(o, k, n, fp);
    if (entry && entry.s !== 'open') return { entry };
    const sens = this.inStep && inside.getStore().isSensitive ? 'output' : undefined;
    return { header: { t: 'cmd', o, k, n, fp, x: this.#nextTag(), sens, ...this.#where(o) }, text };
  }

  // Settles in its turn, as it did before.
  #replayed(entry, { isBegun = false, restore = fromJson } = {}) {
    return new Promise((resolve, reject) => {
      this.rejects.add(reject);
      this.replay.whenCompleted(entry.o, () => {
        this.rejects.delete(reject);
        const text = entry.bytes.toString();
        try {
          if (entry.s === 'ok') resolve(decodeValue(text, entry.c));
          else reject(this.#handOut(restore(JSON.parse(text)), entry.n, true));
        } catch (error) { // What a later Node.js has written, say.
          reject(this.#handOut(error, entry.n, true));
        }
      }, isBegun);
    });
  }

  // Begins a step, or finds it in the journal. makeName() is called once it is clear that it is one.
  #begin(k, makeName, fp, options) {
    this.check();
    if (this.inStep) {
      throw coded('nested_step',
        `step "${makeName()}" is inside another step: end the outer one first, or call it plainly`);
    }
    return this.#take(k, makeName, fp, options);
  }

  #take(k, makeName, fp, { policy, sensitive }) {
    const n = nameOf(makeName());
    const o = this.#next();
    const entry = this.#lookUp(o, k, n, fp);
    const isDone = entry !== undefined && entry.s !== 'open';
    const isLeft = !isDone && this.#leavesOpen;
    if (isDone || isLeft) return { o, n, entry, isDone, isLeft };
    const pol = policy === 'retry' ? undefined : policy;
    const ask = pol === undefined && !this.#mayBegin(o, n) ? true : undefined;
    this.send({ t: 'cmd', o, k, n, fp, pol, ask, sens: sensitive ? 'output' : undefined });
    return { o, n, entry, isDone, isLeft, waits: ask || pol !== undefined };
  }

  // Whether there is a place in the daemon's journal for its record: else it is asked.
  #mayBegin(o, name) {
    const { up } = this;
    if (up.stepCount >= up.stepsMax || name.length > UNASKED_NAME_MAX) return false;
    up.stepCount += 1;
    this.unasked.add(o);
    return true;
  }

  // A command whose body, body(ordinal, name, before), runs here: what it gives is on disk before
  // anybody sees it. `before` is what the journal holds of a step that was interrupted. The options:
  // `policy`, what follows an interruption; `sensitive`, nobody is shown what it gives; undo(value,
  // ordinal), the body of the step that undoes it; finish(value) makes of it what the code gets.
  step(k, makeName, fp, body, options = PLAIN) {
    return this.promised(() => {
      const taken = this.#begin(k, makeName, fp, options);
      const { o, n, entry, isDone, isLeft } = taken;
      if (isLeft) return this.#left(o, n);
      if (options.undo !== undefined) this.rollbacks.declare(o, n, options);
      if (entry?.s === 'ok') this.rollbacks.complete(o, entry.bytes, entry.c, entry.end);
      if (isDone) {
        const work = this.#replayed(entry, { restore: restorer(options, entry) });
        return this.#completes(o, n, options.finish === undefined ? work : work.then(options.finish));
      }
      return this.#promiseOf(o, n, (settle) => this.#execute(k, taken, body, options, settle));
    });
  }

  beginStep(makeName, makeHandle) {
    return this.promised(() => {
      const { o, n, entry, isDone, waits } = this.#begin('step', makeName, '', { policy: 'retry' });
      const handle = makeHandle(n, o);
      const begun = () => {
        this.open.set(o, [n, undefined]);
        return handle;
      };
      if (isDone) {
        return this.#replayed(entry, { isBegun: true })
          .then((value) => Object.assign(handle, { done: true, value }));
      }
      return waits ? this.#whenBegun(o, n).then(begun) : Promise.resolve(begun());
    });
  }

  // One that is refused has that for its end.
  async #whenBegun(o, n) {
    try {
      await this.#until(this.begins, o);
    } catch (error) {
      const text = stringify(toJson(error), `the error of step "${n}"`);
      if (!this.phase.isOver) {
        await new Promise((resolve, reject) => this.#record(o, false, text, 'json', { resolve, reject }));
      }
      throw error;
    }
  }

  completeStep(handle, value) {
    return this.promised(() => {
      this.check();
      if (handle.done) throw coded('step_ended', `step "${handle.name}" is completed already`);
      if (this.#leavesOpen) return this.#left(handle.ordinal, handle.name);
      const { text, codec } = encodeValue(value, `the value of step "${handle.name}"`);
      // As a replay would give it.
      Object.assign(handle, { done: true, value: decodeValue(text, codec) });
      return this.#promiseOf(handle.ordinal, handle.name, ({ resolve, reject }) => {
        const durable = { resolve: () => resolve(handle.value), reject };
        this.#record(handle.ordinal, true, text, codec, durable);
      });
    });
  }

  // A body that gives its value at once is not made to wait, and nothing is chained that could be
  // called: promises are most of what a short step costs.
  #execute(k, taken, body, options, settle) {
    const { o, n, entry, waits } = taken;
    const { phase } = this;
    const store = { phase, isSensitive: options.sensitive, ordinal: o, attempt: undefined };
    const work = () => inside.run(store, () => body(o, n, entry ?? {}));
    // That it begins is on disk before it does, where it must not be executed twice.
    if (waits) return this.#await(k, taken, options, this.#until(this.begins, o).then(work), settle);
    let value;
    try {
      value = work();
    } catch (error) {
      return this.#end(k, taken, options, phase, { error }, settle);
    }
    if (isThenable(value)) return this.#await(k, taken, options, value, settle);
    return this.#end(k, taken, options, phase, { value }, settle);
  }

  #await(k, taken, options, work, settle) {
    const { phase } = this;
    const end = (outcome) => {
      try {
        this.#end(k, taken, options, phase, outcome, settle);
      } catch (error) {
        settle.reject(error);
      }
    };
    this.#untilCancelled(work).then((value) => end({ value }), (error) => end({ error }));
  }

  // Records the outcome, {value} or {error}, and gives it once that is on disk.
  #end(k, { o, n }, options, phase, outcome, { resolve, reject }) {
    if (this.parked) return;
    let ok = !Object.hasOwn(outcome, 'error');
    let text;
    let codec;
    try {
      if (ok) ({ text, codec } = encodeValue(outcome.value, `the value of ${k} "${n}"`));
    } catch (error) {
      ok = false;
      outcome.error = error;
    }
    if (!ok) text = stringify(toJson(outcome.error), `the error of ${k} "${n}"`);
    if (phase.isOver && phase === this.phase) throw new CancelledError();
    if (this.parked || phase.isOver) return;
    if (ok) this.rollbacks.complete(o, text, codec); // Its end is in the journal before any rollback's.
    const give = () => { // As a replay would.
      try {
        const { finish = (value) => value } = options;
        if (ok) resolve(finish(decodeValue(text, codec)));
        else reject(restorer(options)(JSON.parse(text)));
      } catch (error) {
        reject(error);
      }
    };
    this.#record(o, ok, text, codec, { resolve: give, reject });
  }

  // The end of a step; `durable`, {resolve, reject}, is told when it is on disk.
  #record(o, ok, text, codec, durable) {
    this.acks.set(o, durable);
    const c = codec === 'typed' ? ',"c":"typed"' : '';
    this.up.sendText(`{"t":"done","o":${o},"ok":${ok}${c}${this.frameEnd}`, text);
  }

  #until(list, key) {
    return new Promise((resolve, reject) => list.set(key, { resolve, reject }));
  }

  // One attempt of a step failed, another follows in `delay` ms.
  attemptFailed(o, attempt, error, delay) {
    if (this.parked) return;
    this.send({ t: 'failed', o, n: attempt, delay: Math.round(delay) },
      stringify(toJson(error), 'the error of an attempt'));
  }

  // Resolves when it is on disk.
  progress(o, text, attempt) {
    this.check();
    const x = this.#nextTag();
    this.send({ t: 'progress', o, x, try: attempt }, text);
    return this.#promiseOf(0, 'progress', (settle) => this.answers.set(x, settle));
  }

  // What `work` gives; cancelling does not wait for it.
  #untilCancelled(work) {
    return new Promise((resolve, reject) => {
      this.rejects.add(reject);
      const settle = (give) => (what) => {
        this.rejects.delete(reject);
        give(what);
      };
      work.then(settle(resolve), settle(reject));
    });
  }

  // ---- rolling back ----

  // What the run ends with, where its method ended with `outcome`: {ok, text, code?}. Where it has
  // failed, or is cancelled with rollback, all that it can undo is undone before.
  async conclude(outcome) {
    const { marker } = this.replay;
    const isUndone = this.undoes || (!outcome.ok && !this.phase.isOver);
    if (outcome.ok && !isUndone && marker !== undefined && !this.isTrial) {
      this.#differs(marker, marker.o, { k: 'end', n: '', fp: '' });
    }
    if (this.parked || !isUndone || (this.isTrial && marker === undefined)) return outcome;
    this.isClosing = true;
    try {
      await this.#caughtUp();
    } catch { // One with rollback comes when all is caught up.
      if (!this.undoes) return { ...outcome, code: 'canceled' };
    }
    const list = this.rollbacks.inOrder();
    if (this.parked || (list.length === 0 && marker === undefined)) return outcome;
    this.#leaveMethod();
    const text = await this.#mark(this.undoes ? 'cancelled' : 'failed', outcome.text);
    const told = await undoAll(list, (each) => this.#undo(each));
    const error = { ...JSON.parse(text), rollback: told };
    const rolled = told.failed === undefined || this.phase.isOver; // Ended by a cancel: as asked.
    const code = this.undoes || this.phase.isOver ? 'canceled' : undefined;
    return { ok: false, text: stringify(error, `the error of ${this.method}()`), code, rolled };
  }

  // Other branches come to what they had done, too. A cancel rejects.
  #caughtUp() {
    return new Promise((resolve, reject) => {
      this.rejects.add(reject);
      this.replay.whenCaughtUp(() => {
        this.rejects.delete(reject);
        resolve();
      });
    });
  }

  // What it has going is interrupted: whether that was done is not known, and it is not undone.
  #leaveMethod() {
    const method = this.phase;
    this.#letGo();
    method.isOver = true;
    this.phase = new Phase();
    this.isRollingBack = true;
    method.abort(new CancelledError('the run is rolled back'));
  }

  // That the run rolls back, and the error that it ends with: on disk before anything is undone. What
  // the journal holds of it. It lies behind all that its method came to, commands that left nothing in
  // the journal among it.
  async #mark(n, text) {
    const { marker } = this.replay;
    if (marker !== undefined) this.lastOrdinal = marker.o - 1;
    const o = this.#next();
    const entry = this.#lookUp(o, 'rollback', n, '');
    if (entry) return entry.bytes.toString();
    const begins = this.#until(this.begins, o);
    this.send({ t: 'rollback', o, n }, text);
    try {
      await begins;
    } catch (error) { // Cancelled: nothing is undone.
      if (!this.phase.isOver) throw error;
    }
    return text;
  }

  async #undo({ name, options, body }) {
    if (this.phase.isOver) throw new CancelledError();
    const taken = this.#take('step', () => this.named(`rollback ${name}`), '', options);
    const { entry, isDone } = taken;
    if (!isDone) {
      await new Promise((resolve, reject) =>
        this.#execute('step', taken, body, options, { resolve, reject }));
    } else if (entry.s !== 'ok') throw restorer(options, entry)(JSON.parse(entry.bytes.toString()));
  }

  // ---- what the daemon says ----

  // With `error`, the body of its frame: that is recorded, and not what was to be.
  acknowledge(o, error) {
    if (this.unasked.delete(o)) this.up.stepCount -= 1;
    this.#give(this.acks, o, ({ resolve, reject }) => {
      if (error === undefined) return resolve();
      this.rollbacks.forget(o);
      return reject(fromJson(JSON.parse(error.toString())));
    });
  }

  // With `error` it must not begin.
  began(o, error) {
    const waiting = this.begins.get(o);
    this.begins.delete(o);
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(this.#handOut(fromJson(JSON.parse(error.toString())), 'a step', true));
  }

  // A piece of a result that is on its way. What is done with it is part of the command, as inside a
  // step: nothing of it is recorded, and a replay tells none. So an error there changes nothing.
  part({ o, x }, body) {
    const part = this.parts.get(partKey(o, x));
    if (part === undefined || this.parked || this.phase.isOver) return;
    const show = (error) => process.stderr.write(`${error?.stack ?? error}\n`);
    const text = JSON.parse(body.toString());
    inside.run(part.here, async () => part.tell(text)).catch(show);
  }

  // The result of the command with this ordinal; inside a step, of the one with this tag.
  settle({ o, x, ok }, body) {
    this.parts.delete(partKey(o, x));
    const [list, key] = o === 0 ? [this.answers, x] : [this.results, o];
    this.#give(list, key, ({ resolve, reject }) => {
      const value = JSON.parse(body.toString());
      if (ok) resolve(value);
      else reject(fromJson(value));
    });
  }

  // Something has ended: behind all that ended before it.
  #give(list, key, give) {
    this.replay.whenCaughtUp(() => {
      const waiting = list.get(key);
      list.delete(key);
      if (waiting !== undefined) give(waiting);
    });
  }
}

module.exports = { Run };
