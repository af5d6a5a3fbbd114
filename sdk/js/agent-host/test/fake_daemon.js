'use strict';
// The daemon's side of the protocol, for tests: starts a host with an agent in a folder of its own.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { encode, FrameParser } = require('../frames');

const LIMIT_MS = 60_000;

class FakeDaemon {
  constructor(source, { env = {}, host = path.join(__dirname, '..', 'host.js') } = {}) {
    this.program = host;
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'agent-host-test-'));
    this.work = path.join(this.dir, 'work');
    fs.mkdirSync(this.work);
    this.agent = path.join(this.dir, 'agent.js');
    fs.writeFileSync(this.agent, source);
    this.frames = [];
    this.lsn = 0;
    this.places = new Map(); // "run ordinal" → [at, end] in the journal
    this.given = new Map(); // "run ordinal" → [state, value] of what was answered
    this.attempts = new Map(); // run → the attempt that was begun last
    this.waiting = [];
    this.stdoutBytes = 0;
    this.stderr = '';
    this.#spawn(env);
  }

  #spawn(env) {
    this.host = spawn(process.execPath, [this.program], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      env: {
        ...process.env,
        TMPDIR: this.dir,
        CELLAR_WORK_DIR: this.work,
        CELLAR_CELL_ID: 'dev--test',
        ...env,
      },
    });
    const [, output, errors, up, down] = this.host.stdio;
    this.up = up;
    this.down = down;
    output.on('data', (chunk) => { this.stdoutBytes += chunk.length; });
    errors.on('data', (chunk) => { this.stderr += chunk; });
    for (const socket of [up, down]) socket.on('error', () => {}); // The host may be gone.
    const take = (header, body) => this.take({ ...header, body: Buffer.from(body) });
    const parser = new FrameParser(take);
    up.on('data', (chunk) => parser.feed(chunk));
    this.exited = new Promise((resolve) => this.host.on('exit', (code, signal) => resolve(code ?? signal)));
  }

  // Answers what `answer(op, args)` has an answer for, and acknowledges steps unless `keepsAcks`.
  take(frame) {
    this.#place(frame);
    const op = frame.t === 'call' ? frame.op : frame.k;
    const asks = frame.t === 'call' || (frame.t === 'cmd' && (op === 'shell' || op === 'sleep'));
    const isSync = op === 'journal.sync';
    const value = isSync ? null : asks && this.answer ? this.answer(op, JSON.parse(frame.body)) : undefined;
    if (value !== undefined) this.reply(frame, value);
    if (frame.t === 'done' && !this.keepsAcks) this.send({ t: 'ack', run: frame.run, o: frame.o });
    const isHosts = frame.k === 'step' || frame.k === 'fetch';
    const begins = frame.pol !== undefined || frame.ask || (frame.keeps && isHosts) || ['rollback', 'failed'].includes(frame.t);
    if (begins && !this.keepsBegins) this.send({ t: 'began', run: frame.run, o: frame.o });
    if (frame.t === 'progress') {
      this.send({ t: 'result', run: frame.run, a: frame.a, o: 0, x: frame.x, ok: true }, 'null');
    }
    this.frames.push(frame);
    this.waiting = this.waiting.filter((look) => !look(frame));
  }

  #place({ run, o, t }) {
    const key = `${run} ${o}`;
    if (['cmd', 'value', 'call', 'event', 'setup.done', 'rollback'].includes(t)) {
      this.lsn += 1;
      if (!this.places.has(key)) this.places.set(key, [this.lsn, t === 'cmd' ? 0 : this.lsn]);
    } else if (t === 'done' || t === 'result') {
      this.lsn += 1;
      if (!this.places.has(key)) this.places.set(key, [0, 0]); // It began in an earlier attempt.
      this.places.get(key)[1] = this.lsn;
    }
  }

  // The answer to a call or a command: a value, or an Error.
  reply({ run, a, o, x, t, sync }, value) {
    const ok = !(value instanceof Error);
    const { name, message, code } = value ?? {};
    const json = ok ? value : { name, message, code };
    if (o !== 0) this.given.set(`${run} ${o}`, [ok ? 'ok' : 'error', json]);
    if (t === 'cmd') this.#place({ run, o, t: 'result' });
    const frame = encode({ t: 'result', run, a, o, x, ok }, JSON.stringify(json));
    (t === 'call' || sync ? this.up : this.down).write(frame);
  }

  // To the attempt that was begun last, unless the header says another.
  send(header, body) {
    this.down.write(encode({ a: this.attempts.get(header.run), ...header }, body));
  }

  // Begins a run; `replay` is a list of [o, k, n, fp, s, value, place, before]. Without the places
  // [at, end] in the journal each ends before the next begins; `before` is what an open step has.
  run(method, params = {}, { id = 'run_1', replay = [], attempt = 1, ...more } = {}) {
    const text = JSON.stringify(params);
    const values = replay.map(([, , , , , value]) =>
      (value === undefined ? '' : JSON.stringify(value)));
    const entries = replay.map(([o, k, n, fp, s, , [at, end] = [2 * o, 2 * o + 1], before], i) =>
      ({ o, k, n, fp, s, at, end, len: Buffer.byteLength(values[i]), ...before }));
    this.attempts.set(id, attempt);
    this.send({
      t: 'run', run: id, method, agent: this.agent, setup: false, base: 0, ...more, replay: entries,
      params_len: Buffer.byteLength(text),
    }, text + values.join(''));
  }

  // The first frame that `matches`, now or later. Looks at each frame once, in order.
  next(matches) {
    const check = typeof matches === 'string' ? (frame) => frame.t === matches : matches;
    const known = this.frames.find(check);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(
        `no such frame; the last were ${this.types().slice(-20)}; ${this.stderr}`)), LIMIT_MS);
      this.waiting.push((frame) => {
        if (!check(frame)) return false;
        clearTimeout(timer);
        resolve(frame);
        return true;
      });
    });
  }

  // Waits until the host has done with what it was sent: what a frame sets going is done before
  // the next frame, and what that puts off to the next turn of the loop before the second ping.
  async idle() {
    for (let turn = 0; turn < 2; turn += 1) {
      this.pings = (this.pings ?? 0) + 1;
      const n = this.pings;
      this.send({ t: 'ping', n });
      await this.next((frame) => frame.t === 'pong' && frame.n === n);
    }
  }

  // The types of all frames, or the frames of some types.
  types() {
    return this.frames.map((frame) => frame.t);
  }

  of(...types) {
    return this.frames.filter((frame) => types.includes(frame.t));
  }

  // The value or error that the run ended with.
  async end(id = 'run_1') {
    const frame = await this.next((f) => f.t === 'end' && f.run === id);
    const rolled = frame.rolled === undefined ? {} : { rolled: frame.rolled };
    return { ok: frame.ok, code: frame.code, ...rolled, value: JSON.parse(frame.body) };
  }

  // Runs a method and gives what it ended with.
  async ended(method, params, id) {
    this.run(method, params, { id });
    return this.end(id);
  }

  // What a journal would hold of the run: the argument `replay` of run().
  recorded(id = 'run_1') {
    const entries = new Map();
    const put = (frame, k, n, [state, value] = ['open']) =>
      entries.set(frame.o, [frame.o, k, n ?? '', frame.fp ?? '', state, value,
        this.places.get(`${id} ${frame.o}`)]);
    for (const frame of this.frames.filter((f) => f.run === id && f.o > 0)) {
      const given = this.given.get(`${id} ${frame.o}`);
      if (frame.t === 'cmd') put(frame, frame.k, frame.n, given);
      if (frame.t === 'call' && given[0] === 'ok') put(frame, frame.op, frame.n, given);
      if (frame.t === 'value') put(frame, frame.k, frame.n, ['ok', JSON.parse(frame.body)]);
      if (frame.t === 'event') put(frame, 'event', frame.type, ['ok']);
      if (frame.t === 'rollback') put(frame, 'rollback', frame.n, ['ok', JSON.parse(frame.body)]);
      if (frame.t === 'setup.done') put(frame, 'setup', '', ['ok', null]);
      if (frame.t === 'done') {
        entries.get(frame.o).splice(4, 2, frame.ok ? 'ok' : 'error', JSON.parse(frame.body));
        if (frame.c !== undefined) entries.get(frame.o)[7] = { c: frame.c };
      }
    }
    return [...entries.values()].sort((a, b) => a[0] - b[0]);
  }

  // What the journal would hold of the run after its record `lsn`.
  recordedUntil(lsn, id) {
    return this.recorded(id).filter(([, , , , , , [at]]) => at <= lsn)
      .map(([o, k, n, fp, s, value, [at, end], more]) => (end > 0 && end <= lsn
        ? [o, k, n, fp, s, value, [at, end], more] : [o, k, n, fp, 'open', undefined, [at, 0]]));
  }

  async close() {
    this.host.kill('SIGKILL');
    await this.exited;
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

// Runs `body` with a host that has this agent.
async function withHost(source, body, options) {
  const daemon = new FakeDaemon(source, options);
  try {
    await daemon.next('hello');
    await body(daemon);
  } finally {
    await daemon.close();
  }
}

// An agent with one method, main().
const agent = (body) => `module.exports = { async main(ctx, params) { ${body} } };`;

module.exports = { agent, withHost };
