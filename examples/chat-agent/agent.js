'use strict';
// Answers questions about the files in /work: a model asks for what it wants to see, by tools.

const TOOLS = [
  {
    type: 'function',
    function: {
      name: 'search',
      description: 'Finds the places in the files that fit a question best.',
      parameters: { type: 'object', properties: { query: { type: 'string' } }, required: ['query'] },
    },
  },
  {
    type: 'function',
    function: {
      name: 'read',
      description: 'Gives a file.',
      parameters: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
    },
  },
];
const ROUNDS_MAX = 20;

// What a tool gives is recorded by ctx: a replay sees the same files.
function use(ctx, { function: { name, arguments: text } }) {
  const { query, path } = JSON.parse(text);
  if (name === 'search') {
    return ctx.search.query(query, 5).map((hit) => `${hit.path}:${hit.start_line}\n${hit.content}`).join('\n\n');
  }
  return ctx.store.read(path) ?? `there is no file ${path}`;
}

module.exports = {
  async ask(ctx, { question }) {
    const messages = [
      { role: 'system', content: 'Answer from the files of the project. Look before you answer.' },
      { role: 'user', content: question },
    ];
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const reply = await ctx.llm.chat({ messages, tools: TOOLS, onToken: (text) => ctx.stream({ text }) });
      if (reply.tool_calls.length === 0) return { answer: reply.content };
      messages.push({ role: 'assistant', content: reply.content, tool_calls: reply.tool_calls });
      for (const call of reply.tool_calls) {
        messages.push({ role: 'tool', tool_call_id: call.id, content: use(ctx, call) });
      }
    }
    throw new Error(`no answer within ${ROUNDS_MAX} rounds`);
  },
};
