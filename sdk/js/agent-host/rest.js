'use strict';
// Whether this process has something to do that the daemon knows nothing of.

const STREAMS = ['stdout', 'stderr'];

let atRest = new Map(); // resources() where there is nothing to do

// What keeps the process busy, by kind: sockets, timers, requests.
function resources() {
  const counts = new Map();
  for (const kind of process.getActiveResourcesInfo?.() ?? []) {
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  counts.delete('Immediate'); // The turn at hand.
  return counts;
}

// Node.js makes this stream when it is first used, and counts it from then on: an agent that has
// logged once would never be at rest again. To make it at the start would be a tenth of that.
function expect(name) {
  const made = Object.getOwnPropertyDescriptor(process, name);
  const get = () => {
    Object.defineProperty(process, name, made);
    const before = resources();
    const stream = process[name];
    for (const [kind, count] of resources()) {
      const added = count - (before.get(kind) ?? 0);
      if (added > 0) atRest.set(kind, (atRest.get(kind) ?? 0) + added);
    }
    return stream;
  };
  Object.defineProperty(process, name, { ...made, get });
}

// From here on what is added to what there is now is something to do.
function beginAtRest() {
  atRest = resources();
  STREAMS.forEach(expect);
}

// Where Node.js does not tell, it is never at rest.
function isAtRest() {
  if (process.getActiveResourcesInfo === undefined) return false;
  return [...resources()].every(([kind, count]) => count <= (atRest.get(kind) ?? 0));
}

module.exports = { beginAtRest, isAtRest };
