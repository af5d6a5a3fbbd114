// Uses a cell through the official client, over HTTP and over standard input and output:
// client.js URL KEY CELLAR CELL. It checks by itself that what tools give is as their schemas say.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, key, cellar, cell] = process.argv.slice(2);
const READS = ["get_cell", "read_file", "list_files", "search_code", "list_runs", "get_run"];

async function use(transport) {
  const client = new Client({ name: "test", version: "1" });
  client.onerror = (error) => console.error(error);
  await client.connect(transport);
  assert.equal(client.getServerVersion().name, "cellar");
  assert.match(client.getInstructions(), /\/work/);

  const { tools } = await client.listTools(); // It compiles the output schemas.
  assert.deepEqual(tools.filter((tool) => tool.annotations.readOnlyHint).map((tool) => tool.name), READS);
  const call = (name, args = {}, options) => client.callTool({ name, arguments: args }, undefined, options);

  await call("write_file", { path: "a.txt", content: "one\ntwo\n" });
  await call("edit_file", { path: "a.txt", old_string: "two", new_string: "2" });
  assert.equal((await call("read_file", { path: "a.txt" })).structuredContent.content, "one\n2\n");
  assert.equal((await call("exec", { command: "wc -l < a.txt" })).structuredContent.stdout.trim(), "2");
  assert.equal((await call("search_code", { query: "one", mode: "lexical" })).structuredContent.results[0].path, "a.txt");
  for (const name of ["list_files", "get_cell", "pause_cell", "resume_cell", "list_runs"]) {
    assert.equal((await call(name)).isError, false);
  }
  const refused = await call("call_agent", { method: "x" });
  assert.equal(refused.isError, true);
  assert.match(refused.content[0].text, /agent/);
  await assert.rejects(call("delete_cell"), /there is no tool/);

  const both = await Promise.all(["a", "b"].map((text) => call("exec", { command: `echo ${text}` })));
  assert.deepEqual(both.map((result) => result.structuredContent.stdout), ["a\n", "b\n"]);
  const leave = new AbortController();
  let progress = 0;
  const options = { signal: leave.signal, onprogress: (told) => ((progress = told.progress), leave.abort("enough")) };
  await assert.rejects(call("exec", { command: "sleep 3333; true" }, options));
  assert.ok(progress > 0);
  // It is cancelled there, too: what it ran is gone.
  let running = "3333";
  for (let tries = 0; running.includes("3333") && tries < 100; ++tries) {
    running = (await call("exec", { command: "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'sleep [3]333' || true" }))
      .structuredContent.stdout;
  }
  assert.equal(running, "");
  await transport.terminateSession?.();
  await client.close();
}

await use(new StreamableHTTPClientTransport(new URL(`/mcp?cell=${cell}`, url), {
  requestInit: { headers: { Authorization: `Bearer ${key}` } },
}));
console.log("ok http");
await use(new StdioClientTransport({ command: cellar, args: ["mcp", cell], env: { CELLAR_URL: url, CELLAR_API_KEY: key } }));
console.log("ok stdio");
