'use strict';
// A coding agent: finds the place by search, asks a model, edits, runs the tests, until they pass.
// Every shell command, every call of the model is a durable step: kill this process at any moment,
// and the run goes on from the last one that was finished.
//
// Environment (the cell's secrets): OPENAI_BASE_URL, OPENAI_API_KEY, OPENAI_MODEL.

const SYSTEM = `You fix bugs in a repository. You see it only through your tools.
Make the smallest change that fixes the bug, never change the tests, then run them.
When they pass, answer with one sentence that says what was wrong.`;

const EXCERPT_LINES = 400;
const OUTPUT_BYTES = 4000;

const tools = [
  tool('search', 'Finds code by meaning.', { query: 'What to look for, in words' }),
  tool('read_file', 'Reads lines of a file.', { path: 'The file', start_line: 'First line, 1 if left out' }),
  tool('replace_in_file', 'Replaces a text that is in the file exactly once.', {
    path: 'The file', find: 'The text as it is', replace: 'The text as it must be',
  }),
  tool('run_tests', 'Runs the tests and shows the end of their output.', {}),
];

function tool(name, description, properties) {
  const typed = Object.entries(properties).map(([key, text]) =>
    [key, { type: key === 'start_line' ? 'integer' : 'string', description: text }]);
  const required = Object.keys(properties).filter((key) => key !== 'start_line');
  const parameters = { type: 'object', properties: Object.fromEntries(typed), required };
  return { type: 'function', function: { name, description, parameters } };
}

// ---- what the model can do ----

const actions = {
  search(ctx, { query }) {
    return ctx.search.query(query, 5).map(shown).join('\n');
  },

  read_file(ctx, { path, start_line: start = 1 }) {
    const text = ctx.store.read(path);
    if (text === null) return `There is no file ${path}.`;
    const lines = text.split('\n').slice(start - 1, start - 1 + EXCERPT_LINES);
    return lines.map((line, index) => `${start + index}: ${line}`).join('\n');
  },

  replace_in_file(ctx, { path, find, replace }) {
    const text = ctx.store.read(path);
    if (text === null) return `There is no file ${path}.`;
    const count = text.split(find).length - 1;
    if (count !== 1) return `The text to find is in ${path} ${count} times; it must be there once.`;
    ctx.store.write(path, text.replace(find, () => replace));
    ctx.stream({ phase: 'edit', path, removed: find, added: replace });
    return `${path} is changed.`;
  },

  run_tests(ctx, _, job) {
    job.tests.after = runTests(ctx, job.testCommand);
    return job.tests.after.output;
  },
};

function shown(hit) {
  return `${hit.path}:${hit.start_line}-${hit.end_line}\n${hit.content}\n`;
}

function runTests(ctx, command) {
  const { exitCode, stdout, stderr, timedOut } = ctx.shell(command, { timeoutMs: 120_000 });
  const output = (stdout + stderr).slice(-OUTPUT_BYTES);
  const summary = output.trim().split('\n').pop() ?? '';
  ctx.stream({ phase: 'tests', passed: exitCode === 0, summary });
  return { passed: exitCode === 0, summary, output: timedOut ? `${output}\n(timed out)` : output };
}

// ---- the conversation ----

async function askModel(ctx, messages) {
  const response = await ctx.fetch(`${process.env.OPENAI_BASE_URL}/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${process.env.OPENAI_API_KEY}`,
    },
    body: JSON.stringify({ model: process.env.OPENAI_MODEL, messages, tools }),
  });
  if (!response.ok) throw new Error(`the model answers ${response.status}: ${response.text().slice(0, 300)}`);
  return response.json().choices[0].message;
}

function act(ctx, call, job) {
  const { name } = call.function;
  ctx.stream({ phase: 'tool', tool: name, arguments: call.function.arguments.slice(0, 200) });
  try {
    const action = Object.hasOwn(actions, name) ? actions[name] : null;
    if (!action) return `There is no tool ${name}.`;
    return action(ctx, JSON.parse(call.function.arguments || '{}'), job);
  } catch (error) {
    if (error.code === 'canceled' || error.name === 'ParkedRun') throw error;
    return `${name} failed: ${error.message}`; // The model may do better next time.
  }
}

function firstMessages(instruction, found, tests) {
  const places = found.map(shown).join('\n');
  return [
    { role: 'system', content: SYSTEM },
    {
      role: 'user',
      content: `${instruction}\n\nPlaces that may have to do with it:\n${places}\n\n` +
        `The tests say:\n${tests.output}`,
    },
  ];
}

module.exports = {
  // {instruction, testCommand, maxTurns?} → {fixed, answer, turns, tests: {before, after}}
  async fix(ctx, { instruction, testCommand, maxTurns = 15 }) {
    const before = runTests(ctx, testCommand);
    const job = { testCommand, tests: { before, after: before } };
    const found = ctx.search.query(instruction, 5);
    ctx.stream({ phase: 'search', found: found.map((hit) => `${hit.path}:${hit.start_line}`) });

    const messages = firstMessages(instruction, found, before);
    let answer = '';
    let turns = 0;
    while (turns < maxTurns) {
      turns += 1;
      const reply = await askModel(ctx, messages);
      messages.push(reply);
      if (reply.content) {
        answer = reply.content;
        ctx.stream({ phase: 'model', text: answer });
      }
      if (!reply.tool_calls?.length) break;
      for (const call of reply.tool_calls) {
        messages.push({ role: 'tool', tool_call_id: call.id, content: act(ctx, call, job) });
      }
    }
    const summary = {
      fixed: job.tests.after.passed,
      answer,
      turns,
      tests: { before: before.summary, after: job.tests.after.summary },
    };
    ctx.db.set('last_fix', summary);
    return summary;
  },
};
