"""A provider of models for tests: answers as it is told, and notes what it was asked."""
import http.server
import json
import threading

import harness


class Answer:
    """What a request gets: {status, body, headers}, or a stream that stops in its middle until `go`."""

    def __init__(self, text="hello", *, status=200, headers=None, tool=None, arguments=None, tokens=(10, 5), held=False, error=None):
        self.text, self.status, self.headers, self.tool = text, status, headers or {}, tool
        self.arguments = json.dumps(arguments or {"at": 1})
        self.tokens, self.error = tokens, error
        self.go = threading.Event()
        if not held:
            self.go.set()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.server.take(self.path, dict(self.headers), body)
        speaks = OpenAi if self.path.endswith("/chat/completions") else Anthropic
        if answer.status != 200:
            return self.say(answer.status, {"error": {"message": answer.error or "no"}}, answer.headers)
        if body.get("stream"):
            return self.stream(answer, speaks)
        answer.go.wait(harness.WAIT_S)
        self.say(200, speaks.whole(answer), answer.headers)

    def say(self, status, value, headers):
        text = json.dumps(value).encode()
        self.send_response(status)
        for name, header in headers.items():
            self.send_header(name, header)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def stream(self, answer, speaks):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        before, after = speaks.pieces(answer)
        self.send_events(before)
        answer.go.wait(harness.WAIT_S)
        self.send_events(after)
        self.wfile.write(b"0\r\n\r\n")

    def send_events(self, events):
        for event in events:
            text = f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
            self.wfile.flush()

    def log_message(self, *args):
        pass


class OpenAi:
    @staticmethod
    def whole(answer):
        message = {"role": "assistant", "content": answer.text}
        if answer.tool:
            message["tool_calls"] = [{"id": "call-1", "type": "function", "function": {"name": answer.tool, "arguments": answer.arguments}}]
        return {"model": "fake-1-of-today", "choices": [{"message": message, "finish_reason": "tool_calls" if answer.tool else "stop"}],
                "usage": {"prompt_tokens": answer.tokens[0], "completion_tokens": answer.tokens[1]}}

    @staticmethod
    def pieces(answer):
        half = len(answer.text) // 2
        content = lambda text: {"model": "fake-1-of-today", "choices": [{"delta": {"content": text}}]}
        calls = [{"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "call-1", "function": {"name": answer.tool, "arguments": text}}]}}]}
                 for text in (answer.arguments[:3], answer.arguments[3:])] if answer.tool else []
        return [content(answer.text[:half])], [
            content(answer.text[half:]), *calls, {"choices": [{"delta": {}, "finish_reason": "tool_calls" if answer.tool else "stop"}]},
            {"choices": [], "usage": {"prompt_tokens": answer.tokens[0], "completion_tokens": answer.tokens[1]}}, "[DONE]"]


class Anthropic:
    @staticmethod
    def whole(answer):
        content = [{"type": "text", "text": answer.text}]
        if answer.tool:
            content.append({"type": "tool_use", "id": "call-1", "name": answer.tool, "input": json.loads(answer.arguments)})
        return {"type": "message", "model": "fake-2-of-today", "content": content, "stop_reason": "tool_use" if answer.tool else "end_turn",
                "usage": {"input_tokens": answer.tokens[0], "output_tokens": answer.tokens[1]}}

    @staticmethod
    def pieces(answer):
        half = len(answer.text) // 2
        delta = lambda text: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        return [{"type": "message_start", "message": {"model": "fake-2-of-today", "usage": {"input_tokens": answer.tokens[0], "output_tokens": 1}}},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, delta(answer.text[:half])], [
            delta(answer.text[half:]), {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": answer.tokens[1]}},
            {"type": "message_stop"}]


class Provider(http.server.ThreadingHTTPServer):
    """At a port of its own until stop(). `asked` is a list of (path, headers, body)."""

    daemon_threads = True

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.answers, self.lock, self.context = [], [], threading.Lock(), context
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    @property
    def port(self):
        return self.server_address[1]

    def take(self, path, headers, body):
        """The answers that were put there go first, then there are plain ones."""
        with self.lock:
            self.asked.append((path, headers, body))
            return self.answers.pop(0) if self.answers else Answer()

    def answer(self, *answers):
        with self.lock:
            self.asked, self.answers = [], list(answers)
        return answers[0] if answers else None

    def finish_request(self, request, address):
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, address)

    def handle_error(self, request, address):
        pass  # Clients that are cut off.

    def stop(self):
        self.shutdown()
        self.server_close()
        self.thread.join()
