"""Bytes to a server and its answer back, with nothing between that would put the bytes right."""
import http.client
import socket
import struct

PIECE = 64 << 10


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:1000]!r}>"


class Late(Exception):
    """No answer in time."""


class Wire:
    """A connection to the server that is opened again when it was closed."""

    def __init__(self, port):
        self.port, self.socket = port, None

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def connect(self, limit_s):
        if not self.socket:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=limit_s)
        self.socket.settimeout(limit_s)

    def send(self, raw, limit_s):
        """A server may answer and close before it has read all."""
        self.connect(limit_s)
        try:
            self.socket.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def ask(self, raw, method, limit_s):
        """The answer to a request; None where the connection was closed without one. Of a stream that has begun only its first bytes."""
        reused = self.socket is not None
        self.send(raw, limit_s)
        answer = self.answer(method)
        if answer is None and reused:  # It had been closed before, as a server may.
            self.send(raw, limit_s)
            answer = self.answer(method)
        return answer

    def answer(self, method):
        response = http.client.HTTPResponse(self.socket, method=method)
        try:
            response.begin()
            if response.status == 101:
                self.close()
                return Answer(101, dict(response.getheaders()), b"")
            is_stream = response.headers.get("Content-Type", "").startswith("text/event-stream")
            body = b"" if is_stream else response.read()
        except TimeoutError:
            self.close()
            raise Late from None
        except (http.client.HTTPException, ConnectionError):
            self.close()
            return None
        if is_stream or response.will_close:
            self.close()
        return Answer(response.status, dict(response.getheaders()), body)

    def end_sending(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self):
        """Ends the connection by a reset instead of an end."""
        if self.socket:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close()


def request(method, target, headers, body=None):
    """A request as bytes; `headers` are pairs of texts, written as they are. A body has its length."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + (body or b"")


def chunked(method, target, headers, chunks, end=b"0\r\n\r\n"):
    head = request(method, target, [*headers, ("Transfer-Encoding", "chunked")])
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def frame(opcode, payload, masked=True):
    """One frame of a WebSocket, whole."""
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")
    head = bytes([0x80 | opcode]) + bytes([length[0] | (0x80 if masked else 0)]) + length[1:]
    return head + (b"\0\0\0\0" if masked else b"") + payload
