'use strict';
// Loads an agent's code: CommonJS or an ES module, whichever its text is.

const fs = require('node:fs');
const path = require('node:path');
const url = require('node:url');
const vm = require('node:vm');
const { Module, importModule } = require('./code');
const { AgentError, toJson } = require('./errors');
const { sha256 } = require('./values');

const COMMON_JS_NAMES = ['exports', 'require', 'module', '__filename', '__dirname'];
// What CommonJS says to an ES module, and what one looks like where it says something else first.
const MODULE_ERRORS = /import statement|'export'|import\.meta/;
const MODULE_LINES = /^\s*(import|export)\b/m;
const MODULE_WORDS = /\b(?:import|export)\b/; // No ES module is without.

const CHECK_MS = 5000;

const loaded = new Map(); // path → promise of its exports

// Code is compiled twice only where it may be one.
function isModule(source, file) {
  if (!MODULE_WORDS.test(source)) return false;
  try {
    vm.compileFunction(source, COMMON_JS_NAMES, { filename: file });
    return false;
  } catch (error) {
    return error instanceof SyntaxError &&
      (MODULE_ERRORS.test(error.message) || MODULE_LINES.test(source));
  }
}

function loadCommonJs(source, file) {
  const module = new Module(file, null);
  module.filename = file;
  module.paths = Module._nodeModulePaths(path.dirname(file));
  module._compile(source, file);
  return module.exports;
}

// Node takes a file for an ES module by its name, and agents are all called *.js.
function moduleCopyOf(source) {
  const os = require('node:os'); // Seldom needed: no start waits for it.
  return path.join(os.tmpdir(), `agent-${sha256(source).slice(0, 16)}.mjs`);
}

async function loadModule(source) {
  const copy = moduleCopyOf(source);
  fs.writeFileSync(copy, source);
  const namespace = await importModule(url.pathToFileURL(copy).href);
  const { default: main, ...named } = namespace;
  return { ...(typeof main === 'object' ? main : {}), ...named };
}

// Where it broke, by a stack: "agent.js:3" or "agent.js:3:14" in `file`, the agent; "/work/a.js:3" where
// another file has a syntax error; '' where the stack does not say.
function placeIn(stack, file) {
  const broken = /^(?:file:\/\/)?(\/.+):(\d+)$/m.exec(stack.split('\n', 1)[0]);
  if (broken) return `${broken[1] === file ? 'agent.js' : broken[1]}:${broken[2]}`;
  const at = stack.indexOf(`${file}:`);
  const position = at === -1 ? null : /^\d+(?::\d+)?/.exec(stack.slice(at + file.length + 1));
  return position ? `agent.js:${position[0]}` : '';
}

// Node tells the line of an ES module's syntax error only where nobody catches it.
function stackOfCheck(file) {
  const childProcess = require('node:child_process'); // Likewise.
  const options = { env: {}, timeout: CHECK_MS, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' };
  const { stderr } = childProcess.spawnSync(process.execPath, ['--check', file], options);
  return stderr ?? '';
}

function placeOf(thrown, stack, source, file) {
  if (source === undefined) return '';
  if (!isModule(source, file)) return placeIn(stack, file);
  const copy = moduleCopyOf(source);
  const place = placeIn(stack, copy);
  return place === '' && thrown instanceof SyntaxError ? placeIn(stackOfCheck(copy), copy) : place;
}

async function load(file) {
  let source;
  try {
    source = fs.readFileSync(file, 'utf8');
    return isModule(source, file) ? await loadModule(source) : loadCommonJs(source, file);
  } catch (thrown) {
    const { name, message, stack } = toJson(thrown);
    const place = placeOf(thrown, stack, source, file);
    const error = new AgentError('agent_load_failed',
      `the agent cannot be loaded: ${place && `${place}: `}${name}: ${message}`);
    if (stack) error.stack = stack;
    throw error;
  }
}

function loadAgent(file) {
  if (!loaded.has(file)) {
    const loading = load(file);
    loaded.set(file, loading);
    loading.catch(() => loaded.delete(file));
  }
  return loaded.get(file);
}

// Only what the agent itself exports is a method: nothing of a prototype's, and not `setup`.
function methodOf(agent, name) {
  const exported = agent !== null && typeof agent === 'object' ? agent : {};
  const isMethod = (key) => key !== 'setup' && Object.hasOwn(exported, key) &&
    typeof exported[key] === 'function';
  if (isMethod(name)) return exported[name].bind(exported);
  const there = Object.keys(exported).filter(isMethod);
  throw new AgentError('method_not_found',
    `the agent has no method "${name}"; it has ${there.join(', ') || 'none'}`);
}

module.exports = { loadAgent, methodOf };
