'use strict';
// The daemon's side of the protocol, for tests: starts a host with an agent in a folder of its own.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { encode, FrameParser } = require('../frames');

const LIMIT_MS = 10_000;

class FakeDaemon {
  constructor(source, { env = {} } = {}) {
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'agent-host-test-'));
    this.work = path.join(this.dir, 'work');
    fs.mkdirSync(this.work);
    this.agent = path.join(this.dir, 'agent.js');
    fs.writeFileSync(this.agent, source);
    this.frames = [];
    this.waiting = [];
    this.stderr = '';
    this.host = spawn(process.execPath, [path.join(__dirname, '..', 'host.js')], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, CELLAR_WORK_DIR: this.work, CELLAR_CELL_ID: 'dev--test', ...env },
    });
    const [, , errors, up, down] = this.host.stdio;
    this.up = up;
    this.down = down;
    errors.on('data', (chunk) => { this.stderr += chunk; });
    for (const socket of [up, down]) socket.on('error', () => {}); // The host may be gone.
    const parser = new FrameParser((header, body) => this.take({ ...header, body: Buffer.from(body) }));
    up.on('data', (chunk) => parser.feed(chunk));
    this.exited = new Promise((resolve) => this.host.on('exit', (code) => resolve(code)));
  }

  // Answers synchronous calls and acknowledges steps, unless a test does it by itself.
  take(frame) {
    if (frame.t === 'call' && this.answer) {
      const value = this.answer(frame.op, JSON.parse(frame.body));
      this.up.write(encode({ ok: !(value instanceof Error) },
        JSON.stringify(value instanceof Error ? { name: 'Error', message: value.message, stack: '' } : value)));
    }
    if (frame.t === 'done' && !this.keepsAcks) this.send({ t: 'ack', run: frame.run, o: frame.o });
    this.frames.push(frame);
    this.waiting = this.waiting.filter((check) => !check());
  }

  send(header, body) {
    this.down.write(encode(header, body));
  }

  // Begins a run; `replay` is a list of [o, k, n, fp, s, value].
  run(method, params = {}, { id = 'run_1', replay = [], setup = false, attempt = 1 } = {}) {
    const text = JSON.stringify(params);
    const values = replay.map(([, , , , , value]) => (value === undefined ? '' : JSON.stringify(value)));
    this.send({
      t: 'run', run: id, method, agent: this.agent, setup, attempt, params_len: Buffer.byteLength(text),
      replay: replay.map(([o, k, n, fp, s], i) => ({ o, k, n, fp, s, len: Buffer.byteLength(values[i]) })),
    }, text + values.join(''));
  }

  // The first frame that `matches`, now or later.
  next(matches) {
    const check = typeof matches === 'string' ? (frame) => frame.t === matches : matches;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(
        `no such frame; there were ${JSON.stringify(this.frames.map((f) => f.t))}; ${this.stderr}`)), LIMIT_MS);
      const look = () => {
        const found = this.frames.find(check);
        if (found === undefined) return false;
        clearTimeout(timer);
        resolve(found);
        return true;
      };
      if (!look()) this.waiting.push(look);
    });
  }

  // The value or error that the run ended with.
  async end(id = 'run_1') {
    const frame = await this.next((f) => f.t === 'end' && f.run === id);
    return { ok: frame.ok, code: frame.code, value: JSON.parse(frame.body) };
  }

  // What a journal would hold of the run: the argument `replay` of run().
  recorded(id = 'run_1') {
    const entries = new Map();
    for (const frame of this.frames.filter((f) => f.run === id && f.o > 0)) {
      const value = () => JSON.parse(frame.body);
      if (frame.t === 'cmd') entries.set(frame.o, [frame.o, frame.k, frame.n, frame.fp, 'open']);
      if (frame.t === 'done') {
        const [o, k, n, fp] = entries.get(frame.o);
        entries.set(frame.o, [o, k, n, fp, frame.ok ? 'ok' : 'error', value()]);
      }
      if (frame.t === 'value') entries.set(frame.o, [frame.o, frame.k, frame.n, frame.fp, 'ok', value()]);
      if (frame.t === 'event') entries.set(frame.o, [frame.o, 'event', frame.type, '', 'ok', null]);
      if (frame.t === 'setup.done') entries.set(frame.o, [frame.o, 'setup', '', '', 'ok', null]);
      if (frame.t === 'call') {
        entries.set(frame.o, [frame.o, frame.op, frame.n, frame.fp, 'ok', this.answer(frame.op, value())]);
      }
    }
    return [...entries.values()].sort((a, b) => a[0] - b[0]);
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

module.exports = { withHost };
