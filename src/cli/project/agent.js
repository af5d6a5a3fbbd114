'use strict';
// An agent: an application calls its methods, and `ctx` is what the cell has. All of `ctx` is in
// docs/guide/agents.md of Cellar.

module.exports = {
  // cellar request CELL hello '{"name": "you"}'
  async hello(ctx, { name = 'world' }) {
    const calls = (ctx.db.get('calls') ?? 0) + 1;
    ctx.db.set('calls', calls);
    return { hello: name, calls };
  },

  // cellar request CELL check '{"command": "node --version"}'
  // Steps and commands that have ended are not done again, whatever dies in the middle.
  async check(ctx, { command = 'node --version' }) {
    const began = await ctx.step('began', () => new Date().toISOString());
    ctx.stream({ began, command });
    const { exitCode, stdout, stderr } = ctx.shell(command, { timeoutMs: 60_000 });
    ctx.store.write('last-check.txt', stdout + stderr);
    return { ok: exitCode === 0, output: stdout + stderr };
  },
};
