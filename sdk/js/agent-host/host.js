'use strict';
// The agent host: runs an agent's methods for cellard, over two sockets that it inherits
// (docs/internals/agent-protocol.md). One process serves all runs of a cell.

const net = require('node:net');
const { loadAgent, methodOf } = require('./agents');
const { makeCtx } = require('./ctx');
const { CancelledError, ParkedRun, toJson } = require('./errors');
const { Files } = require('./files');
const { FrameParser, UpSocket } = require('./frames');
const { Run, stringify } = require('./run');

const UP_FD = 3;
const DOWN_FD = 4;
const CRASHED = 70;

const up = new UpSocket(UP_FD);
const files = new Files(process.env.CELLAR_WORK_DIR ?? '/work');
const cellId = process.env.CELLAR_CELL_ID ?? '';
const runs = new Map();

async function setUp(run, agent, ctx) {
  if (typeof agent.setup === 'function') await agent.setup(ctx);
  const o = run.next();
  if (!run.lookUp(o, 'setup', '', '')) run.send({ t: 'setup.done', o });
}

async function execute(run, header) {
  const agent = await loadAgent(header.agent);
  const method = methodOf(agent, run.method);
  const ctx = makeCtx(run, files, cellId);
  if (header.setup) await setUp(run, agent, ctx);
  return stringify(await method(ctx, run.params), `what ${run.method}() returns`);
}

async function start(header, body) {
  const run = new Run(up, header, body);
  runs.set(run.id, run);
  try {
    const result = await execute(run, header);
    if (!run.parked) run.send({ t: 'end', ok: true }, result);
  } catch (error) {
    if (!run.parked) {
      run.send({ t: 'end', ok: false, ...(error?.code ? { code: String(error.code) } : {}) },
        JSON.stringify(toJson(error)));
    }
  }
  if (runs.get(run.id) === run) runs.delete(run.id);
}

function take(header, body) {
  const run = runs.get(header.run);
  switch (header.t) {
    case 'run': start(header, body); break;
    case 'ack': run?.acknowledge(header.o); break;
    case 'result': run?.settle(header.x, header.ok, body); break;
    case 'cancel': run?.cancel(); break;
    case 'forget':
      run?.park();
      runs.delete(header.run);
      break;
    case 'ping': up.send({ t: 'pong', n: header.n }); break;
    case 'stop': process.exit(0); break;
    default: // A later daemon may say more.
  }
}

function crash(error) {
  // Code of a run that is over may still fail: nobody waits for it.
  if (error instanceof ParkedRun || error instanceof CancelledError) return;
  process.stderr.write(`${error?.stack ?? error}\n`);
  process.exit(CRASHED);
}

process.on('uncaughtException', crash);
process.on('unhandledRejection', crash);

const parser = new FrameParser(take);
const down = new net.Socket({ fd: DOWN_FD, readable: true, writable: false });
down.on('data', (chunk) => parser.feed(chunk));
down.on('close', () => process.exit(0));

up.send({ t: 'hello', v: 1, node: process.version });
