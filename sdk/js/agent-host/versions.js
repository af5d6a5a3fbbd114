'use strict';
// ctx.getVersion, ctx.removed and ctx.continueAs: versions of the agent, and histories that become too long.

const { coded } = require('./errors');
const { nameOf } = require('./values');

function makeVersions(run) {
  const check = (name, call, what) => {
    if (typeof name !== 'string' || name === '') throw coded('invalid_version', `${call}(${what}) needs a name`);
    run.check();
    if (run.inStep) throw coded('nested_version', `${call}("${name}") is inside a step`);
  };
  return {
    // Which way the run goes: `newest` where it comes here for the first time, what it was then on
    // replay, 0 where it came past here before this call was in the code.
    getVersion(name, newest) {
      check(name, 'ctx.getVersion', 'name, newest');
      if (!Number.isSafeInteger(newest) || newest < 1) {
        throw coded('invalid_version', `the newest version of "${name}" must be a number from 1 on`);
      }
      const recorded = run.ordinals.peek();
      const isOlder = recorded !== undefined && (recorded.k !== 'version' || recorded.n !== nameOf(name));
      return isOlder ? 0 : run.value('version', name, {}, () => newest);
    },
    // A command of this name was here once: runs that recorded it go past it.
    removed(name) {
      check(name, 'ctx.removed', 'name');
      run.ordinals.skip(name, run.names);
    },
    continueAs: (state) => run.continueAs(state),
  };
}

module.exports = { makeVersions };
