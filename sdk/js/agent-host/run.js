'use strict';
// One run in this process: what its code does, how it ends, and what is undone then.

const { decodeValue, encodeValue } = require('./codec');
const { Commands } = require('./commands');
const { CancelledError, ParkedRun, coded, fromJson, restorer, toJson } = require('./errors');
const { Names } = require('./names');
const { Ordinals } = require('./ordinals');
const { Phase, checkOwn, inside, isThenable } = require('./phase');
const { Replay } = require('./replay');
const { isAtRest } = require('./rest');
const { Rollbacks, undoAll } = require('./rollback');
const { after } = require('./timers');
const { dataText, eventText, fingerprint, nameOf, stringify } = require('./values');
const { Waiting } = require('./waiting');

const GRACE_MS = 1000;
const UNASKED_NAME_MAX = 200;
const BEGINS = { policy: 'retry', begins: true }; // of ctx.beginStep: nothing of it is executed

class Run {
  // `header` and `body` are those of the `run` frame.
  constructor(up, header, body) {
    this.up = up;
    this.id = header.run;
    this.shownId = header.id ?? header.run; // As which its code knows itself: a trial is of another run.
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
    this.ordinals = new Ordinals(this, header.base);
    this.unasked = new Set(); // ordinals of steps that the daemon was not asked for
    this.seen = 0; // values that its code has, and that were said to be recorded;
    this.kept = 0; // of them are on disk
    this.names = new Names();
    this.commands = new Commands(this);
    this.params = JSON.parse(body.subarray(0, header.params_len).toString());
    this.replay = new Replay(header.replay, body, header.params_len, {
      isQuiet: () => isAtRest() && !this.waiting.isForHost,
      onStall: (missing) =>
        this.ordinals.differs(missing, { k: 'nothing', n: 'the code waits', fp: '' }),
      onCaughtUp: () => {
        if (this.isTrial && this.replay.marker === undefined) this.endTrial(true, 'null');
      },
    });
    this.waiting = new Waiting(this.replay);
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
    this.send({ t: 'trial', o: this.ordinals.last, ok }, ok ? 'null' : text);
    this.park();
  }

  // Nothing of it is under way here: what it waits for is the daemon's to give.
  get isAtRest() {
    return this.replay.isCaughtUp && this.waiting.isForDaemon && !this.isClosing;
  }

  get inStep() {
    return inside.getStore()?.phase === this.phase;
  }

  check() {
    checkOwn(this);
    if (this.parked) throw new ParkedRun();
    if (this.phase.isOver) throw new CancelledError();
    if (this.isRollingBack && !this.inStep) throw this.ordinals.closed(); // The method's own code.
  }

  // What gives a promise never throws. Code that catches everything and tries again would never let go
  // of the process: in a run that is over the promise stays open, in one that is cancelled it takes a turn.
  promised(begin) {
    try {
      return begin();
    } catch (error) {
      if (this.parked && error instanceof ParkedRun) return new Promise(() => {});
      const isOfMethod = !this.inStep;
      if (error instanceof ParkedRun || (isOfMethod && this.isRollingBack)) return this.waiting.never();
      return this.commands.refused(error, isOfMethod && this.phase.isOver);
    }
  }

  // Its method comes to nothing new.
  get isMethodClosing() {
    return this.isClosing && !this.isRollingBack;
  }

  // A trial executes nothing, nor does a method whose run is rolled back: what was open stays so.
  get leavesOpen() {
    return this.isTrial || this.isMethodClosing;
  }

  // What was open and stays so, and the code waits for it.
  #left(o, name) {
    return this.commands.ends(o, name, this.waiting.never());
  }

  // From now on nothing that its code asks for is done, and nothing that it waits for settles.
  park() {
    this.parked = true;
    this.grace?.clear();
    this.#letGo();
  }

  #letGo() {
    this.waiting.clear();
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
    this.waiting.cancel();
    this.#letGo();
    this.phase.abort(new CancelledError());
  }

  // ---- the ways to do something ----

  send(header, body) {
    this.up.sendText(JSON.stringify(header).slice(0, -1) + this.frameEnd, body);
  }

  // Something that is done here and now: recorded with its value, not done again on replay. What
  // throws leaves its ordinal empty, and is tried again. `changes`: something outside of the journal;
  // `tells`: what it gives says how that was.
  value(k, name, args, produce, { changes = false, tells = !changes } = {}) {
    this.check();
    if (this.inStep) return produce();
    const n = nameOf(name);
    const fp = fingerprint(stringify(args, `what ctx.${k} is given`));
    const o = this.ordinals.next();
    const entry = this.ordinals.lookUp(o, k, n, fp);
    if (entry) return JSON.parse(this.replay.textOf(entry));
    if (changes) this.#keepSeen();
    const value = produce();
    const text = stringify(value, `what ctx.${k}("${n}") gives`);
    if (!this.isTrial) this.send({ t: 'value', o, k, n, fp }, text);
    if (!this.isTrial && tells) this.seen += 1;
    return JSON.parse(text); // As a replay gives it.
  }

  // What the code has seen, and may do something with: with the daemon gone it would see something else
  // the next time. Where it is not on disk yet, what is begun now begins once it is.
  get #keeps() {
    return this.seen > this.kept ? true : undefined;
  }

  #keepSeen() {
    if (!this.#keeps) return;
    this.send({ t: 'call', o: 0, op: 'journal.sync' }, 'null');
    this.#answer();
    this.kept = this.seen;
  }

  // Asks the daemon and waits.
  call(op, name, args) {
    this.check();
    const n = nameOf(name);
    const text = dataText(args, `what ctx.${op} is given`);
    const fp = fingerprint(text);
    const o = this.inStep ? 0 : this.ordinals.next();
    const entry = o === 0 ? undefined : this.ordinals.lookUp(o, op, n, fp);
    if (entry) return JSON.parse(this.replay.textOf(entry));
    this.send({ t: 'call', o, op, n, fp, keeps: this.#keeps }, text);
    if (o !== 0) this.seen += 1;
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
    const body = eventText(type, data);
    const o = this.inStep ? 0 : this.ordinals.next();
    if (o !== 0 && (this.ordinals.lookUp(o, 'event', type, '') || this.isTrial)) return;
    this.send({ t: 'event', o, type, ...this.#where(o) }, body);
  }

  // Of what is part of a step: which one, and in which attempt.
  #where(o) {
    if (o !== 0) return {};
    const { ordinal, attempt } = inside.getStore();
    return { in: ordinal, try: attempt };
  }

  // The run goes on with `state` as its params, and with an empty history. Never returns.
  continueAs(state) {
    const go = () => this.promised(() => this.#continue(state));
    return this.commands.unheard.size === 0 ? go() : this.commands.untilHeard().then(go);
  }

  #continue(state) {
    this.check();
    if (this.inStep) throw coded('nested_continue', 'ctx.continueAs() is inside a step');
    this.commands.checkForgotten();
    const text = stringify(state, 'the state of ctx.continueAs()');
    const o = this.ordinals.next();
    this.ordinals.lookUp(o, 'continue', '', '');
    this.send({ t: 'continue', o }, text);
    this.leave();
    throw new ParkedRun();
  }

  setupDone() {
    this.check();
    const o = this.ordinals.next();
    if (!this.ordinals.lookUp(o, 'setup', '', '')) this.send({ t: 'setup.done', o });
    this.rollbacks.leaveOut();
  }

  // A command that the daemon executes, and that the process waits for.
  commandSync(k, name, args) {
    const { entry, header, text } = this.#command(k, name, args);
    if (entry === undefined) {
      if (this.leavesOpen) throw new ParkedRun();
      this.send({ ...header, sync: true }, text);
      return this.#answer();
    }
    const value = JSON.parse(this.replay.textOf(entry));
    if (entry.s !== 'ok') throw fromJson(value);
    return value;
  }

  // The same with a promise. prepare() gives name and arguments; what it throws rejects. finish()
  // makes of the result what the code gets.
  command(k, prepare, finish) {
    return this.promised(() => {
      const [name, args, { fp, onPart } = {}] = prepare();
      const { entry, header, text } = this.#command(k, name, args, fp);
      if (entry !== undefined && finish === undefined) {
        return this.commands.promise(entry.o, name, (settle) => this.waiting.giveRecorded(entry, settle));
      }
      if (entry !== undefined) return this.commands.ends(entry.o, name, finish(this.#replayed(entry)));
      const { o, x } = header;
      if (this.leavesOpen) return this.#left(o, name);
      this.send(header, text);
      const here = o === 0 ? inside.getStore()
        : { run: this, phase: this.phase, isSensitive: false, ordinal: o };
      if (onPart !== undefined) this.waiting.forParts(header, { tell: onPart, here });
      const { answers, results } = this.waiting;
      const work = o === 0 ? this.waiting.until(answers, x) : this.waiting.until(results, o);
      return this.commands.ends(o, name, finish === undefined ? work : finish(work));
    });
  }

  // What is recorded of it, or else the frame to send. `same` is the fingerprint, where not all of the
  // arguments are in it.
  #command(k, name, args, same) {
    this.check();
    const n = nameOf(name);
    const text = dataText(args, `what ctx.${k} is given`);
    const fp = same ?? fingerprint(text);
    const o = this.inStep ? 0 : this.ordinals.next();
    const entry = o === 0 ? undefined : this.ordinals.lookUp(o, k, n, fp);
    if (entry && entry.s !== 'open') return { entry };
    const sens = this.inStep && inside.getStore().isSensitive ? 'output' : undefined;
    const header = { t: 'cmd', o, k, n, fp, x: this.waiting.nextTag(), sens, keeps: this.#keeps };
    return { header: { ...header, ...this.#where(o) }, text };
  }

  // What is recorded of it, as a promise that is no command's yet.
  #replayed(entry, isBegun = false) {
    return new Promise((resolve, reject) => {
      const fail = (error) => reject(this.commands.handOut(error, entry.n, true));
      this.waiting.giveRecorded(entry, { resolve, reject: fail }, { isBegun });
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

  #take(k, makeName, fp, { policy, sensitive, begins }) {
    const n = nameOf(makeName());
    const o = this.ordinals.next();
    const entry = this.ordinals.lookUp(o, k, n, fp);
    const isDone = entry !== undefined && entry.s !== 'open';
    const isLeft = !isDone && this.leavesOpen;
    if (isDone || isLeft) return { o, n, entry, isDone, isLeft };
    const pol = policy === 'retry' ? undefined : policy;
    const keeps = this.#keeps;
    const ask = pol === undefined && !keeps && !this.#mayBegin(o, n) ? true : undefined;
    this.send({ t: 'cmd', o, k, n, fp, pol, ask, keeps, begins, sens: sensitive ? 'output' : undefined });
    return { o, n, entry, isDone, isLeft, waits: ask || keeps || pol !== undefined };
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
  step(k, makeName, fp, body, options) {
    return this.promised(() => {
      const taken = this.#begin(k, makeName, fp, options);
      const { o, n, entry, isDone, isLeft } = taken;
      if (isLeft) return this.#left(o, n);
      if (options.undo !== undefined) {
        this.rollbacks.declare(o, n, options);
        if (entry?.s === 'ok') this.rollbacks.complete(o, this.replay.textOf(entry), entry.c, entry.end);
      }
      const { finish } = options;
      return this.commands.promise(o, n, (settle) => (
        isDone ? this.waiting.giveRecorded(entry, settle, { restore: restorer(options, entry), finish })
          : this.#execute(k, taken, body, options, settle)));
    });
  }

  beginStep(makeName, makeHandle) {
    return this.promised(() => {
      const { o, n, entry, isDone, waits } = this.#begin('step', makeName, '', BEGINS);
      const handle = makeHandle(n, o);
      const begun = () => {
        this.commands.keepOpen(o, n);
        return handle;
      };
      if (isDone) {
        return this.#replayed(entry, true)
          .then((value) => Object.assign(handle, { done: true, value }));
      }
      return waits ? this.#whenBegun(o, n).then(begun) : Promise.resolve(begun());
    });
  }

  // One that is refused has that for its end.
  async #whenBegun(o, n) {
    try {
      await this.waiting.until(this.waiting.begins, o);
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
      if (this.leavesOpen) return this.#left(handle.ordinal, handle.name);
      const { text, codec } = encodeValue(value, `the value of step "${handle.name}"`);
      // As a replay would give it.
      Object.assign(handle, { done: true, value: decodeValue(text, codec) });
      return this.commands.promise(handle.ordinal, handle.name, ({ resolve, reject }) => {
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
    const store = { run: this, phase, isSensitive: options.sensitive, ordinal: o, attempt: undefined };
    const work = () => inside.run(store, () => body(o, n, entry ?? {}));
    // That it begins is on disk before it does, where it must not be executed twice.
    if (waits) return this.#await(k, taken, options, this.waiting.until(this.waiting.begins, o).then(work), settle);
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
    this.waiting.body(work)
      .then((value) => end({ value }), (error) => end({ error }));
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
    this.waiting.acks.set(o, { ...durable, seen: this.seen });
    const c = codec === 'typed' ? ',"c":"typed"' : '';
    this.up.sendText(`{"t":"done","o":${o},"ok":${ok}${c}${this.frameEnd}`, text);
  }

  // ---- rolling back ----

  // What the run ends with, where its method ended with `outcome`: {ok, text, code?}. Where it has
  // failed, or is cancelled with rollback, all that it can undo is undone before.
  async conclude(outcome) {
    const { marker } = this.replay;
    const isUndone = this.undoes || (!outcome.ok && !this.phase.isOver);
    if (outcome.ok && !isUndone && marker !== undefined && !this.isTrial) {
      this.ordinals.differs(marker, { k: 'end', n: '', fp: '' });
    }
    if (this.parked || !isUndone || (this.isTrial && marker === undefined)) return outcome;
    this.isClosing = true;
    try {
      await this.#caughtUp();
    } catch { // One with rollback comes when all is caught up.
      if (!this.undoes) return { ...outcome, code: 'canceled' };
    }
    await new Promise((resolve) => this.rollbacks.whenKept(resolve)); // What was not is not undone.
    if (this.phase.isOver && !this.undoes) return { ...outcome, code: 'canceled' };
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
    return this.waiting.unlessCancelled(({ resolve }) => this.replay.whenCaughtUp(resolve));
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
    if (marker !== undefined) this.ordinals.last = marker.o - 1;
    const o = this.ordinals.next();
    const entry = this.ordinals.lookUp(o, 'rollback', n, '');
    if (entry) return this.replay.textOf(entry);
    const begins = this.waiting.until(this.waiting.begins, o);
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
    const taken = this.#take('step', () => this.names.take(`rollback ${name}`), '', options);
    const { entry, isDone } = taken;
    if (!isDone) {
      await new Promise((resolve, reject) =>
        this.#execute('step', taken, body, options, { resolve, reject }));
    } else if (entry.s !== 'ok') throw restorer(options, entry)(JSON.parse(this.replay.textOf(entry)));
  }

  // ---- what the daemon says ----

  // With `error`, the body of its frame: that is recorded, and not what was to be.
  acknowledge(o, error) {
    if (this.unasked.delete(o)) this.up.stepCount -= 1;
    if (error === undefined) this.rollbacks.keep(o);
    else this.rollbacks.forget(o); // Also where nobody waits for it any more.
    this.waiting.give(this.waiting.acks, o, ({ resolve, reject, seen }) => {
      if (seen > this.kept) this.kept = seen;
      if (error === undefined) resolve();
      else reject(fromJson(JSON.parse(error.toString())));
    });
  }

  // With `error` it must not begin.
  began(o, error) {
    const waiting = this.waiting.take(this.waiting.begins, o);
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(this.commands.handOut(fromJson(JSON.parse(error.toString())), 'a step', true));
  }
}

module.exports = { Run };
