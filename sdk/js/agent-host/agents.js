'use strict';
// Loads an agent's code: CommonJS or an ES module, whichever its text is.

const crypto = require('node:crypto');
const fs = require('node:fs');
const Module = require('node:module');
const os = require('node:os');
const path = require('node:path');
const url = require('node:url');
const vm = require('node:vm');
const { coded } = require('./errors');

const loaded = new Map(); // path → promise of its exports

function isModule(source, file) {
  try {
    new vm.Script(Module.wrap(source), { filename: file });
    return false;
  } catch (error) {
    return error instanceof SyntaxError && /^\s*(import|export)\b/m.test(source);
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
async function loadModule(source) {
  const name = crypto.createHash('sha256').update(source).digest('hex').slice(0, 16);
  const copy = path.join(os.tmpdir(), `agent-${name}.mjs`);
  fs.writeFileSync(copy, source);
  const namespace = await import(url.pathToFileURL(copy).href);
  const { default: main, ...named } = namespace;
  return { ...(typeof main === 'object' ? main : {}), ...named };
}

async function load(file) {
  try {
    const source = fs.readFileSync(file, 'utf8');
    return isModule(source, file) ? await loadModule(source) : loadCommonJs(source, file);
  } catch (error) {
    throw Object.assign(coded('agent_load_failed', `the agent cannot be loaded: ${error.name}: ${error.message}`),
      { stack: error.stack });
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

// Only what the agent itself exports is a method.
function methodOf(agent, name) {
  const own = agent !== null && typeof agent === 'object' && Object.hasOwn(agent, name);
  if (own && name !== 'setup' && typeof agent[name] === 'function') return agent[name].bind(agent);
  const there = Object.keys(agent ?? {}).filter((key) => key !== 'setup' && typeof agent[key] === 'function');
  throw coded('method_not_found',
    `the agent has no method "${name}"; it has ${there.join(', ') || 'none'}`);
}

module.exports = { loadAgent, methodOf };
