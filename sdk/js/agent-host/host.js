'use strict';
// The program that cellard starts. It takes any Node.js far enough to say that it is too old.

const OLDEST = 18;
const TOO_OLD = 69;

if (Number(process.versions.node.split('.')[0]) < OLDEST) {
  process.stderr.write('agents need Node.js ' + OLDEST + ' or newer, this is ' + process.version + '\n');
  process.exit(TOO_OLD);
}

// With its ending: Node.js would try names.
require('./main.js');
