'use strict';
// ctx.step, ctx.beginStep and ctx.completeStep: options, attempts, waiting between them.

const util = require('node:util');
const {
  NonRetryableError, ParkedRun, RetryAfterError, StepTimeoutError, coded, toJson,
} = require('./errors');
const { inside, isThenable } = require('./phase');
const { Deadline, milliseconds, pause } = require('./timers');
const { stringify } = require('./values');

const POLICIES = ['retry', 'fail', 'ask'];
const GROWTH = {
  constant: () => 1,
  linear: (attempt) => attempt,
  exponential: (attempt) => 2 ** Math.min(attempt - 1, 50),
};
const DELAY_MS = 200;
const DELAY_MS_MAX = 60_000;
const ATTEMPTS_MAX = 1000;
const PROGRESS_BYTES_MAX = 64 << 10;

function known(name, given, what, ...keys) {
  for (const key of Object.keys(given)) {
    if (!keys.includes(key)) {
      throw coded('invalid_step', `step "${name}" has the unknown ${what} "${key}"`);
    }
  }
}

function isObject(value) {
  return typeof value === 'object' && value !== null;
}

// A number is how often a failed attempt is followed by another; an object says more.
function retriesOf(name, given = 0) {
  const asked = isObject(given) ? given : { maxAttempts: given + 1 };
  known(name, asked, 'option of retries', 'maxAttempts', 'delay', 'backoff', 'maxDelay', 'jitter');
  const { maxAttempts = 1, backoff = 'exponential', jitter = true } = asked;
  if (!Number.isSafeInteger(maxAttempts) || maxAttempts < 1 || maxAttempts > ATTEMPTS_MAX) {
    throw coded('invalid_step', `the retries of step "${name}" must be a whole number from 0 on, ` +
      `or {maxAttempts} from 1 to ${ATTEMPTS_MAX}`);
  }
  if (!Object.hasOwn(GROWTH, backoff)) {
    throw coded('invalid_step', `the backoff of step "${name}" must be one of ` +
      `${Object.keys(GROWTH).join(', ')}, not ${util.inspect(backoff)}`);
  }
  const time = (value, fallback, what) => (value === undefined ? fallback
    : milliseconds(value, `the ${what} of step "${name}"`));
  return {
    maxAttempts,
    jitter: Boolean(jitter),
    growth: GROWTH[backoff],
    delay: time(asked.delay, DELAY_MS, 'delay'),
    maxDelay: time(asked.maxDelay, DELAY_MS_MAX, 'maxDelay'),
  };
}

function timeoutsOf(name, given) {
  const asked = isObject(given) ? given : { attempt: given };
  known(name, asked, 'option of timeout', 'attempt', 'total');
  const limit = (value) => {
    if (value === undefined) return undefined;
    const ms = milliseconds(value, `the timeout of step "${name}"`);
    if (ms > 0) return ms;
    throw coded('invalid_step', `the timeout of step "${name}" must be above 0`);
  };
  return { attempt: limit(asked.attempt), total: limit(asked.total) };
}

function checkName(name, call) {
  if (typeof name !== 'string' || name === '') {
    throw coded('invalid_step', `${call} needs a name`);
  }
}

// What a step does that is given no options.
const PLAIN = {
  rollback: undefined,
  sensitive: false,
  policy: 'retry',
  retries: retriesOf(''),
  timeouts: timeoutsOf(''),
};

function checkOptions(name, options) {
  known(name, options, 'option', 'retries', 'timeout', 'onInterrupt', 'rollback',
    'sensitive');
  const { onInterrupt = 'retry', rollback } = options;
  if (rollback !== undefined && typeof rollback !== 'function') {
    throw coded('invalid_step', `the rollback of step "${name}" must be a function (s, value)`);
  }
  if (options.sensitive !== undefined && options.sensitive !== 'output') {
    throw coded('invalid_step', `sensitive of step "${name}" must be "output", not ` +
      `${util.inspect(options.sensitive)}`);
  }
  if (!POLICIES.includes(onInterrupt)) {
    throw coded('invalid_step', `onInterrupt of step "${name}" must be one of ` +
      `${POLICIES.join(', ')}, not ${util.inspect(onInterrupt)}`);
  }
  return {
    rollback,
    sensitive: options.sensitive === 'output',
    policy: onInterrupt,
    retries: retriesOf(name, options.retries),
    timeouts: timeoutsOf(name, options.timeout),
  };
}

// (name, fn, opts) and (name, opts, fn) are the same.
function stepArguments(name, second, third) {
  const isFirst = typeof second === 'function';
  const fn = isFirst ? second : third;
  const given = isFirst ? third : second;
  checkName(name, 'ctx.step(name, fn, options?)');
  if (typeof fn !== 'function') {
    throw coded('invalid_step', `step "${name}" needs a function: ctx.step(name, fn, options?)`);
  }
  return { fn, options: (given ?? null) === null ? PLAIN : checkOptions(name, given) };
}

// How long to wait before the next attempt; undefined where there is none.
function delayAfter(error, attempt, retries) {
  if (attempt >= retries.maxAttempts || error instanceof NonRetryableError) return undefined;
  // One that came from elsewhere has none.
  if (error instanceof RetryAfterError && error.delay >= 0 && error.delay < Infinity) return error.delay;
  const full = Math.min(retries.delay * retries.growth(attempt), retries.maxDelay);
  // Half of it at least: clients that failed together do not come back together.
  return Math.round(retries.jitter ? full * (0.5 + Math.random() / 2) : full);
}

// The attempts of one step. `before` is what the journal holds of it: attempts that failed in
// earlier processes, when the next one is due, when the first one began, the last progress.
class Attempts {
  constructor(run, name, ordinal, keyEnd, fn, options, before) {
    this.run = run;
    this.name = name;
    this.ordinal = ordinal;
    this.fn = fn;
    this.options = options;
    this.before = before;
    this.phase = run.phase; // It ends with it.
    this.parents = () => [this.phase.signal];
    const { total } = options.timeouts;
    this.end = total === undefined ? undefined : (before.started_at ?? Date.now()) + total;
    // As text: what one attempt makes of it is not what the next one gets.
    this.progress = before.progress === undefined ? 'null' : JSON.stringify(before.progress);
    this.idempotencyKey = `${run.id}-${keyEnd}`; // The same in every attempt of the run.
  }

  // A promise where there may be several attempts, or a limit of time; or else what fn gives.
  result() {
    const { retries, timeouts } = this.options;
    const isOnly = retries.maxAttempts === 1 && this.before.retry_at === undefined &&
      timeouts.attempt === undefined && timeouts.total === undefined;
    return isOnly ? this.#only() : this.#several();
  }

  // Without a limit of its own it is the run that ends it (Run.step).
  #only() {
    const deadline = new Deadline(undefined, this.parents);
    const attempt = (this.before.tries ?? 0) + 1;
    inside.getStore().attempt = attempt; // It stays the step's only one: nothing sees another.
    const handle = new StepHandle(this, attempt, deadline);
    let goesOn = false;
    try {
      const given = this.fn(handle);
      goesOn = isThenable(given);
      return goesOn ? Promise.resolve(given).finally(() => handle.end()) : given;
    } finally {
      if (!goesOn) handle.end();
    }
  }

  async #several() {
    let wait = this.before.retry_at === undefined ? 0 : this.before.retry_at - Date.now();
    for (let attempt = (this.before.tries ?? 0) + 1; ; attempt += 1) {
      if (wait > 0) await pause(wait, this.phase.signal);
      if (this.run.parked) throw new ParkedRun(); // Meanwhile.
      if (this.end !== undefined && Date.now() >= this.end) throw this.#tooLateInAll(); // A crash ago.
      try {
        return await this.#once(attempt);
      } catch (error) {
        if (this.phase.isOver || this.run.parked) throw error;
        const delay = delayAfter(error, attempt, this.options.retries);
        if (delay === undefined) throw error;
        if (this.end !== undefined && Date.now() + delay >= this.end) throw error;
        const due = Date.now() + delay;
        this.run.send({ t: 'failed', o: this.ordinal, n: attempt, delay: Math.round(delay) },
          stringify(toJson(error), 'the error of an attempt'));
        const { waiting } = this.run;
        await waiting.until(waiting.begins, this.ordinal); // It is on disk: a crash adds no attempt.
        wait = due - Date.now();
      }
    }
  }

  async #once(attempt) {
    const left = this.end === undefined ? undefined : Math.max(1, this.end - Date.now());
    const limits = [this.options.timeouts.attempt, left].filter((ms) => ms !== undefined);
    const limit = limits.length > 0 ? Math.min(...limits) : undefined;
    const late = () => (limit === left ? this.#tooLateInAll()
      : new StepTimeoutError(`step "${this.name}" took longer than ${limit} ms`));
    const deadline = new Deadline(limit, this.parents, late);
    const handle = new StepHandle(this, attempt, deadline);
    const call = () => inside.run({ ...inside.getStore(), attempt }, () => this.fn(handle));
    try {
      return await (limit === undefined ? call() : deadline.within((async () => call())()));
    } finally {
      handle.end();
    }
  }

  #tooLateInAll() {
    const { total } = this.options.timeouts;
    return new StepTimeoutError(`step "${this.name}" took longer than ${total} ms in all`);
  }

  // It may be on its way while the next one is.
  refuse(attempt) {
    return this.run.commands.refused(coded('step_ended', `attempt ${attempt} of step "${this.name}" is over`));
  }

  report(value, attempt) {
    const text = stringify(value, `the progress of step "${this.name}"`);
    if (Buffer.byteLength(text) > PROGRESS_BYTES_MAX) {
      throw coded('too_large', `the progress of step "${this.name}" takes ` +
        `${Buffer.byteLength(text)} bytes as JSON, at most ${PROGRESS_BYTES_MAX}`);
    }
    this.progress = text;
    return this.#sendProgress(text, attempt);
  }

  // Resolves when it is on disk.
  #sendProgress(text, attempt) {
    const { run } = this;
    run.check();
    const x = run.waiting.nextTag();
    run.send({ t: 'progress', o: this.ordinal, x, try: attempt }, text);
    return run.commands.promise(0, 'progress', (settle) => run.waiting.answers.set(x, settle));
  }
}

// What the step's function gets.
class StepHandle {
  #deadline;
  #isOver = false;

  constructor(attempts, attempt, deadline) {
    this.#deadline = deadline;
    this.name = attempts.name;
    this.ordinal = attempts.ordinal;
    this.attempt = attempt;
    this.idempotencyKey = attempts.idempotencyKey;
    this.lastProgress = JSON.parse(attempts.progress);
    this.progress = (value) =>
      (this.#isOver ? attempts.refuse(attempt) : attempts.report(value, attempt));
  }

  end() {
    this.#isOver = true;
    this.#deadline.release();
  }

  get signal() {
    return this.#deadline.signal;
  }
}

// A step that begins and ends in different places of the code.
class BegunStep {
  #run;

  constructor(run, name, ordinal) {
    this.#run = run;
    this.name = name;
    this.ordinal = ordinal;
    this.done = false;
    this.value = undefined;
  }

  static isOf(run, step) {
    return step instanceof BegunStep && step.#run === run;
  }
}

function makeSteps(run) {
  return {
    step(name, second, third) {
      const { fn, options } = stepArguments(name, second, third);
      const { policy, sensitive, rollback } = options;
      const executes = (body, keyEnd) => (ordinal, shown, before) =>
        new Attempts(run, shown, ordinal, keyEnd ?? ordinal, body, options, before).result();
      // Its own ordinal may have been the key of a step that was executed, and never recorded.
      const undo = rollback &&
        ((value, undone) => executes((s) => rollback(s, value), `${undone}-rollback`));
      return run.step('step', () => run.names.take(name), '', executes(fn), { policy, sensitive, undo });
    },
    beginStep(name) {
      checkName(name, 'ctx.beginStep(name)');
      return run.beginStep(() => run.names.take(name), (shown, o) => new BegunStep(run, shown, o));
    },
    completeStep(step, value) {
      if (!BegunStep.isOf(run, step)) {
        throw coded('invalid_step', 'ctx.completeStep(step, value) needs what ctx.beginStep gave in this run');
      }
      return run.completeStep(step, value);
    },
  };
}

module.exports = { makeSteps };
