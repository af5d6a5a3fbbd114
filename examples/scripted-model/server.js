'use strict';
// No model: an OpenAI-compatible server that answers from a transcript, for demos and tests that
// must not need a key. node server.js TRANSCRIPT [--delay-ms N]
//
// The turn is the number of assistant messages in the request, so the same request gets the same
// answer, also after a crash. A turn may say what the last tool result must contain (`expects`);
// where it does not, the server gives up instead of pretending.

const fs = require('node:fs');
const http = require('node:http');

const BODY_MAX = 16 << 20;

function readArguments(argv) {
  const delay = argv.indexOf('--delay-ms');
  const delayMs = delay === -1 ? 0 : Number(argv[delay + 1]);
  const file = argv.find((word, index) => !word.startsWith('--') && (delay === -1 || index !== delay + 1));
  if (!file || !Number.isFinite(delayMs)) {
    console.error('usage: node server.js TRANSCRIPT [--delay-ms N]');
    process.exit(2);
  }
  return { turns: JSON.parse(fs.readFileSync(file, 'utf8')), delayMs };
}

function answer(turns, messages) {
  const number = messages.filter((message) => message.role === 'assistant').length;
  const turn = turns[number];
  const last = String(messages[messages.length - 1]?.content ?? '');
  if (!turn) return { role: 'assistant', content: 'The transcript is over.' };
  if (turn.expects && !last.includes(turn.expects)) {
    return { role: 'assistant', content: `I expected to see ${JSON.stringify(turn.expects)} and give up.` };
  }
  const calls = (turn.tools ?? []).map(([name, args], index) => ({
    id: `call_${number}_${index}`, type: 'function', function: { name, arguments: JSON.stringify(args) },
  }));
  return { role: 'assistant', content: turn.says ?? null, ...(calls.length ? { tool_calls: calls } : {}) };
}

function refuse(response, status, message) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ error: { message } }));
}

function serve(turns, delayMs, request, response) {
  if (request.method !== 'POST' || !request.url.endsWith('/chat/completions')) {
    refuse(response, 404, 'only POST …/chat/completions is served');
    return;
  }
  const chunks = [];
  let size = 0;
  request.on('data', (chunk) => {
    size += chunk.length;
    if (size > BODY_MAX) request.destroy();
    else chunks.push(chunk);
  });
  request.on('end', () => {
    let body;
    try {
      body = JSON.parse(Buffer.concat(chunks).toString());
    } catch {
      refuse(response, 400, 'the body is no JSON');
      return;
    }
    const message = answer(turns, body.messages ?? []);
    const finish = message.tool_calls ? 'tool_calls' : 'stop';
    setTimeout(() => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({
        id: 'scripted', object: 'chat.completion', model: 'scripted',
        choices: [{ index: 0, message, finish_reason: finish }],
      }));
    }, delayMs);
  });
}

const { turns, delayMs } = readArguments(process.argv.slice(2));
const server = http.createServer((request, response) => serve(turns, delayMs, request, response));
server.listen(0, '127.0.0.1', () => {
  console.log(`scripted-model: no model, answers from a transcript: http://127.0.0.1:${server.address().port}/v1`);
});
