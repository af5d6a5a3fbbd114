'use strict';
// The `ctx` that an agent's methods get.

const crypto = require('node:crypto');
const util = require('node:util');
const { coded } = require('./errors');
const { identity, request, toResponse } = require('./fetch');
const { Deadline, pause } = require('./timers');
const { fingerprint, nameOf, stringify } = require('./values');

const SHOWN_NAME_MAX = 200;

function readFile(run, files, path, options) {
  const asked = typeof options === 'string' ? options : options?.encoding;
  const encoding = asked === undefined ? 'utf8' : asked;
  // Bytes are recorded as base64.
  const produce = encoding === null
    ? () => files.read(path, null)?.toString('base64') ?? null
    : () => files.read(path, encoding);
  const text = run.value('store.read', path, { path, encoding }, produce);
  return encoding === null && typeof text === 'string' ? toBytes(run, text) : text;
}

function makeDb(run) {
  return {
    get: (key) => run.call('db.get', String(key), { key }),
    set: (key, value) => run.call('db.set', String(key), { key, value: value === undefined ? null : value }),
    delete: (key) => run.call('db.delete', String(key), { key }),
    keys: (prefix) => run.call('db.keys', String(prefix ?? ''), prefix === undefined ? {} : { prefix }),
  };
}

function makeSearch(run) {
  return {
    query(query, options) {
      const limit = typeof options === 'object' && options !== null ? options.limit : options;
      return run.call('search.query', '', limit === undefined ? { query } : { query, limit });
    },
    index: (path, text) => run.call('search.index', String(path), { path, text }),
  };
}

function makeJournal(run) {
  return {
    step: (type, message, meta) => run.call('journal.step', String(type), {
      type: String(type), message: String(message ?? ''), ...(meta === undefined ? {} : { meta }),
    }),
    entries: () => run.call('journal.entries', '', {}),
    clear: () => run.call('journal.clear', '', {}),
  };
}

function makeLog(run) {
  const write = (level) => (...args) => run.event('log', {
    level,
    message: args.map((part) => (typeof part === 'string' ? part : JSON.stringify(part) ?? String(part))).join(' '),
  });
  return Object.assign(write('info'), {
    debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error'),
  });
}

// (name, fn, opts) and (name, opts, fn) are the same.
function stepArguments(name, second, third) {
  const [fn, opts] = typeof second === 'function' ? [second, third] : [third, second];
  if (typeof name !== 'string' || name === '' || typeof fn !== 'function') {
    throw coded('invalid_step', 'ctx.step(name, fn, options?) needs a name and a function');
  }
  return { fn, opts: opts ?? {} };
}

function limited(work, ms, name) {
  if (ms === undefined) return work;
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(coded('step_timeout', `step "${name}" took longer than ${ms} ms`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function makeStep(run) {
  return (name, second, third) => {
    const { fn, opts } = stepArguments(name, second, third);
    const body = async () => {
      for (let attempt = 1; ; attempt += 1) {
        const step = { attempt, signal: run.abort.signal, idempotencyKey: `${run.id}/${name}` };
        try {
          return await limited((async () => fn(step))(), opts.timeout, name);
        } catch (error) {
          if (attempt > (opts.retries ?? 0) || run.cancelled || run.parked) throw error;
        }
      }
    };
    return run.step('step', name, '', body);
  };
}

function makeFetch(run) {
  return async (url, options = {}) => {
    const target = String(url);
    const { signal, ...plain } = options;
    const attempt = () => request(target, plain, run.abort.signal);
    const name = `${plain.method ?? 'GET'} ${target}`.slice(0, SHOWN_NAME_MAX);
    const data = run.inStep
      ? await attempt()
      : await run.step('fetch', name, fingerprint('fetch', target, plain), attempt);
    return toResponse(data);
  };
}

function makeShell(run) {
  const argsOf = (cmd, opts) => {
    if (typeof cmd !== 'string' && !Array.isArray(cmd)) {
      throw coded('invalid_command', 'ctx.shell(cmd) needs a text or a list of texts');
    }
    return opts === undefined ? { cmd } : { cmd, opts };
  };
  const nameOf = (cmd) => (Array.isArray(cmd) ? cmd.join(' ') : cmd).slice(0, SHOWN_NAME_MAX);
  return {
    shell: (cmd, opts) => run.command('shell', nameOf(cmd), argsOf(cmd, opts), { sync: true }),
    shellAsync: async (cmd, opts) => run.command('shell', nameOf(cmd), argsOf(cmd, opts)),
  };
}

function makeCtx(run, files, cellId) {
  return {
    cellId,
    workDir: files.root,
    run: { id: run.id, method: run.method, attempt: run.attempt },
    signal: run.abort.signal,
    store: makeStore(run, files),
    db: makeDb(run),
    search: makeSearch(run),
    journal: makeJournal(run),
    log: makeLog(run),
    step: makeStep(run),
    fetch: makeFetch(run),
    ...makeShell(run),
    stream: (data) => run.event('stream', data),
    sleep: async (ms) => run.command('sleep', '', { ms: Math.max(0, Math.round(Number(ms) || 0)) }),
    now: () => run.value('now', '', [], () => Date.now()),
    random: () => run.value('random', '', [], () => Math.random()),
    uuid: () => run.value('uuid', '', [], () => crypto.randomUUID()),
  };
}

module.exports = { makeCtx };
