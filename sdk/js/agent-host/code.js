'use strict';
// What loads all else of this folder where it is joined (cmake/bundle_js.py): it compiles that file, from
// what V8 made of it before where that is at hand. Code of that kind has no import().

const fs = require('node:fs');
const vm = require('node:vm');

let all; // {file, source, name, isCached}, where it is loaded from the one file

// V8 looks for itself at its version, its options and the source. What else there is of a Node.js
// is told by its name and its size.
function nameOfMade() {
  return `${process.version}-${process.arch}-${fs.statSync(process.execPath).size}.code`;
}

function readIfThere(file) {
  try {
    return fs.readFileSync(file);
  } catch {
    return undefined;
  }
}

module.exports = {
  importModule: (href) => import(href),

  // Runs the one file in `folder`, whose other modules are got by `require`.
  load(folder, require) {
    const file = `${folder}/all.js`;
    const source = fs.readFileSync(file, 'latin1'); // It is ASCII.
    const name = nameOfMade();
    const cachedData = readIfThere(`${folder}/${name}`);
    const script = new vm.Script(source, { filename: file, cachedData });
    all = { file, source, name, isCached: script.cachedDataRejected === false };
    script.runInThisContext()(require);
  },

  // The name of the file that would have made this start shorter; undefined where nothing would.
  lacks: () => (all === undefined || all.isCached ? undefined : all.name),

  // That file: what V8 makes of all functions, called or not.
  make() {
    const v8 = require('node:v8');
    v8.setFlagsFromString('--no-lazy');
    let script;
    try {
      // From another column on: V8 would give what it has compiled already. There is no code in it.
      script = new vm.Script(all.source, { filename: all.file, columnOffset: 1 });
    } finally {
      v8.setFlagsFromString('--lazy'); // The options are part of what is made.
    }
    return script.createCachedData();
  },
};
