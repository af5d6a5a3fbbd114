'use strict';
// What loads all else of this folder where it is joined (cmake/bundle_js.py): it compiles that file, from
// what V8 made of it before where that is at hand. Code of that kind has no import(), and is no module.
// It is part of the program, which any Node.js has to read to say that it is too old: so it has no import()
// of its own, and no catch without a name.

const fs = require('node:fs');
const vm = require('node:vm');

const Module = module.constructor; // To load it by its name, Node.js loads more.

let all; // {script, folder, name, isCached}, where it is loaded from the one file

// V8 looks for itself at its version, its options and the source. What else there is of a Node.js
// is told by its name and its size.
function nameOfMade() {
  return `${process.version}-${process.arch}-${fs.statSync(process.execPath).size}.code`;
}

function readIfThere(file) {
  try {
    return fs.readFileSync(file);
  } catch (error) {
    return undefined;
  }
}

module.exports = {
  Module,

  importModule(href) {
    const made = new Module(__filename, null);
    made._compile('module.exports = (href) => import(href);', __filename);
    return made.exports(href);
  },

  // Runs the one file in `folder`, whose other modules are got by `require`.
  load(folder, require) {
    const file = `${folder}/all.js`;
    const source = fs.readFileSync(file, 'utf8');
    const name = nameOfMade();
    const cachedData = readIfThere(`${folder}/${name}`);
    const script = new vm.Script(source, { filename: file, cachedData });
    all = { script, folder, name, isCached: script.cachedDataRejected === false };
    script.runInThisContext()(require);
  },

  // The name of the file that would have made this start shorter; undefined where nothing would.
  lacks: () => (all === undefined || all.isCached ? undefined : all.name),

  // The agent that executes what a start needs.
  rehearsal: () => `${all.folder}/rehearsal.js`,

  // That file: what V8 has made of the functions that were called until now.
  make: () => all.script.createCachedData(),
};
