"""What a sensitive step gives reaches the agent's code and nobody else: no event, log, view, file of the daemon's."""
import json
import os
import subprocess

import harness

TOKEN = "token-8cc1f7a09"
AGENT = """
const fs = require("fs");
const token = () => process.env.TOKEN;
const output = { sensitive: "output" };
const gate = async (name) => { while (!fs.existsSync("/work/" + name)) await new Promise((r) => setTimeout(r, 5)); };
module.exports = {
  async gives(ctx) {
    const short = await ctx.step("short", () => token(), output);
    const long = await ctx.step("long", () => ({ all: token().repeat(10000) }), output);
    const bytes = await ctx.step("bytes", () => new Map([[1, Buffer.from(token())]]), output);
    const command = await ctx.step("command", async () =>
      [ctx.shell("echo " + token()), await ctx.shellAsync("echo " + token() + " >&2")].map((did) => did.stdout + did.stderr), output);
    const kept = await ctx.step("progress", async (s) => {
      if (s.lastProgress === null) { await s.progress({ at: token() }); fs.writeFileSync("/work/said", ""); await gate("never"); }
      return s.lastProgress;
    }, output);
    return [short === token(), long.all === token().repeat(10000), bytes.get(1).toString() === token(), kept.at === token(),
      command.join("") === (token() + "\\n").repeat(2)];
  },
  async fails(ctx) {
    await ctx.step("fails", (s) => { throw new TypeError("no " + token()); }, { sensitive: "output", retries: { maxAttempts: 2, delay: 1 } });
  },
  async asks(ctx) {
    const value = await ctx.step("ask", async () => { fs.writeFileSync("/work/asked", ""); await gate("never"); },
      { sensitive: "output", onInterrupt: "ask" });
    return value === token();
  },
  async random(ctx) {
    const once = await ctx.step("random", () => Math.random(), output);
    await ctx.waitForEvent("go");
    return typeof once;
  },
};
"""
PYTHON = """
import os

def token():
    return os.environ["TOKEN"]

async def gives(ctx, params):
    value = await ctx.step("short", token, sensitive="output")
    await ctx.wait_for_event("go")
    return value == token()

def fails(ctx, params):
    def body():
        raise ValueError("no " + token())
    ctx.step("fails", body, sensitive="output", retries={"max_attempts": 2, "delay": 1})
"""


class SensitiveTest(harness.CellTest):
    options = ("--run-suspend-after-ms", "50")

    def begin(self, source, method, **fields):
        cell = self.cell(f"{method}-{fields.get('agent_language', 'js')}", agent=source, secrets={"TOKEN": TOKEN}, **fields)
        return cell, cell.call("POST", "/runs", {"method": method}).json["id"]

    def cellar(self, *words):
        done = subprocess.run([harness.BIN / "cellar", "--url", f"http://127.0.0.1:{self.daemon.port}", *words],
                              env=self.daemon.environment(), capture_output=True, text=True, timeout=harness.WAIT_S)
        return done.stdout + done.stderr

    def require_hidden(self, cell, run):
        """In all that anybody is shown, and in all files."""
        shown = [json.dumps(cell.run(run)), json.dumps(cell.runs()), *(e.data for e in cell.events(run)), self.daemon.log(),
                 cell.request("logs").body.decode(), *(self.cellar("runs", what, cell.id, run) for what in ("get", "log"))]
        for text in shown:
            self.assertNotIn(TOKEN, text)
        files = dict(harness.files_below(self.daemon.state))
        self.assertTrue(any("journal" in path.parts for path in files))
        for path, content in files.items():
            self.assertNotIn(TOKEN.encode(), content, path)

    def kill_agent_once_there_is(self, cell, name):
        harness.eventually(f"there is {name}", lambda: (cell.dir / "work" / name).exists())
        cell.kill_processes("agent")

    def test_values_are_given_to_the_agent_again_and_shown_to_nobody(self):
        cell, run = self.begin(AGENT, "gives")
        self.kill_agent_once_there_is(cell, "said")
        self.daemon.restart()
        self.assertEqual([True] * 5, cell.settled(run)["result"])
        steps = cell.run(run)["steps"]
        self.assertEqual([("output", 1)] * 4 + [("output", 2)], [(step["sensitive"], step["executed"]) for step in steps])
        self.assertIn("(redacted)", self.cellar("runs", "get", cell.id, run))
        progress = next(e.json["data"] for e in cell.events(run) if e.type == "step.progress")
        self.assertEqual(("output", "redacted: the step is sensitive"), (progress["sensitive"], progress["progress"]))
        self.require_hidden(cell, run)
        again = cell.call("POST", f"/runs/{run}/restart", {"from": "progress"}).json["id"]
        next(e for e in cell.events(again) if e.type == "step.progress")  # It is on disk.
        cell.kill_processes("agent")
        self.assertEqual([True] * 5, cell.settled(again)["result"])
        self.assertTrue(cell.call("POST", f"/runs/{run}/replay").json["ok"])

    def test_errors_are_shown_by_their_class_only(self):
        cell, run = self.begin(AGENT, "fails")
        redacted = {"name": "Error", "message": "redacted: the step is sensitive", "code": "sensitive"}
        self.assertEqual({**redacted, "stack": ""}, cell.settled(run)["error"])
        told = {e.type: e.json["data"] for e in cell.events(run)}
        self.assertEqual({**redacted, "name": "TypeError"}, told["step.retry"]["error"])
        self.assertEqual(redacted, told["step.completed"]["error"])
        self.require_hidden(cell, run)

    def test_a_value_that_somebody_decides_is_sealed(self):
        cell, run = self.begin(AGENT, "asks")
        self.kill_agent_once_there_is(cell, "asked")
        harness.eventually("it is paused", lambda: cell.run(run)["status"] == "paused")
        cell.call("POST", f"/runs/{run}/resume", {"step": {"decision": "value", "value": TOKEN}})
        self.assertIs(True, cell.settled(run)["result"])
        self.require_hidden(cell, run)

    def test_without_its_key_a_run_is_paused_until_the_key_is_back(self):
        cell = self.cell(agent=AGENT)
        run = cell.call("POST", "/runs", {"method": "random"}).json["id"]
        harness.eventually("it waits", lambda: cell.run(run)["status"] == "waiting")
        key = self.daemon.root / "keys/seal.key"
        right = key.read_bytes()
        self.daemon.kill()
        cell.kill_processes()
        key.write_bytes(os.urandom(32))
        self.daemon.start()
        cell.call("POST", f"/runs/{run}/events", {"type": "go"})
        paused = cell.settled(run)
        self.assertEqual(("paused", "values_sealed"), (paused["status"], paused["reason"]))
        self.assertIn("key file", paused["detail"]["remediation"])
        self.assertEqual(1, self.daemon.log().count("is not the key that"))
        key.write_bytes(right)
        self.daemon.restart()
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/resume").status)
        self.assertEqual("number", cell.settled(run)["result"])

    def test_agents_in_python_have_sensitive_steps(self):
        cell, run = self.begin(PYTHON, "gives", agent_language="python")
        harness.eventually("it waits", lambda: cell.run(run)["status"] == "waiting")
        cell.kill_processes("agent")
        self.daemon.restart()
        cell.call("POST", f"/runs/{run}/events", {"type": "go"})
        self.assertIs(True, cell.settled(run)["result"])
        self.require_hidden(cell, run)
        failed = cell.call("POST", "/runs", {"method": "fails"}).json["id"]
        self.assertEqual("sensitive", cell.settled(failed)["error"]["code"])
        self.require_hidden(cell, failed)
