// Runs tests/conformance/cases.json, as its README says, with this SDK against the daemon at CELLAR_URL.
// Usage: node test/conformance.js [PART OF A NAME]
import { readFileSync } from "node:fs";
import * as cellar from "../dist/esm/index.js";
import { FREE_NAMES } from "../dist/esm/generated.js";
import { fromWire } from "../dist/esm/names.js";
import { difference } from "./expectation.js";

const { CELLAR_URL: baseUrl, CELLAR_API_KEY: apiKey } = process.env;
const { agents, cells, cases } = JSON.parse(
  readFileSync(new URL("../../../../tests/conformance/cases.json", import.meta.url), "utf8"),
);
const STEP_MS = 30_000;
const FILES_MISSING = new Set(["file_not_found", "cell_not_found"]);
const client = new cellar.Cellar({ baseUrl, apiKey });
const run = `conformance-${Math.random().toString(36).slice(2, 10)}`;
let customers = 0;

const camel = (fields) => fromWire(fields);
const info = (cell) => cell.info;
const nothing = () => null;
const idOf = (cell) => (cell instanceof cellar.Cell ? cell.info : cell);
const bytesIn = (value) => (value?.$b64 === undefined ? value : new Uint8Array(Buffer.from(value.$b64, "base64")));

// What each operation is in this SDK: `client`, or `cell`, the arguments in its names, and those of the case.
const CLIENT = {
  health: (c) => c.health(),
  tiers: (c) => c.tiers(),
  "cells.create": (c, a) => c.cells.create(a).then(info),
  "cells.get_or_create": (c, a) => c.cells.getOrCreate(a).then(info),
  "cells.get": (c, a) => c.cells.get(a.cellId).then(info),
  "cells.delete": (c, a) => c.cells.delete(a.cellId).then(nothing),
  "cells.list": (c, a) => c.cells.list(a),
  "agents.call": (c, a, w) => c.agents.call(a.customerId, a.method, w.params, own(a)),
  "agents.stream": (c, a, w) => c.agents.stream(a.customerId, a.method, w.params, own(a)),
  "domains.add": (c, a) => c.domains.add(a.domain, a.cellId),
  "domains.get": (c, a) => c.domains.get(a.domain),
  "domains.list": (c) => c.domains.list(),
  "domains.reassign": (c, a) => c.domains.reassign(a.domain, a.cellId),
  "domains.remove": (c, a) => c.domains.remove(a.domain).then(nothing),
  "domains.verify": (c, a) => c.domains.verify(a.domain),
  "domains.provision_ssl": (c, a) => c.domains.provisionSsl(a.domain),
};
const own = ({ idempotencyKey }) => ({ idempotencyKey });
const CELL = {
  get: (c) => c.refresh(),
  pause: (c) => c.pause(),
  resume: (c) => c.resume(),
  hibernate: (c) => c.hibernate(),
  delete: (c) => c.delete().then(nothing),
  keep_alive: (c, a) => c.keepAlive(a.seconds),
  wake_at: (c, a) => c.wakeAt(a.at),
  set_permanent: (c, a) => c.setPermanent(a.permanent),
  network: (c) => c.network(),
  set_network: (c, a) => c.setNetwork(a.policy),
  set_preview: (c, a) => c.setPreview(a),
  preview_link: (c, a) => c.previewLink(a),
  request: (c, a, w) => c.request(a.method, w.params, own(a)),
  stream: (c, a, w) => c.stream(a.method, w.params, own(a)),
  exec: (c, { cmd, ...a }) => c.exec(cmd, a),
  exec_stream: (c, { cmd, ...a }) => c.execStream(cmd, a),
  diff: (c, a) => c.diff(a),
  search: (c, { query, ...a }) => c.search(query, a),
  search_symbols: (c, { query, ...a }) => c.searchSymbols(query, a),
  search_status: (c) => c.searchStatus(),
  search_add: (c, a) => c.searchAdd(a.path, a.text).then(nothing),
  search_remove: (c, a) => c.searchRemove(a.path),
  events: (c, a) => c.events(a),
  terminal: (c, a) => terminal(c, a),
};
const FILES = {
  read_text: (f, { path, ...a }) => f.readText(path, a),
  read_bytes: (f, { path, ...a }) => f.readBytes(path, a),
  read: async (f, { path, ...a }) => described(await f.read(path, a)),
  write: (f, { path, content, ...a }, w) => f.write(path, bytesIn(w.content), a),
  append: (f, { path, content, ...a }, w) => f.append(path, bytesIn(w.content), a),
  list: (f, { path, ...a }) => f.list(path, a),
  stat: (f, a) => f.stat(a.path),
  delete: (f, { path, ...a }) => f.delete(path, a).then(nothing),
  rename: (f, { from, to, ...a }) => f.rename(from, to, a),
  mkdir: (f, { path, ...a }) => f.mkdir(path, a),
  chmod: (f, a) => f.chmod(a.path, a.mode),
  glob: (f, { pattern, ...a }) => f.glob(pattern, a),
  grep: (f, { pattern, ...a }) => f.grep(pattern, a),
  tar_copy: async (f, a) => f.uploadTar(a.to, new Uint8Array(await new Response(await f.downloadTar(a.from)).arrayBuffer())),
  watch: (f, { path, write, ...a }) => new cellar.Items(() => watch(f, path, write, a)),
};
const CHECKPOINTS = {
  create: (c, a) => c.create(a),
  list: (c) => c.list(),
  get: (c, a) => c.get(a.checkpoint),
  delete: (c, a) => c.delete(a.checkpoint).then(nothing),
};
const RUNS = {
  start: (r, a, w) => r.start(a.method, w.params, own(a)),
  list: (r, a) => r.list(a),
  get: (r, a) => r.get(a.run),
  await: (r, a) => r.await(a.run, { timeoutMs: (a.timeoutS ?? 30) * 1000 }),
  events: (r, { run, ...a }) => r.events(run, a),
  cancel: (r, { run, ...a }) => r.cancel(run, a),
  approve: (r, { run, ...a }) => r.approve(run, a),
  pause: (r, a) => r.pause(a.run),
  resume: (r, { run, ...a }) => r.resume(run, a),
  replay: (r, { run, ...a }) => r.replay(run, a),
  restart: (r, { run, ...a }) => r.restart(run, a),
  send_event: (r, { run, ...a }) => r.sendEvent(run, a),
};
const PROCESSES = {
  start: (p, { cmd, ...a }) => p.start(cmd, a),
  list: (p) => p.list(),
  get: (p, a) => p.get(a.process),
  output: (p, { process, ...a }) => p.output(process, a),
  log: (p, { process, ...a }) => p.log(process, a),
  stdin: (p, a, w) => p.stdin(a.process, bytesIn(w.content) ?? "", { end: a.end }).then(nothing),
  signal: (p, a) => p.signal(a.process, a.signal).then(nothing),
  resize: (p, { process, ...a }) => p.resize(process, a).then(nothing),
  kill: (p, a) => p.kill(a.process).then(nothing),
};

async function described(content) {
  const { notModified, etag, size } = content;
  return {
    notModified,
    ...(etag === undefined ? {} : { etag }),
    ...(size === undefined ? {} : { size }),
    bytes: await content.bytes(),
  };
}

async function* watch(files, path, write, options) {
  for await (const change of files.watch(path, options)) {
    yield change;
    if (change.type === "ready") await files.write(write, "new");
  }
}

async function terminal(cell, { send, until, ...options }) {
  const opened = await cell.terminal(options);
  const text = new TextDecoder();
  let output = "";
  for (const keys of send) await opened.write(keys);
  for await (const item of opened) {
    if (item.type === "output") output += text.decode(item.bytes, { stream: true });
    if (until !== undefined && output.includes(until)) break;
  }
  await opened.kill();
  return opened.exit ? { output, exitCode: opened.exit.exitCode } : { output };
}

async function http({ method, path, headers = {}, body }) {
  const all = new Headers({ authorization: `Bearer ${apiKey}` });
  for (const [name, value] of Object.entries(headers)) value === null ? all.delete(name) : all.set(name, value);
  if (body !== undefined && typeof body !== "string") all.set("content-type", "application/json");
  const answer = await fetch(baseUrl + path, {
    method,
    headers: all,
    body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await answer.text();
  const isJson = answer.headers.get("content-type")?.startsWith("application/json") && text !== "";
  return {
    status: answer.status,
    headers: Object.fromEntries(answer.headers),
    text,
    ...(isJson ? { json: JSON.parse(text) } : {}),
  };
}

/** The answer of one step, or its items until it is left, and the error that ended it. */
async function perform(step, saved) {
  const wire = substituted(step.with ?? {}, saved);
  if (step.op === "http") return { answer: await http(wire) };
  const who = step.client ? new cellar.Cellar({ baseUrl, apiKey, ...camel(step.client) }) : client;
  const items = [];
  let isItems = false;
  try {
    const { cell_id, ...rest } = wire;
    const found = CLIENT[step.op]
      ? CLIENT[step.op](who, camel(wire), wire)
      : inCell(step.op, who.cells.open(cell_id ?? saved.cell.cell_id), rest);
    isItems = found instanceof cellar.Items;
    if (!isItems) return { answer: plain(await found, step.op) };
    for await (const item of found) {
      put(items, itemOf(item, step.op));
      if (items.length === step.take || (step.until && !difference(substituted(step.until, saved), items.at(-1)))) break;
    }
    return { answer: items };
  } catch (error) {
    if (!(error instanceof cellar.CellarError)) throw error;
    return { error, ...(isItems || step.expect ? { answer: items } : {}) };
  }
}

function inCell(op, cell, wire) {
  const [, group, verb] = op.split(".");
  const [table, target] =
    verb === undefined
      ? [CELL, cell]
      : {
          files: [FILES, cell.files],
          checkpoints: [CHECKPOINTS, cell.checkpoints],
          runs: [RUNS, cell.runs],
          processes: [PROCESSES, cell.processes],
        }[group];
  const call = table[verb ?? group];
  if (!call) throw new Error(`there is no operation ${op}`);
  return call(target, camel(wire), wire);
}

/** A command's result is the API's, and a run's is not. */
function itemOf(item, op) {
  const made = plain(idOf(item), op);
  return op === "cell.exec_stream" && item.type === "exit" ? { ...made, result: plain(item.result, op) } : made;
}

/** Adjacent output of one kind is one item. */
function put(items, item) {
  const last = items.at(-1);
  const isOutput = item.type === "stdout" || item.type === "stderr";
  const kind =
    isOutput && last?.type === item.type
      ? ["text", "bytes"].find((name) => item[name] !== undefined && last[name] !== undefined)
      : undefined;
  if (!kind) return items.push(item);
  const joined = kind === "text" ? last.text + item.text : new Uint8Array([...last.bytes, ...item.bytes]);
  items[items.length - 1] = { ...item, [kind]: joined };
}

const OWN_VALUES = /^(cell\.(request|stream)|agents\.)/;
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function plain(value, op) {
  if (OWN_VALUES.test(op) || value === null || value === undefined) return value ?? null;
  if (value instanceof Uint8Array || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((item) => plain(item, op));
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [snake(name), FREE_NAMES.has(name) ? member : plain(member, op)]),
  );
}

function substituted(value, saved) {
  if (Array.isArray(value)) return value.map((item) => substituted(item, saved));
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, substituted(member, saved)]));
  }
  if (typeof value !== "string") return value;
  const agent = /^\$agent:(\w+)$/.exec(value);
  if (agent) return agents[agent[1]].join("\n");
  const look = (path) => path.split(".").reduce((found, part) => found[part], saved);
  const whole = /^\$\{([\w.]+)\}$/.exec(value);
  return whole ? look(whole[1]) : value.replace(/\$\{([\w.]+)\}/g, (_, path) => look(path));
}

function named(error) {
  const word = snake(error.constructor.name.replace(/Error$/, "")).slice(1);
  const { message, status, code, retryable, remediation, requestId } = error;
  const fields = {
    class: word === "agent" ? "agent_error" : word,
    message,
    status,
    code,
    retryable,
    remediation,
    request_id: requestId,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

const shared = new Map();

async function cellFor(test) {
  if (test.cell === undefined) return undefined;
  const make = (fields) => client.cells.create({ ...camel(substituted(fields, {})), customerId: `${run}-${(customers += 1)}` });
  if (typeof test.cell !== "string") return make(test.cell);
  if (!shared.has(test.cell)) shared.set(test.cell, await make(cells[test.cell]));
  return shared.get(test.cell);
}

/** What is wrong with one step; nothing where it is as it should be. */
async function check(step, saved) {
  const late = new Promise((_, reject) => setTimeout(reject, STEP_MS, new Error(`not within ${STEP_MS} ms`)).unref());
  const { answer, error } = await Promise.race([perform(step, saved), late]);
  const wanted = substituted(step.error, saved);
  if (step.save) saved[step.save] = answer;
  if (error && !wanted) return { error, what: `threw ${JSON.stringify(named(error))}` };
  if (!error && wanted) return { what: `did not throw, but gave ${JSON.stringify(answer)}` };
  const ofError = error && difference(wanted, named(error));
  const ofAnswer = "expect" in step ? difference(substituted(step.expect, saved), answer) : undefined;
  const found = ofError ?? ofAnswer;
  return found && { what: `${found}\n  in ${JSON.stringify(error ? named(error) : answer)}` };
}

async function runCase(test) {
  const cell = await cellFor(test);
  const saved = { api_key: apiKey, customer: `${run}-${(customers += 1)}` };
  if (cell) saved.cell = { cell_id: cell.id, customer_id: cell.info.customerId };
  for (const [at, step] of test.steps.entries()) {
    const wrong = await check(step, saved);
    if (!wrong) continue;
    const { error } = wrong;
    const isMissing = error && (error.status === 404 || error.status === 405) && !FILES_MISSING.has(error.code);
    if (test.needs && at === 0 && isMissing) return `the daemon has no "${test.needs}" (${error.status} ${error.code})`;
    throw new Error(`step ${at + 1}, ${step.op}: ${wrong.what}`);
  }
  return undefined;
}

const counts = { passed: 0, failed: 0, skipped: 0 };
for (const test of cases.filter(({ name }) => name.includes(process.argv[2] ?? ""))) {
  const began = performance.now();
  try {
    const skip = await runCase(test);
    counts[skip ? "skipped" : "passed"] += 1;
    console.log(skip ? `skipped: ${test.name}: ${skip}` : `ok ${Math.round(performance.now() - began)} ms: ${test.name}`);
  } catch (error) {
    counts.failed += 1;
    console.log(`FAILED: ${test.name}: ${error instanceof cellar.CellarError ? JSON.stringify(named(error)) : error.message}`);
  }
}
for await (const cell of client.cells.list()) if (cell.info.customerId.startsWith(run)) await cell.delete();
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;
