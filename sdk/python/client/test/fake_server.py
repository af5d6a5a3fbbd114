"""A server that does what a test says, byte by byte."""
import contextlib
import socket
import struct
import threading


class FakeServer:
    """`answer(request)` is called for each request, with (method, target, headers, body); it gives pieces of bytes to send, and
    the connection is kept. A piece that is `CUT` resets the connection instead; one that is `CLOSE` closes it."""

    CUT, CLOSE = object(), object()

    def __init__(self, answer):
        self.answer, self.requests, self.connections = answer, [], 0
        self._open = set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._socket.close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        self._open.add(connection)
        file = connection.makefile("rb")
        with contextlib.suppress(OSError), connection, file:
            while self._serve_one(connection, file):
                pass
        self._open.discard(connection)

    def _serve_one(self, connection, file):
        first = file.readline().split()
        if not first:
            return False
        headers = {}
        while (line := file.readline().strip()):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = file.read(int(headers.get("content-length", 0)))
        size = headers.get("transfer-encoding") == "chunked"
        while size:
            size = int(file.readline(), 16)
            body += file.read(size + 2)[:-2]
        request = (first[0].decode(), first[1].decode(), headers, body)
        self.requests.append(request)
        for piece in self.answer(request):
            if piece is self.CUT:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            if piece is self.CLOSE:  # A close with bytes of the client's unread would be a reset.
                connection.shutdown(socket.SHUT_WR)
                while file.read(1 << 16):
                    pass
                return False
            connection.sendall(piece)
        return True


def whole(status, body=b"{}", **headers):
    head = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status} x", *(f"{name.replace('_', '-')}: {value}" for name, value in head.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def stream_head(**headers):
    lines = ["HTTP/1.1 200 OK", "content-type: text/event-stream", "transfer-encoding: chunked",
             *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def chunk(data):
    return b"%x\r\n" % len(data) + data + b"\r\n"


END = b"0\r\n\r\n"
