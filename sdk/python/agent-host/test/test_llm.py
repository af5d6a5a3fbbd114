import json
import unittest

from fake_daemon import Refused, agent, host, plain

REPLY = {"content": "ab", "tool_calls": [], "finish_reason": "stop", "usage": {"input_tokens": 3}, "model": "small"}

CHAT = '''
    heard = []
    def hear(text):
        heard.append(text); ctx.stream(text)
        if params.get("fails"): raise ValueError("not mine")
    reply = {a}ctx.llm.chat([{"role": "user", "content": "hi"}], model="small", timeout=params.get("timeout"), retries=2,
                            on_token=hear)
    return [reply.content, reply.usage.input_tokens, heard]'''


def asked(daemon):
    return daemon.next("cmd", k="llm")


def delta(daemon, frame, text):
    daemon.send({"t": "delta", "run": "run_1", "o": frame["o"], "x": frame["x"]}, json.dumps(text).encode())


class LlmTest(unittest.TestCase):
    def both(self, body):
        """The same in a coroutine function and in a plain one, which runs in a thread."""
        return agent(body.replace("{a}", "await ")), plain(body.replace("{a}", ""))

    def test_a_model_is_asked_by_the_daemon_told_piece_by_piece_and_not_again_on_replay(self):
        for source in self.both(CHAT):
            with host(source) as daemon:
                daemon.run(params={"timeout": {"attempt": "2s", "total": 9000, "first_byte": "1s"}})
                frame = asked(daemon)
                self.assertEqual((frame["n"], json.loads(frame["body"])), ("chat small", {
                    "messages": [{"role": "user", "content": "hi"}], "model": "small", "timeout_ms": 2000, "total_ms": 9000,
                    "first_byte_ms": 1000, "retries": 2, "on_token": True}))
                delta(daemon, frame, "a")
                delta(daemon, frame, "b")
                daemon.reply(frame, REPLY)
                self.assertEqual(daemon.end().value, ["ab", 3, ["a", "b"]])
                self.assertEqual([(each["o"], json.loads(each["body"])) for each in daemon.of("event")], [(0, "a"), (0, "b")])
                replay = daemon.recorded()
            with host(source) as daemon:  # Another timeout is the same call.
                daemon.run(params={"timeout": "1m"}, replay=replay)
                self.assertEqual(daemon.end().value, ["ab", 3, []])
                self.assertEqual(daemon.types(), ["hello", "end"])

    def test_what_on_token_raises_is_shown_and_changes_nothing(self):
        with host(self.both(CHAT)[0]) as daemon:
            daemon.run(params={"fails": True})
            frame = asked(daemon)
            delta(daemon, frame, "a")
            daemon.reply(frame, REPLY)
            self.assertEqual(daemon.end().value, ["ab", 3, ["a"]])
            daemon.until("it is shown", lambda: "not mine" in daemon.stderr)

    def test_the_error_of_a_call_is_what_it_was_and_wrong_options_are_refused(self):
        body = '''
            async def code(*arguments, **options):
                try: await ctx.llm.chat(*arguments, **options)
                except ctx.errors.Error as e: return [e.code, isinstance(e, ctx.errors.NonRetryableError)]
            return [await code([]), await code([], on_token=1), await code([], name=""), await code([], timeout={"soon": 1})]'''
        with host(agent(body)) as daemon:
            daemon.run()
            daemon.reply(asked(daemon), Refused("no", "llm_401", "NonRetryableError"))
            wrong = ["invalid_llm_request", False]
            self.assertEqual(daemon.end().value, [["llm_401", True], wrong, wrong, wrong])
            self.assertEqual(len(daemon.of("cmd")), 1)


if __name__ == "__main__":
    unittest.main()
