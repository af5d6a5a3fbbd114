import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { spawnSync } from "node:child_process";
import test from "node:test";
import * as sdk from "../dist/esm/index.js";
import { fromWire, toWire } from "../dist/esm/names.js";
import { Scope } from "../dist/esm/scope.js";
import { answer, failure, quick, serve } from "./fake_server.js";

const OK = { ok: true };
const refusal = (code) => failure(code, { retryable: true });

/** How often the server was asked, if it treats the first calls as `trouble` does. */
async function count(trouble, times, call) {
  const { cell, asked, close } = await serve((one, response, count) =>
    count <= times ? trouble(response) : answer(response, one.method === "DELETE" ? 404 : 200, failure("file_not_found", OK)),
  );
  const outcome = await call(cell).then(
    () => "done",
    (error) => error.constructor.name,
  );
  await close();
  return [asked.length, outcome, asked];
}

test("what breaks off is sent again only where a second time changes nothing", async () => {
  const drop = (response) => response.destroy();
  const again = {
    read: (cell) => cell.refresh(),
    write: (cell) => cell.files.write("a", "b"),
    delete: (cell) => cell.files.delete("a"), // The second answer is 404: it is gone, as was wanted.
    pause: (cell) => cell.pause(),
    search: (cell) => cell.search("x"),
    start: (cell) => cell.runs.start("m"),
    restart: (cell) => cell.runs.restart("r", { from: "a" }),
    request: (cell) => cell.request("m"),
    event: (cell) => cell.runs.sendEvent("r", { type: "t" }),
  };
  const once = {
    exec: (cell) => cell.exec("true"),
    process: (cell) => cell.processes.start("true"),
    stdin: (cell) => cell.processes.stdin("p", "x"),
    append: (cell) => cell.files.append("a", "b"),
    conditional: (cell) => cell.files.write("a", "b", { ifMatch: '"1"' }),
    record: (cell) => cell.request("db_create", { entity: "e", data: {} }),
    approve: (cell) => cell.runs.approve("r", { approved: true }),
  };
  for (const [name, call] of Object.entries(again)) assert.deepEqual((await count(drop, 1, call)).slice(0, 2), [2, "done"], name);
  for (const [name, call] of Object.entries(once))
    assert.deepEqual((await count(drop, 1, call)).slice(0, 2), [1, "ConnectionError"], name);
  for (const call of [again.start, again.restart, again.request]) {
    const [, , asked] = await count(drop, 1, call);
    assert.equal(new Set(asked.map(({ headers }) => headers["idempotency-key"])).size, 1);
  }
  const [, , told] = await count(drop, 1, again.event);
  assert.equal(new Set(told.map(({ body }) => JSON.parse(body).id)).size, 1);
});

test("whether a call has made what is there is not known where the answer to a try before it was lost", async () => {
  for (const [statuses, made] of [
    [[201], true],
    [[200], false],
    [[0, 200], undefined],
    [[0, 201], true],
  ]) {
    const { client, close } = await serve((_, response, count) => {
      const status = statuses[count - 1];
      return status === 0 ? response.destroy() : answer(response, status, { cell_id: "c" });
    });
    assert.equal((await client.cells.create({ customerId: "c" })).wasMade, made);
    await close();
  }
});

test("what was refused before anything was done is sent again, as late as the server asks", async () => {
  const refused =
    (code, headers = {}) =>
    (response) =>
      answer(response, 503, refusal(code), headers);
  assert.deepEqual((await count(refused("no_capacity"), 1, (cell) => cell.exec("true"))).slice(0, 2), [2, "done"]);
  assert.deepEqual((await count(refused("unavailable"), 1, (cell) => cell.exec("true"))).slice(0, 2), [1, "UnavailableError"]);
  assert.deepEqual((await count(refused("no_capacity"), 9, (cell) => cell.refresh())).slice(0, 2), [3, "UnavailableError"]);
  assert.deepEqual((await count(refused("crash_loop"), 9, (cell) => cell.request("m"))).slice(0, 2), [1, "UnavailableError"]);
  assert.deepEqual((await count(refused("no_capacity", { "retry-after": "3600" }), 9, (cell) => cell.refresh())).slice(0, 2), [
    1,
    "UnavailableError",
  ]);
  // A proxy's, which says nothing of what was done; and Cellar's own, which says that it is of no use.
  const gateway = (response) => response.writeHead(504, { "content-type": "text/html" }).end("<h1>504</h1>");
  for (const call of [(cell) => cell.refresh(), (cell) => cell.runs.start("m"), (cell) => cell.request("m"), (cell) => cell.runs.restart("r")])
    assert.deepEqual((await count(gateway, 1, call)).slice(0, 2), [2, "done"]);
  assert.deepEqual((await count(gateway, 1, (cell) => cell.exec("true"))).slice(0, 2), [1, "TimedOutError"]);
  const own = (response) => answer(response, 504, failure("trial_without_end", { retryable: false }));
  assert.deepEqual((await count(own, 9, (cell) => cell.runs.replay("r"))).slice(0, 2), [1, "TimedOutError"]);
  const began = Date.now();
  await count(refused("no_capacity", { "retry-after": "1" }), 1, (cell) => cell.refresh());
  assert.ok(Date.now() - began >= 990);
});

test("who waited long for an answer that broke off is not tired of it", async () => {
  const { now } = Date;
  let passed = 0;
  const drop = (response) => {
    passed += 31_000;
    response.destroy();
  };
  Date.now = () => now() + passed;
  const found = await count(drop, 8, (cell) => cell.request("m"));
  Date.now = now;
  assert.deepEqual(found.slice(0, 2), [9, "done"]);
});

test("a server that answers late is not asked more often than one that answers at once", async (t) => {
  quick(t);
  const { now } = Date;
  let passed = 0;
  const late = (response) => {
    passed += 35_000;
    answer(response, 502, refusal("bad_gateway"));
  };
  Date.now = () => now() + passed;
  const found = [];
  for (const call of [(cell) => cell.refresh(), (cell) => cell.request("m", {}, { timeoutMs: 0 })])
    found.push((await count(late, 20, call)).slice(0, 2));
  Date.now = now;
  assert.deepEqual(found, [
    [3, "UnavailableError"],
    [7, "UnavailableError"],
  ]);
});

test("who could not be reached had nothing of it only where there was no connection yet", async () => {
  const failed = (code, syscall) => Object.assign(new Error("it failed"), { code, syscall });
  const several = Object.assign(new AggregateError([failed("ENETUNREACH", "connect")]), { code: "ENETUNREACH" });
  for (const [cause, times] of [
    [failed("EHOSTUNREACH", "connect"), 3],
    [several, 3],
    [failed("EHOSTUNREACH", "read"), 1],
    [failed("ENETUNREACH", "write"), 1],
    [failed("EHOSTUNREACH", undefined), 1],
  ]) {
    let asked = 0;
    const fetch = async () => {
      asked += 1;
      throw new TypeError("fetch failed", { cause });
    };
    const client = new sdk.Cellar({ baseUrl: "http://x", apiKey: "k", fetch });
    await assert.rejects(client.cells.open("c").exec("true"), sdk.ConnectionError);
    assert.equal(asked, times, `${cause.code} ${cause.syscall}`);
  }
});

test("what was deleted by nobody is not found, whatever was answered before", async () => {
  const outcomes = [];
  for (const [status, code] of [
    [503, "no_capacity"],
    [429, "rate_limited"],
    [502, "bad_gateway"], // It may have been passed on.
  ])
    outcomes.push((await count((response) => answer(response, status, refusal(code)), 1, (cell) => cell.files.delete("a")))[1]);
  assert.deepEqual(outcomes, ["NotFoundError", "NotFoundError", "done"]);
});

test("each status has its class, and a body that is no JSON is told by its status", async () => {
  const classes = {
    400: "InvalidArgument",
    401: "Unauthenticated",
    403: "Forbidden",
    404: "NotFound",
    405: "InvalidArgument",
    409: "Conflict",
    412: "PreconditionFailed",
    413: "TooLarge",
    429: "RateLimited",
    500: "Internal",
    502: "Unavailable",
    503: "Unavailable",
    504: "TimedOut",
    507: "Exhausted",
    599: "Internal",
  };
  for (const [status, name] of Object.entries(classes)) {
    const body = { error: "words", code: "a_code", cause: "why", remediation: "do that", retryable: false, request_id: "r9" };
    const { cell, close } = await serve((_, response) => answer(response, Number(status), body), { retries: 0 });
    const error = await cell.refresh().catch((error) => error);
    await close();
    const { message, code, cause, remediation, retryable, requestId } = error;
    assert.equal(error.constructor, sdk[`${name}Error`], status);
    assert.deepEqual(
      { message, code, cause, remediation, retryable, requestId },
      { message: "words", code: "a_code", cause: "why", remediation: "do that", retryable: false, requestId: "r9" },
    );
  }
  const { cell, close } = await serve(
    (_, response) => response.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad gateway</h1>"),
    { retries: 0 },
  );
  await assert.rejects(cell.refresh(), { name: "UnavailableError", code: "http_502", retryable: true });
  await close();
});

test("an answer that is not the API's is an error, and not a value", async () => {
  const { cell, close } = await serve((_, response) =>
    response.writeHead(200, { "content-type": "application/octet-stream" }).end("{}"),
  );
  await assert.rejects(cell.files.stat("a"), { code: "unexpected_answer" });
  await assert.rejects(cell.request("m"), { code: "unexpected_answer" });
  await close();
});

test("what cannot be sent is told as what it is, and never tried", async () => {
  const { cell, asked, close } = await serve((_, response) => answer(response, 200, 1));
  await assert.rejects(cell.request("m", { n: 1n }), TypeError);
  await assert.rejects(cell.runs.start("m", {}, { idempotencyKey: "a\nb" }), TypeError);
  assert.equal(asked.length, 0);
  await close();
});

test("a call ends by its time, by its signal and with its client", async () => {
  const { client, cell, close } = await serve(() => {});
  await assert.rejects(cell.refresh({ timeoutMs: 5 }), {
    name: "TimeoutError",
    message: /GET .*\/cells\/c took longer than 5 ms/,
  });
  await assert.rejects(cell.request("m", {}, { timeoutMs: 5 }), { name: "TimeoutError" });
  await assert.rejects(cell.stream("m", {}, { timeoutMs: 5 }).next(), { name: "TimeoutError" });
  const reason = new Error("enough");
  const leaving = new AbortController();
  const waiting = [
    cell.exec("true", { signal: leaving.signal }),
    cell.stream("m", {}, { signal: leaving.signal }).next(),
    cell.events({ signal: leaving.signal }).next(),
  ];
  leaving.abort(reason);
  for (const one of waiting) await assert.rejects(one, reason);
  await assert.rejects(cell.refresh({ signal: leaving.signal }), reason);
  const last = assert.rejects(cell.refresh(), { code: "client_closed" });
  await client[Symbol.asyncDispose]();
  await last;
  await close();
});

test("an iterator is left while it waits, and its connection ends", async () => {
  let ended;
  const wasEnded = new Promise((resolve) => (ended = resolve));
  const { cell, close } = await serve((_, response) => {
    response.on("close", ended);
    response.writeHead(200, { "content-type": "text/event-stream" }).write(": hello\n\n");
  });
  const events = cell.events();
  const waiting = events.next();
  await new Promise((resolve) => setImmediate(resolve));
  await events[Symbol.asyncDispose]();
  assert.deepEqual(await waiting, { done: true, value: undefined });
  await wasEnded;
  await close();
});

test("names are the wire's there and the language's here, and the application's own stay", () => {
  const wire = {
    idle_timeout_s: 1,
    agent: "x",
    secrets: { my_key: "a", myKey: "b" },
    limits: { bytes_per_s: 2 },
    files: [{ mtime_ms: 1 }],
  };
  const here = {
    idleTimeoutS: 1,
    agent: "x",
    secrets: { my_key: "a", myKey: "b" },
    limits: { bytesPerS: 2 },
    files: [{ mtimeMs: 1 }],
  };
  assert.deepEqual(fromWire(wire), here);
  assert.deepEqual(toWire(here), wire);
  assert.deepEqual(fromWire({ params: { a_b: [{ c_d: 1 }] }, result: { e_f: 2 } }), {
    params: { a_b: [{ c_d: 1 }] },
    result: { e_f: 2 },
  });
});

test("a path or an id cannot lead to another call", async () => {
  const { client, cell, asked, close } = await serve((_, response) => answer(response, 200, { files: [] }));
  for (const path of ["..", "a/../..", "/etc/passwd", "a/.."]) {
    for (const call of [() => cell.files.delete(path), () => cell.files.readText(path), () => cell.files.write(path, "")]) {
      await assert.rejects(async () => call(), { name: "InvalidArgumentError", code: "invalid_path" });
    }
  }
  await assert.rejects(async () => cell.files.delete("./"), { code: "invalid_path" });
  for (const id of ["", ".", ".."])
    assert.throws(() => client.cells.open(id), { name: "InvalidArgumentError", message: /cell id/ });
  await assert.rejects(async () => cell.runs.get(".."), { name: "InvalidArgumentError" });
  await cell.files.list("./a b//ü%#?/");
  assert.deepEqual(
    asked.map(({ path, query }) => [path, query.toString()]),
    [["/api/v1/cells/c/files/a%20b/%C3%BC%25%23%3F", "list=1"]],
  );
  await close();
});

test("a client needs an address and a key, and says which is missing", () => {
  const { CELLAR_URL, CELLAR_API_KEY } = process.env;
  delete process.env.CELLAR_URL;
  delete process.env.CELLAR_API_KEY;
  assert.throws(() => new sdk.Cellar(), { code: "api_key_missing", remediation: /CELLAR_API_KEY/ });
  for (const baseUrl of ["127.0.0.1:4750", "ftp://x", ""])
    assert.throws(() => new sdk.Cellar({ baseUrl, apiKey: "k" }), { code: "invalid_base_url" });
  process.env.CELLAR_API_KEY = "from the environment";
  process.env.CELLAR_URL = "https://cellar.example.com/below/";
  assert.equal(new sdk.Cellar().baseUrl, "https://cellar.example.com/below");
  for (const [name, value] of Object.entries({ CELLAR_URL, CELLAR_API_KEY }))
    value === undefined ? delete process.env[name] : (process.env[name] = value);
});

test("the key is sent, or none where there is to be none", async () => {
  for (const [apiKey, sent] of [
    ["k", "Bearer k"],
    [null, undefined],
  ]) {
    const { client, asked, close } = await serve((_, response) => answer(response, 200, { tiers: [] }), { apiKey });
    await client.tiers();
    await close();
    assert.equal(asked[0].headers.authorization, sent);
  }
});

test("a part of a file is what was asked for, whether the server knows parts or not", async () => {
  const { cell, asked, close } = await serve(({ query }, response) => {
    const isPart = query.get("x") !== null;
    response.writeHead(isPart ? 206 : 200, { "content-type": "application/octet-stream" }).end("0123456789");
  });
  assert.equal(await cell.files.readText("a", { start: 2, end: 4 }), "23");
  assert.equal(await cell.files.readText("a", { start: -3 }), "789");
  assert.deepEqual(
    asked.map(({ headers }) => headers.range),
    ["bytes=2-3", "bytes=-3"],
  );
  await assert.rejects(async () => cell.files.readText("a", { start: 3, end: 3 }), { code: "invalid_range" });
  await close();
});

test("a long command is heard by events, as no answer would begin in time", async () => {
  const result = { stdout: "x", exit_code: 0, duration_ms: 1 };
  const { cell, asked, close } = await serve((_, response) => {
    response
      .writeHead(200, { "content-type": "text/event-stream" })
      .end(`event: stdout\ndata: {"text":"x"}\n\nevent: exit\ndata: ${JSON.stringify(result)}\n\n`);
  });
  assert.deepEqual(await cell.exec("make", { timeoutMs: 3_600_000 }), { stdout: "x", exitCode: 0, durationMs: 1 });
  assert.equal(asked[0].headers.accept, "text/event-stream");
  await close();
});

test("a command whose stream breaks off has not ended well", async () => {
  const { cell, close } = await serve((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).end('event: stdout\ndata: {"text":"x"}\n\n');
  });
  await assert.rejects(cell.execStream("make").all(), { name: "ConnectionError" });
  await close();
});

test("both builds give the same, and the types are those of the description", () => {
  const cjs = createRequire(import.meta.url)("../dist/cjs/index.js");
  assert.deepEqual(Object.keys(cjs).sort(), Object.keys(sdk).sort());
  const root = new URL("..", import.meta.url);
  assert.deepEqual(JSON.parse(readFileSync(new URL("package.json", root), "utf8")).dependencies, undefined);
  const files = (name) => readdirSync(new URL(`dist/${name}`, root)).filter((file) => file !== "package.json");
  assert.deepEqual(files("cjs"), files("esm"));
  const stale = spawnSync("node", ["tools/generate.js", "--check"], { cwd: root, encoding: "utf8" });
  assert.equal(stale.status, 0, stale.stderr);
});

test("a redirect is told as one, and what was sent is not sent to where it leads", async () => {
  const moved = "https://cellar.example.com/api/v1/cells/c/runs";
  const { cell, asked, close } = await serve(({ path }, response) =>
    path.endsWith("/runs") ? answer(response, 301, undefined, { location: moved }) : answer(response, 200, { runs: [] }),
  );
  const error = await cell.runs.start("m").catch((error) => error);
  await close();
  assert.ok(error instanceof sdk.InvalidArgumentError);
  assert.deepEqual([error.status, error.message], [301, `the server answered 301 to ${moved}: give that address as baseUrl`]);
  assert.equal(asked.length, 1);
  // What a browser has of it.
  const opaque = { type: "opaqueredirect", status: 0, ok: false, headers: new Headers(), text: async () => "" };
  const client = new sdk.Cellar({ baseUrl: "http://x", apiKey: null, fetch: async () => opaque });
  await assert.rejects(client.health(), { name: "InvalidArgumentError", code: "redirected", message: /^http:\/\/x .*redirect/ });
});

test("what is no ASCII in a header goes as UTF-8", async () => {
  const { client, cell, asked, close } = await serve((_, response) => answer(response, 200, 1), { apiKey: "schlüssel" });
  await client.agents.call("ü 李", "m");
  await cell.runs.start("m", {}, { idempotencyKey: "Auftrag № 17" });
  await close();
  const sent = (at, name) => Buffer.from(asked[at].headers[name], "latin1").toString();
  assert.deepEqual([sent(0, "x-customer-id"), sent(1, "idempotency-key")], ["ü 李", "Auftrag № 17"]);
  assert.equal(sent(0, "authorization"), "Bearer schlüssel");
});

test("what is no content is not written", async () => {
  const { cell, asked, close } = await serve((_, response) => answer(response, 200, { ok: true }));
  const calls = [
    (content) => cell.files.write("a", content),
    (content) => cell.files.append("a", content),
    (content) => cell.files.uploadTar("a", content),
  ];
  for (const call of calls) {
    for (const content of [undefined, null, {}, [104, 105], 5, true, new Date(), () => "x", new URLSearchParams("a=b")]) {
      await assert.rejects(async () => call(content), { name: "InvalidArgumentError", code: "invalid_content" });
    }
  }
  assert.equal(asked.length, 0);
  const bytes = new TextEncoder().encode("hi");
  for (const content of ["hi", bytes, bytes.buffer, new DataView(bytes.buffer), new Blob(["hi"]), new Blob(["hi"]).stream()]) {
    for (const call of calls) if (!content.locked) await call(content);
  }
  await close();
  assert.deepEqual([...new Set(asked.map(({ body }) => body))], ["hi"]);
});

test("a time may be as long as it likes, and is a number", async () => {
  const { cell, close } = await serve((_, response) => setTimeout(() => answer(response, 200, { status: "completed" }), 20), {
    timeoutMs: Infinity,
  });
  await cell.refresh();
  for (const timeoutMs of [Infinity, 2 ** 31, 2 ** 40]) {
    await cell.refresh({ timeoutMs });
    await cell.request("m", {}, { timeoutMs });
    await cell.runs.await("r", { timeoutMs });
  }
  for (const timeoutMs of [NaN, "soon", -1]) {
    const wrong = { name: "InvalidArgumentError", code: "invalid_timeout" };
    await assert.rejects(async () => cell.refresh({ timeoutMs }), wrong);
    await assert.rejects(async () => cell.request("m", {}, { timeoutMs }), wrong);
    await assert.rejects(async () => cell.runs.await("r", { timeoutMs }), wrong);
    assert.throws(() => new sdk.Cellar({ baseUrl: "http://x", apiKey: "k", timeoutMs }), wrong);
  }
  await close();
});

test("a time that is longer than a clock can be is over when it is, and not before", () => {
  const { setTimeout: later } = globalThis;
  const clocks = [];
  globalThis.setTimeout = (ring, ms) => clocks.push({ ring, ms });
  const scope = new Scope([], 2 ** 32);
  for (let at = 0; at < clocks.length && at < 9; at += 1) {
    assert.equal(scope.signal.aborted, false);
    clocks[at].ring();
  }
  globalThis.setTimeout = later;
  assert.equal(scope.signal.reason.name, "TimeoutError");
  assert.ok(clocks.every(({ ms }) => ms < 2 ** 31));
  assert.equal(
    clocks.reduce((sum, { ms }) => sum + ms, 0),
    2 ** 32,
  );
});

test("an error of a call names the run that it is of", async () => {
  const { client, cell, close } = await serve((_, response) =>
    answer(response, 500, failure("agent_error"), { "x-cellar-run": "run_7" }),
  );
  for (const call of [() => cell.request("m"), () => cell.stream("m").next(), () => client.agents.call("ada", "m")]) {
    await assert.rejects(call, { name: "AgentError", run: "run_7" });
  }
  await close();
});

test("a file's text is all of it, its mark of the byte order, too", async () => {
  const { cell, close } = await serve((_, response) =>
    response.writeHead(200, { "content-type": "application/octet-stream" }).end("\ufeffname;age\n"),
  );
  assert.equal(await cell.files.readText("a.csv"), "\ufeffname;age\n");
  assert.equal(await (await cell.files.read("a.csv")).text(), "\ufeffname;age\n");
  await close();
});
