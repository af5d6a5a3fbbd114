"""ctx.llm: a model is asked once, by the daemon, whatever dies meanwhile; its key is nowhere in the cell."""
import email.utils
import json
import pathlib
import tempfile
import time

import harness
import llm_provider
import test_secrets
from llm_provider import Answer

KEY_1, KEY_2 = "sk-openai-PLANTED-1", "sk-anthropic-PLANTED-2"

AGENT = """
module.exports = {
  async ask(ctx, options) { return ctx.llm.chat({ messages: [{ role: 'user', content: 'hi' }], ...options }); },
  async tell(ctx, options) {
    const got = [];
    const reply = await ctx.llm.chat({ messages: [{ role: 'user', content: 'hi' }], ...options,
      onToken: (text) => { got.push(text); ctx.stream({ heard: text }); } });
    ctx.log(process.env);
    return { reply, got };
  },
  async both(ctx) {
    const ask = (name) => ctx.llm.chat({ name, model: 'fake-1', messages: [{ role: 'user', content: name }] });
    const [a, b] = await Promise.all([ask('a'), ask('b')]);
    return [a.content, b.content, (await ask('c')).content];
  },
  async inside(ctx) { return ctx.step('outer', async () => (await ctx.llm.chat({ messages: [{ role: 'user', content: 'hi' }] })).content); },
  async many(ctx, { count }) {
    const asks = Array.from({ length: count }, (_, i) => ctx.llm.chat({ messages: [{ role: 'user', content: `${i}` }] }));
    return (await Promise.all(asks)).length;
  },
  async races(ctx, { again }) {
    if (again) return ctx.waitForEvent('go');
    await Promise.race([ctx.llm.chat({ messages: [{ role: 'user', content: 'hi' }] }), ctx.sleep('soon', 1)]);
    return ctx.continueAs({ again: true });
  },
  async caught(ctx, options) {
    try { return await ctx.llm.chat(options); }
    catch (e) { return { name: e.name, code: e.code, message: e.message, final: e instanceof ctx.errors.NonRetryableError }; }
  },
};
"""

PYTHON_AGENT = """
def ask(ctx, params):
    got = []
    reply = ctx.llm.chat([{"role": "user", "content": "hi"}], on_token=got.append, **params)
    return [reply.content, reply.usage.input_tokens, reply["model"], got]

async def wait(ctx, params):
    reply = await ctx.llm.chat(messages=[{"role": "user", "content": "hi"}], **params)
    return [reply.content, reply.finish_reason]
"""


class LlmTest(harness.CellTest):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix=harness.PREFIX)
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        ca = test_secrets.TestCa(cls.folder)
        cls.plain = llm_provider.Provider()
        cls.addClassCleanup(cls.plain.stop)
        cls.secure = llm_provider.Provider(ca.context("localhost"))
        cls.addClassCleanup(cls.secure.stop)
        for name, key in (("one.key", KEY_1), ("two.key", KEY_2)):
            (cls.folder / name).write_text(key + "\n")
        cls.file = cls.folder / "llm.json"
        cls.file.write_text(json.dumps({"providers": [
            {"name": "plain", "kind": "openai", "base_url": f"http://127.0.0.1:{cls.plain.port}/v1",
             "key_file": str(cls.folder / "one.key"), "models": ["fake-1"], "default_model": "fake-1"},
            {"name": "secure", "kind": "anthropic", "base_url": f"https://localhost:{cls.secure.port}/v1",
             "key_file": str(cls.folder / "two.key"), "models": ["fake-2"]}]}))
        cls.options = ("--llm", cls.file, "--egress-ca", cls.folder / "ca.crt", "--run-suspend-after-ms", "60000")
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.plain.answer()
        self.secure.answer()

    def result(self, cell, run_id):
        run = cell.settled(run_id)
        self.assertEqual(run["status"], "completed", run)
        return run["result"]

    def asked(self, count, provider=None):
        provider = provider or self.plain
        return harness.eventually(f"the provider is asked {count} times", lambda: len(provider.asked) >= count)

    def types(self, cell, run_id):
        return [(event.type, event.json["data"]) for event in cell.events(run_id)]

    # ---- an answer, and what is kept of it ----

    def test_an_answer_is_a_step_and_is_counted(self):
        self.plain.answer(Answer("Salut", tool="look"))
        cell = self.cell(agent=AGENT)
        run_id = cell.call("POST", "/runs", {"method": "ask", "params": {
            "tools": [{"type": "function", "function": {"name": "look"}}], "temperature": 0, "max_tokens": 7}}).json["id"]
        self.assertEqual(self.result(cell, run_id), {
            "content": "Salut", "finish_reason": "tool_calls", "model": "fake-1-of-today", "usage": {"input_tokens": 10, "output_tokens": 5},
            "tool_calls": [{"id": "call-1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}]})
        [(path, headers, body)] = self.plain.asked
        self.assertEqual((path, headers["Authorization"], body["model"], body["max_tokens"], body["temperature"]),
                         ("/v1/chat/completions", f"Bearer {KEY_1}", "fake-1", 7, 0))
        run = cell.run(run_id)
        self.assertEqual([(step["kind"], step["name"], step["executed"]) for step in run["steps"]], [("llm", "chat", 1)])
        self.assertEqual(run["llm_tokens"], 15)
        usage = cell.call("GET", "/usage").json
        self.assertEqual(usage["llm"], {"requests": 1, "input_tokens": 10, "output_tokens": 5,
                                        "models": {"fake-1": {"requests": 1, "input_tokens": 10, "output_tokens": 5}}})
        self.assertEqual(usage["runs"], {"kept": 1, "steps": 1})
        self.assertGreater(usage["cpu"]["seconds"], 0)
        metrics = self.daemon.get("/metrics").body.decode()
        self.assertRegex(metrics, r'cellar_llm_attempts_total\{provider="plain",outcome="reply"\} [1-9]')
        self.assertRegex(metrics, r'cellar_llm_tokens_total\{provider="plain",direction="output"\} [1-9]')

    def test_anthropic_over_tls_and_in_python(self):
        self.secure.answer(Answer("Hallo", tool="look"), Answer("abcd"))
        cell = self.cell(agent=AGENT)
        reply = cell.request("ask", {"model": "fake-2"}).json
        self.assertEqual((reply["content"], reply["finish_reason"], reply["tool_calls"][0]["function"]["name"]), ("Hallo", "tool_calls", "look"))
        path, headers, body = self.secure.asked[0]
        self.assertEqual((path, headers["x-api-key"], body["messages"]),
                         ("/v1/messages", KEY_2, [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]))
        snake = self.cell("in-python", agent=PYTHON_AGENT, agent_language="python")
        self.assertEqual(snake.request("ask", {"model": "fake-2"}).json, ["abcd", 10, "fake-2-of-today", ["ab", "cd"]])
        self.assertEqual(snake.request("wait", {"timeout": "10s", "retries": 1}).json, ["hello", "stop"])

    # ---- while it comes ----

    def test_a_stream_is_told_while_it_comes_and_not_again(self):
        answer = self.plain.answer(Answer("abcdef", held=True))
        cell, run_id = self.begin(AGENT, "tell")
        seen = cell.events(run_id)
        kinds = []
        for event in seen:
            kinds.append(event.type)
            if event.type == "stream":
                self.assertEqual(event.json["data"], {"heard": "abc"})
                break
        self.assertIn("llm.delta", kinds)
        seen.close()
        answer.go.set()
        result = self.result(cell, run_id)
        self.assertEqual((result["reply"]["content"], result["got"]), ("abcdef", ["abc", "def"]))
        deltas = [data for type, data in self.types(cell, run_id) if type == "llm.delta"]
        self.assertEqual([delta["text"] for delta in deltas], ["abc", "def"])
        self.assertEqual(deltas[0], {"ordinal": 2, "attempt": 1, "text": "abc"})  # setup() has the first.
        # The same answer as without a stream; nothing that was planted is in the cell or beside it.
        self.assertEqual(cell.request("ask").json["finish_reason"], result["reply"]["finish_reason"])
        self.assert_no_key()

    def assert_no_key(self):
        for key in (KEY_1.encode(), KEY_2.encode()):
            self.assertNotIn(key, self.daemon.log().encode())
            for path, content in harness.files_below(self.daemon.state):
                if "images" not in path.parts:
                    self.assertNotIn(key, content, path)

    # ---- what dies ----

    def test_a_killed_daemon_asks_once_more_at_most_and_never_for_what_is_recorded(self):
        self.plain.answer(Answer("first"), Answer("lost", held=True))
        agent = AGENT.replace("async ask(", """async two(ctx) {
            const ask = (name) => ctx.llm.chat({ name, stream: true, messages: [{ role: 'user', content: name }] });
            return [(await ask('a')).content, (await ask('b')).content];
          },
          async ask(""")
        cell, run_id = self.begin(agent, "two")
        for event in cell.events(run_id):
            if event.type == "llm.delta" and event.json["data"]["ordinal"] == 3:
                break
        self.daemon.kill()
        self.plain.answer(Answer("second"))
        self.daemon.start()
        self.assertEqual(self.result(cell, run_id), ["first", "second"])
        self.assertEqual(len(self.plain.asked), 1)
        self.assertEqual(self.plain.asked[0][2]["messages"][0]["content"], "b")
        self.daemon.restart()
        self.assertEqual(cell.run(run_id)["result"], ["first", "second"])
        self.assertEqual(cell.call("GET", "/usage").json["llm"]["requests"], 2)
        self.assertEqual(len(self.plain.asked), 1)

    def test_an_agent_that_dies_finds_the_answer_that_came_meanwhile(self):
        answer = self.plain.answer(Answer("kept", held=True))
        cell, run_id = self.begin(AGENT, "ask")
        self.asked(1)
        cell.kill_processes("agent")
        answer.go.set()
        self.assertEqual(self.result(cell, run_id)["content"], "kept")
        self.assertEqual(len(self.plain.asked), 1)
        self.assertEqual(cell.run(run_id)["steps"][0]["executed"], 1)

    def test_a_paused_run_finds_the_answer_that_came_meanwhile(self):
        answer = self.plain.answer(Answer("kept", held=True))
        cell, run_id = self.begin(AGENT, "ask")
        self.asked(1)
        cell.call("POST", f"/runs/{run_id}/pause")
        answer.go.set()
        harness.eventually("it is recorded", lambda: cell.run(run_id)["steps"][0]["status"] == "completed")
        cell.call("POST", f"/runs/{run_id}/resume", {})
        self.assertEqual(self.result(cell, run_id)["content"], "kept")
        self.assertEqual(len(self.plain.asked), 1)

    def test_a_cancelled_run_gives_its_call_up(self):
        answer = self.plain.answer(Answer("late", held=True))
        cell, run_id = self.begin(AGENT, "ask")
        self.asked(1)
        cell.call("POST", f"/runs/{run_id}/cancel", {})
        self.assertEqual(cell.settled(run_id)["status"], "cancelled")
        harness.eventually("the call ends", lambda: "llm_attempts_open 0" in self.daemon.get("/metrics").body.decode())
        answer.go.set()

    def test_a_call_that_a_run_leaves_behind_when_it_continues_is_given_up(self):
        answer = self.plain.answer(Answer("late", held=True))
        cell, run_id = self.begin(AGENT, "races")
        self.asked(1)
        harness.eventually("the call ends", lambda: "llm_attempts_open 0" in self.daemon.get("/metrics").body.decode())
        answer.go.set()
        cell.kill_processes("agent")
        cell.call("POST", f"/runs/{run_id}/events", {"type": "go", "payload": 7})
        self.assertEqual(self.result(cell, run_id), 7)
        self.assertEqual(len(self.plain.asked), 1)

    # ---- what fails ----

    def test_it_is_tried_again_as_the_provider_asks(self):
        soon = email.utils.formatdate(time.time() - 5, usegmt=True)
        self.plain.answer(Answer(status=429, headers={"Retry-After": "0"}), Answer(status=503, headers={"Retry-After": soon}), Answer("ok"))
        cell, run_id = self.begin(AGENT, "ask")
        self.assertEqual(self.result(cell, run_id)["content"], "ok")
        retries = [data for type, data in self.types(cell, run_id) if type == "step.retry"]
        self.assertEqual([(each["attempt"], each["error"]["code"]) for each in retries], [(1, "llm_429"), (2, "llm_503")])
        self.assertEqual(cell.run(run_id)["steps"][0]["attempts"], 3)

    def test_a_wait_for_the_next_attempt_survives_the_daemon(self):
        self.plain.answer(Answer(status=429, headers={"Retry-After": "2"}), Answer("ok"))
        cell, run_id = self.begin(AGENT, "ask")
        harness.eventually("the first has failed", lambda: any(s["attempts"] == 2 for s in cell.run(run_id)["steps"]))
        began = time.monotonic()
        self.daemon.restart()
        self.assertEqual(self.result(cell, run_id)["content"], "ok")
        self.assertGreater(time.monotonic() - began, 0.5)
        self.assertEqual(len(self.plain.asked), 2)

    def test_what_would_fail_again_is_not_tried_again(self):
        self.plain.answer(Answer(status=401, error=f"bad key {KEY_1}"))
        cell = self.cell(agent=AGENT)
        hi = [{"role": "user", "content": "hi"}]
        caught = lambda **options: cell.request("caught", {"messages": hi, **options}).json
        self.assertEqual(caught(), {"name": "NonRetryableError", "code": "llm_401", "final": True, "message": "plain answers 401: bad key [key]"})
        self.assertEqual(len(self.plain.asked), 1)
        self.assertEqual(caught(model="gpt-9")["code"], "llm_unknown_model")
        self.assertEqual(caught(messages=[])["message"], 'ctx.llm.chat: "messages" must be a list of at least one message')
        self.assertEqual(caught(messages=[{"role": "user", "content": "x" * (8 << 20)}])["code"], "llm_request_too_large")
        self.assertEqual(caught(nonsense=1)["code"], "invalid_llm_request")
        self.assertEqual(caught(timeout="soon")["code"], "invalid_time")
        held = self.plain.answer(Answer(held=True))
        self.assertEqual(caught(timeout={"attempt": 50}, retries=0)["code"], "http_timeout")
        held.go.set()
        self.plain.answer(Answer("x" * (17 << 20)))
        self.assertEqual(caught(retries=0)["code"], "http_answer_too_large")
        self.assert_no_key()

    # ---- limits ----

    def test_a_spent_budget_pauses_the_run_and_loses_nothing(self):
        first = self.plain.answer(Answer("A", held=True), Answer("B", held=True))
        second = self.plain.answers[1]
        cell = self.cell(agent=AGENT, llm={"budget": {"tokens": 15, "per": "run"}})
        run_id = cell.call("POST", "/runs", {"method": "both"}).json["id"]
        self.asked(2)
        first.go.set()
        second.go.set()
        run = cell.settled(run_id)
        self.assertEqual((run["status"], run["reason"], run["llm_tokens"]), ("paused", "budget", 30))
        self.assertIn("the budget of 15 tokens for a run is spent: 30 are used", run["detail"]["message"])
        self.assertIn("cellar llm", run["detail"]["remediation"])
        self.assertEqual([step["status"] for step in run["steps"]], ["completed", "completed"])
        # Nothing is asked as long as it is spent, also when it is resumed.
        cell.call("POST", f"/runs/{run_id}/resume", {})
        self.assertEqual(cell.settled(run_id)["reason"], "budget")
        self.assertEqual(len(self.plain.asked), 2)
        self.assertEqual(cell.call("PUT", "/llm", {"budget": {"tokens": 100, "per": "run"}}).json,
                         {"enabled": True, "budget": {"tokens": 100, "per": "run"}})
        self.plain.answer(Answer("C"))
        cell.call("POST", f"/runs/{run_id}/resume", {})
        self.assertEqual(sorted(self.result(cell, run_id)[:2]), ["A", "B"])
        # A budget of the cell counts all of its runs.
        cell.call("PUT", "/llm", {"budget": {"tokens": 45}})
        run_id = cell.call("POST", "/runs", {"method": "ask"}).json["id"]
        self.assertEqual(cell.settled(run_id)["reason"], "budget")
        self.assertEqual(cell.run(run_id)["steps"], [])
        self.assertEqual(cell.call("GET", "/usage").json["llm"]["budget"], {"tokens": 45, "per": "cell"})

    def test_a_cell_may_be_refused_models(self):
        cell = self.cell(agent=AGENT, llm=False)
        self.assertEqual(cell.get()["llm"], {"enabled": False})
        self.assertEqual(cell.request("caught", {"messages": [{"role": "user", "content": "hi"}]}).json["code"], "llm_off")
        self.assertEqual(self.plain.asked, [])
        for wrong, name in (({"budget": 5}, "budget"), ({"budget": {"tokens": -1}}, "tokens"), ({"enable": True}, "enable"), (7, "llm")):
            answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "wrong", "llm": wrong})
            self.assertEqual(answer.status, 400)
            self.assertIn(name, answer.json["error"])

    def test_eight_attempts_of_a_cell_go_on_at_a_time(self):
        answers = [Answer(held=True) for _ in range(10)]
        self.plain.answer(*answers)
        cell, run_id = self.begin(AGENT, "many", count=10)
        self.asked(8)
        answers[0].go.set()
        self.asked(9)
        self.assertIn("cellar_llm_attempts_open 8", self.daemon.get("/metrics").body.decode())
        for answer in answers:
            answer.go.set()
        self.assertEqual(self.result(cell, run_id), 10)

    def test_a_call_that_gets_no_turn_ends_with_its_time(self):
        held = [Answer(held=True) for _ in range(8)]
        self.plain.answer(*held)
        cell, run_id = self.begin(AGENT, "many", count=8)
        self.asked(8)
        caught = cell.request("caught", {"messages": [{"role": "user", "content": "hi"}], "timeout": {"total": 50}}).json
        self.assertEqual((caught["name"], caught["code"]), ("StepTimeoutError", "step_timeout"))
        self.assertEqual(len(self.plain.asked), 8)
        for answer in held:
            answer.go.set()
        self.assertEqual(self.result(cell, run_id), 8)

    def test_inside_a_step_it_is_part_of_it(self):
        cell = self.cell(agent=AGENT)
        run_id = cell.call("POST", "/runs", {"method": "inside"}).json["id"]
        self.assertEqual(self.result(cell, run_id), "hello")
        run = cell.run(run_id)
        self.assertEqual(([step["kind"] for step in run["steps"]], run["llm_tokens"]), (["step"], 15))

    def test_the_example_answers_from_the_files(self):
        self.plain.answer(Answer("", tool="read", arguments={"path": "a.txt"}), Answer("in a.txt"))
        agent = (pathlib.Path(__file__).resolve().parents[2] / "examples/chat-agent/agent.js").read_text()
        cell = self.cell(agent=agent)
        cell.call("PUT", "/files/a.txt", "here")
        run_id = cell.call("POST", "/runs", {"method": "ask", "params": {"question": "where?"}}).json["id"]
        self.assertEqual(self.result(cell, run_id), {"answer": "in a.txt"})
        self.assertEqual(self.plain.asked[1][2]["messages"][2:], [
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call-1", "type": "function", "function": {"name": "read", "arguments": '{"path": "a.txt"}'}}]},
            {"role": "tool", "tool_call_id": "call-1", "content": "here"}])
