'use strict';
// The agent host: runs an agent's methods for cellard, over two sockets that it inherits
// (docs/internals/agent-protocol.md). One process serves all runs of a cell.

const { loadAgent, methodOf } = require('./agents');
const code = require('./code');
const { makeCtx } = require('./ctx');
const { readDown } = require('./down');
const { AgentError, CancelledError, ParkedRun, handedOut, isA, member, show, toJson } = require('./errors');
const { Files } = require('./files');
const { FrameParser, leave, UpSocket } = require('./frames');
const { checkNoGenerator } = require('./live');
const { inside, isToldToStop } = require('./phase');
const { OneATurn } = require('./replay');
const { beginAtRest, isAtRest } = require('./rest');
const { Run } = require('./run');
const { stringify } = require('./values');

const UP_FD = 3;
const DOWN_FD = 4;
const CRASHED = 70;
const EXIT_FRAMES = 20;
const EXIT_FRAMES_TOLD = 4; // A crash loop tells the last ten lines: some are left for the agent's own.
const ENDED_EARLY = JSON.stringify({ message: 'the method returns before it has done what is recorded' });

const REHEARSAL = {
  run: 'rehearsal', a: 1, method: 'rehearse', base: 0, params_len: 'null'.length,
  replay: [{ o: 1, k: 'step', n: 'recorded', fp: '', s: 'ok', at: 1, end: 2, len: 'null'.length }],
};

const up = new UpSocket(UP_FD);
const runs = new Map();
let files;
let cellId;
let isEnding = false; // The host ends the process, not the agent's code.

function lookAround() {
  files = new Files(process.env.CELLAR_WORK_DIR ?? '/work');
  cellId = process.env.CELLAR_CELL_ID ?? '';
}

// This process was started as nobody's. Now it is a cell's, whose files are there, and has that
// cell's environment.
function become(environment) {
  Object.assign(process.env, environment);
  process.chdir(process.env.CELLAR_WORK_DIR ?? '/work'); // What is mounted there now.
  lookAround();
}

async function execute(run, header) {
  const agent = await loadAgent(header.agent);
  const method = methodOf(agent, run.method);
  const ctx = makeCtx(run, files, cellId);
  const within = (call) => inside.run({ run }, call);
  if (header.setup) {
    if (typeof agent.setup === 'function') checkNoGenerator(await within(() => agent.setup(ctx)), 'setup()');
    run.setupDone();
  }
  const value = await within(() => method(ctx, run.params));
  checkNoGenerator(value, `${run.method}()`);
  return stringify(value, `what ${run.method}() returns`);
}

function sendEnd(run, { ok, text, code, rolled }) {
  if (run.isTrial) run.endTrial(run.replay.isComplete, ok ? ENDED_EARLY : text);
  else if (!run.parked) run.send({ t: 'end', ok, code, rolled }, text);
}

// Why the run ended, where it was not the agent's own code that decided so.
function endCode(run, error) {
  if (isA(error, AgentError)) return error.code;
  return run.cancelled && member(error, 'code') === 'canceled' ? 'canceled' : undefined;
}

function failed(run, error) {
  const text = stringify(toJson(error), `the error of ${run.method}()`);
  return { ok: false, text, code: endCode(run, error) };
}

// How the method ends: {ok, text, code?}.
async function outcomeOf(run, header) {
  try {
    const text = await execute(run, header);
    await run.commands.untilHeard();
    if (run.undoes) return failed(run, new CancelledError()); // Whatever it gives.
    run.commands.checkForgotten();
    return { ok: true, text };
  } catch (error) {
    return failed(run, isA(error, ParkedRun) && run.undoes ? new CancelledError() : error);
  }
}

// A run did nothing in such a version of the agent, and never could.
function isImpossible({ code }) {
  return code === 'agent_load_failed' || code === 'method_not_found';
}

async function carryThrough(run, header) {
  const tooLate = run.outOfTime.then(() => failed(run, new CancelledError()));
  const outcome = await Promise.race([outcomeOf(run, header), tooLate]);
  if (run.isTrial && isImpossible(outcome)) run.endTrial(false, outcome.text);
  try {
    return await run.conclude(outcome);
  } catch (error) {
    if (error instanceof ParkedRun) return outcome; // Which nobody is told.
    throw error;
  }
}

// `body` may be large, and is not kept until the run has ended.
function start(header, body, to = up) {
  runs.get(header.run)?.leave(); // Its next attempt is here.
  const run = new Run(to, header, body);
  runs.set(run.id, run);
  return goThrough(run, { agent: header.agent, setup: header.setup });
}

async function goThrough(run, header) {
  sendEnd(run, await carryThrough(run, header).catch((error) => failed(run, error)));
  run.end();
  if (runs.get(run.id) === run) runs.delete(run.id);
}

// The run only waits for the daemon, which asks whether it may go on without us. Not while anything
// is under way that the daemon knows nothing of: it would begin anew.
function suspend(run, { n }) {
  if (!isAtRest() || !run.isAtRest) return;
  run.park();
  runs.delete(run.id);
  run.send({ t: 'suspended', n });
}

// The code of an agent that is to be there before somebody asks it for something. Where it does not
// load, each run says so, too.
function load(path) {
  loadAgent(path).catch((error) => process.stderr.write(`${error.stack}\n`));
}

// Of functions that nobody has called V8 has made nothing: a run of nobody's goes on as after a start.
async function giveCode() {
  const nobody = {
    stepsMax: 1,
    stepCount: 0,
    sendText(text, body) {
      const frame = JSON.parse(text);
      if (frame.t === 'done') setImmediate(take, { ...frame, t: 'ack' });
      if (frame.t === 'end' && !frame.ok) process.stderr.write(`what starts need is not known: ${body}\n`);
    },
  };
  await start({ ...REHEARSAL, agent: code.rehearsal() }, Buffer.from('nullnull'), nobody);
  up.send({ t: 'code', name: code.lacks() }, code.make());
}

function take(header, body) {
  const known = runs.get(header.run);
  const run = known?.attempt === header.a ? known : undefined; // What an earlier one was told.
  switch (header.t) {
    case 'cell': become(JSON.parse(body.toString())); break;
    case 'run': start(header, body); break;
    case 'load': load(header.agent); break;
    case 'code': giveCode(); break;
    case 'ack': run?.acknowledge(header.o, header.ok === false ? body : undefined); break;
    case 'began': run?.began(header.o); break;
    case 'refused': run?.began(header.o, body); break;
    case 'room':
      up.stepsMax = header.steps;
      up.send({ t: 'room', n: header.n }); // All that was begun before, it hears before.
      break;
    case 'delta': run?.waiting.givePart(header, body); break;
    case 'result': run?.waiting.giveResult(header, body); break;
    case 'cancel': run?.cancel(header.rollback); break;
    case 'suspend': if (run !== undefined) suspend(run, header); break;
    case 'forget':
      if (run === undefined) break;
      run.leave();
      runs.delete(run.id);
      break;
    case 'ping': up.send({ t: 'pong', n: header.n }); break;
    case 'stop': exit(0); break;
    default: // A later daemon may say more.
  }
}

// Code of a run that is over may still fail: nobody waits for it.
function tellsOfEnd(error) {
  const isOver = (what) => isA(what, CancelledError);
  return isOver(error) || isOver(member(error, 'cause')); // Node.js has the reason of an abort as the cause.
}

function crash(error) {
  if (tellsOfEnd(error)) return;
  show(error);
  if (!isToldToStop()) exit(CRASHED);
}

function exit(code) {
  isEnding = true;
  process.exit(code);
}

// Whoever calls process.exit is below this on the stack: nothing else would say why all runs begin again.
function tellOfExit(code) {
  if (isEnding) return;
  const { prepareStackTrace, stackTraceLimit } = Error;
  Object.assign(Error, { prepareStackTrace: undefined, stackTraceLimit: EXIT_FRAMES });
  const calls = new Error().stack.split('\n    at ').slice(1);
  Object.assign(Error, { prepareStackTrace, stackTraceLimit });
  const from = calls.findIndex((call) => /exit \(node:/.test(call));
  if (from === -1) return;
  const told = [`the agent called process.exit(${code})`, ...calls.slice(from + 1, from + 1 + EXIT_FRAMES_TOLD)];
  process.stderr.write(`${told.join('\n    at ')}\n`);
}

process.on('exit', tellOfExit);
process.on('uncaughtException', crash);
// One with an error of ours is that of a command, or of a branch of the agent's code that it has ended.
// Another one is that of a branch, too, where it belongs to a run: Node.js calls this as code of that.
process.on('unhandledRejection', (error, promise) => {
  const origin = handedOut.get(error);
  const here = inside.getStore();
  if (origin !== undefined) origin.run.commands.leaveUnheard(promise, origin);
  else if (here?.run === undefined) crash(error);
  else if (!tellsOfEnd(error)) here.run.commands.leaveStray(promise, error, here);
});
process.on('rejectionHandled', (promise) => {
  for (const run of runs.values()) run.commands.hear(promise);
});

const turns = new OneATurn(take);
const parser = new FrameParser((header, body) => turns.push(header, body));
readDown(DOWN_FD, (bytes, size, isOtherTurn) => {
  if (isOtherTurn) turns.begin();
  parser.feed(bytes, size);
}, leave);

lookAround();
up.send({ t: 'hello', v: 1, node: process.version, lacks: code.lacks() });
beginAtRest();
