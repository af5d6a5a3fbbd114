'use strict';
// The `ctx` that an agent's methods get.

const util = require('node:util');
const { coded, forAgents, showable } = require('./errors');
const { identity, request, toResponse } = require('./fetch');
const { makeLlm } = require('./llm');
const { makeSteps } = require('./steps');
const { milliseconds, pause } = require('./timers');
const { fingerprint, nameOf, sha256, stringify } = require('./values');
const { makeVersions } = require('./versions');
const { makeWaits } = require('./waits');

const SHOWN_NAME_MAX = 200;
const SLEEP_MS_MAX = 100 * 365 * 86_400_000;

function readFile(run, files, path, options) {
  const asked = typeof options === 'string' ? options : options?.encoding;
  const encoding = asked === undefined ? 'utf8' : asked;
  const args = { path, encoding };
  if (encoding !== null) {
    return run.value('store.read', path, args, () => files.read(path, encoding));
  }
  const base64 = run.value('store.read', path, args, () => files.read(path, 'base64'));
  return base64 === null ? null : Buffer.from(base64, 'base64');
}

function writeFile(run, files, path, content) {
  if (typeof content !== 'string' && !(content instanceof Uint8Array)) {
    throw coded('invalid_content', `the content of "${path}" must be a text or bytes`);
  }
  return run.value('store.write', path, { path, sha256: sha256(content) }, () => files.write(path, content),
    { changes: true });
}

function makeStore(run, files) {
  return {
    read: (path, options) => readFile(run, files, path, options),
    write: (path, content) => writeFile(run, files, path, content),
    exists: (path) => run.value('store.exists', path, { path }, () => files.exists(path)),
    delete: (path) => run.value('store.delete', path, { path }, () => files.delete(path),
      { changes: true, tells: true }),
    list: (folder) => run.value('store.list', folder ?? '', { folder }, () =>
      files.list(folder === undefined || folder === null || folder === '' ? '.' : folder)),
  };
}

function makeDb(run) {
  return {
    get: (key) => run.call('db.get', key, { key }),
    set: (key, value = null) => run.call('db.set', key, { key, value }),
    delete: (key) => run.call('db.delete', key, { key }),
    keys: (prefix) => run.call('db.keys', prefix ?? '', { prefix }),
  };
}

function makeSearch(run) {
  return {
    query(query, options) {
      const given = typeof options === 'object' && options !== null ? options : { limit: options };
      return run.call('search.query', '', { query, ...given });
    },
    symbols: (query, limit) => run.call('search.symbols', '', { query, limit }),
    status: () => run.call('search.status', '', {}),
    index: (path, text) => run.call('search.index', path, { path, text }),
    remove: (path) => run.call('search.remove', path, { path }),
  };
}

function makeJournal(run) {
  const text = (value) => (typeof value === 'string' ? value : util.format('%s', value ?? ''));
  return {
    step: (type, message, meta) => run.call('journal.step', type,
      { type: text(type), message: text(message), meta }),
    entries: () => run.call('journal.entries', '', {}),
    clear: () => run.call('journal.clear', '', {}),
  };
}

// Shows its arguments as console.log does.
function makeLog(run) {
  const write = (level) => (...args) =>
    run.event('log', { level, message: util.format(...args.map(showable)) });
  return Object.assign(write('info'), {
    debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error'),
  });
}

function makeFetch(run) {
  const begin = (url, options) => {
    const init = options ?? {};
    const same = identity(url, init);
    const attempt = () => request(same.url, init, run.signal);
    if (run.inStep) {
      run.check();
      return run.commands.ends(0, `${same.method} ${same.url}`, attempt().then(toResponse));
    }
    const name = nameOf(`${same.method} ${same.url}`, SHOWN_NAME_MAX);
    const fp = fingerprint(stringify(same, 'the request of ctx.fetch'));
    return run.step('fetch', () => name, fp, attempt, { policy: 'retry', sensitive: false, finish: toResponse });
  };
  return (url, options) => run.promised(() => begin(url, options));
}

function makeShell(run) {
  const argumentsOf = (cmd, opts) => {
    if (typeof cmd !== 'string' && !Array.isArray(cmd)) {
      throw coded('invalid_command', 'ctx.shell(cmd) needs a text or a list of texts');
    }
    const name = nameOf(Array.isArray(cmd) ? cmd.join(' ') : cmd, SHOWN_NAME_MAX);
    return [name, { cmd, opts: opts ?? undefined }];
  };
  return {
    shell: (cmd, opts) => run.commandSync('shell', ...argumentsOf(cmd, opts)),
    shellAsync: (cmd, opts) => run.command('shell', () => argumentsOf(cmd, opts)),
  };
}

// Of (time) or (name, time).
function nameAndTime(given) {
  return given.length > 1 ? given : ['', given[0]];
}

// Milliseconds or a text; what is no time at all is no wait, as with setTimeout.
function sleepTime(time) {
  if (typeof time === 'string' && Number.isNaN(Number(time))) return milliseconds(time, 'a sleep');
  return Math.max(0, Number(time) || 0);
}

async function sleepInStep(run, ms) {
  run.check();
  await pause(ms, run.signal);
  return null;
}

function makeTime(run) {
  return {
    sleep(...given) {
      const [name, time] = nameAndTime(given);
      const length = Math.min(Math.round(sleepTime(time)), SLEEP_MS_MAX);
      return run.inStep ? sleepInStep(run, length)
        : run.command('sleep', () => [name, { ms: length }]);
    },
    // A Date, or milliseconds since 1970.
    sleepUntil(...given) {
      const [name, time] = nameAndTime(given);
      const until = Number(time);
      if (!Number.isFinite(until)) throw coded('invalid_time', 'ctx.sleepUntil needs a Date');
      return run.inStep ? sleepInStep(run, Math.max(0, until - Date.now()))
        : run.command('sleep', () => [name, { until: Math.round(until) }]);
    },
    now: () => run.value('now', '', {}, () => Date.now()),
    random: () => run.value('random', '', {}, () => Math.random()),
    uuid: () => run.value('uuid', '', {}, () => require('node:crypto').randomUUID()), // Node 18 has no global one.
  };
}

// JSON has what is the same in all of the attempt.
function runInfo(run) {
  const info = { id: run.shownId, method: run.method, attempt: run.attempt };
  // Outside of steps: what is inside of one is executed now.
  return Object.defineProperty(info, 'isReplaying', { get: () => run.replay.goesOn && !run.inStep });
}

function makeCtx(run, files, cellId) {
  const { phase } = run; // Its method's.
  return {
    cellId,
    workDir: files.root,
    run: runInfo(run),
    get signal() {
      return phase.signal;
    },
    errors: forAgents,
    store: makeStore(run, files),
    db: makeDb(run),
    search: makeSearch(run),
    journal: makeJournal(run),
    log: makeLog(run),
    ...makeSteps(run),
    fetch: makeFetch(run),
    llm: makeLlm(run),
    ...makeShell(run),
    stream: (data) => run.event('stream', data),
    ...makeTime(run),
    ...makeWaits(run),
    ...makeVersions(run),
  };
}

module.exports = { makeCtx };
