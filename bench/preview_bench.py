"""A server in a cell seen through the preview, beside a connection made in the cell's own network namespace.
scripts/bench preview."""
import ctypes
import os
import pathlib
import socket
import struct
import threading
import time

from bench import Bench, carry_out, harness, milliseconds

SERVER = r"""
const http = require("http");
const server = http.createServer((request, response) => {
  if (request.url === "/large") {
    response.writeHead(200, { "Content-Length": 100 << 20 });
    const piece = Buffer.alloc(1 << 20);
    let left = 100;
    const more = () => { while (left-- > 0) if (!response.write(piece)) return response.once("drain", more); response.end(); };
    return more();
  }
  response.end("hello");
});
server.on("upgrade", (request, socket) => {
  socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
  socket.setNoDelay(true);
  socket.pipe(socket);
});
server.listen(8080, "127.0.0.1");
"""
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def made_in(namespace, make):
    """What `make` gives in a thread that is in a network namespace: a socket made there belongs to it."""
    given = []

    def work():
        assert libc.setns(namespace, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        given.append(make())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return given[0]


class PreviewBench(Bench):
    def __init__(self, runs):
        self.runs, self.rows = runs, []
        self.daemon = harness.Daemon("--preview-domain", "cells.localhost")

    def direct(self):
        connection = made_in(self.namespace, lambda: socket.socket())
        connection.connect(("127.0.0.1", 8080))
        return connection

    def through(self):
        return socket.create_connection(("127.0.0.1", self.daemon.port))

    def head(self, path, *fields):
        return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {self.cell.id}.cells.localhost",
                            f"X-API-Key: {self.daemon.key}", *fields]).encode() + b"\r\n\r\n"

    def answer(self, connection, until):
        got = b""
        while not got.endswith(until):
            piece = connection.recv(1 << 16)
            assert piece, got
            got += piece

    def get(self, connect):
        connection = connect()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(self.head("/", "Connection: close"))
        self.answer(connection, b"hello")
        connection.close()

    def kept(self, connection):
        connection.sendall(self.head("/"))
        self.answer(connection, b"hello")

    def large(self, connect):
        connection = connect()
        connection.sendall(self.head("/large", "Connection: close"))
        while connection.recv(1 << 18):
            pass
        connection.close()

    def echo(self, connection):
        connection.sendall(b"ping")
        self.answer(connection, b"ping")

    def upgraded(self, connect):
        connection = connect()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(self.head("/", "Connection: Upgrade", "Upgrade: echo"))
        self.answer(connection, b"\r\n\r\n")
        return connection

    def ports(self, diagnostics):
        """What the daemon asks once a second for each awake cell: two dumps of what listens."""
        for family in (socket.AF_INET, socket.AF_INET6):
            request = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 0, 1 << 10)
            diagnostics.send(struct.pack("=IHHII", 16 + len(request), 20, 0x301, 0, 0) + request)
            while struct.unpack_from("=IH", diagnostics.recv(1 << 15))[1] != 3:
                pass

    def ticks(self, seconds=20):
        """Processor time of the daemon with nobody asking, for each second, in milliseconds."""
        threads = pathlib.Path(f"/proc/{self.daemon.process.pid}/task")
        used = lambda: sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads.iterdir())
        before = used()
        time.sleep(seconds)
        return (used() - before) / 1e6 / seconds

    def run(self):
        try:
            self.cell = self.daemon.create("preview")
            self.cell.call("PUT", "/files/server.js", SERVER.encode())
            stream = self.daemon.stream("POST", self.cell.path + "/exec", {"cmd": "exec node server.js"})
            harness.eventually("it listens", lambda: self.cell.get()["ports"])
            node = next(pid for pid, command in self.cell.processes("shell").items() if command.startswith(b"node"))
            self.namespace = os.open(f"/proc/{node}/ns/net", os.O_RDONLY)
            self.measure()
            os.close(self.namespace)
            stream.close()
        finally:
            self.daemon.cleanup()

    def measure(self):
        both = lambda run, times: (milliseconds(lambda _: run(self.through), times), milliseconds(lambda _: run(self.direct), times))
        self.row("GET, a connection each", *both(self.get, self.runs), "into the cell's namespace")
        kept = self.through()
        kept.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        direct = self.direct()
        self.row("GET, connection kept", milliseconds(lambda _: self.kept(kept), self.runs),
                 milliseconds(lambda _: self.kept(direct), self.runs), "into the cell's namespace")
        self.row("100 MB", *both(self.large, 5), "into the cell's namespace")
        sockets = [self.upgraded(self.through), self.upgraded(self.direct)]
        self.row("4 bytes and back, upgraded", *(milliseconds(lambda _: self.echo(each), self.runs) for each in sockets), "into the cell's namespace")
        diagnostics = made_in(self.namespace, lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4))
        self.row("which ports are open", milliseconds(lambda _: self.ports(diagnostics), self.runs))
        for each in (kept, direct, *sockets, diagnostics):
            each.close()
        others = [self.daemon.create(f"other-{n}") for n in range(20)]
        asleep = self.ticks()
        for other in others:
            other.exec("true")
        print(f"{'the daemon, for each cell with a shell, a second':<48} {(self.ticks() - asleep) / 20:9.3f} ms of a processor", flush=True)


def main():
    carry_out(__doc__, lambda arguments: PreviewBench(arguments.runs), lambda parser: None, "preview")


if __name__ == "__main__":
    main()
