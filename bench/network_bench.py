"""The way out of a cell beside a direct connection of the same program to the same server: scripts/bench network.

The server listens at an address of the host's loopback that the cell may reach. The client runs on the host, in a cell, and in a cell
through the proxy.
"""
import json
import statistics
import subprocess
import sys

from bench import Bench, Client, carry_out, harness, milliseconds

TRANSFER_BYTES = 1 << 30
SERVER = """
import os, socket, threading
listener = socket.create_server(('127.0.0.1', 0), backlog=128)
print(listener.getsockname()[1], flush=True)
zeros = bytes(1 << 20)
def serve(peer):
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = peer.makefile('rb')
    for line in reader:
        verb, count = line.split()
        left = int(count)
        if verb == b'down':
            while left > 0: left -= peer.send(zeros[:left])
        else:
            while left > 0: left -= len(reader.read1(min(left, 1 << 20)))
            peer.sendall(b'.')
    peer.close()
while True:
    peer, _ = listener.accept()
    threading.Thread(target=serve, args=(peer,), daemon=True).start()
"""
# Prints milliseconds: of a transfer down, of one up, of requests over one connection and of such with one each.
CLIENT = """
import json, socket, sys, time
port, proxy, size, runs = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
buffer = bytearray(1 << 20)
zeros = bytes(1 << 20)
def connect():
    peer = socket.create_connection(('127.0.0.1', proxy or port))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if proxy:
        peer.sendall(f'CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\n\\r\\n'.encode())
        head = b''
        while not head.endswith(b'\\r\\n\\r\\n'): head += peer.recv(1)
        assert b' 200 ' in head, head
    return peer
def down(peer, left):
    peer.sendall(f'down {left}\\n'.encode())
    while left > 0: left -= peer.recv_into(buffer)
def up(peer, left):
    peer.sendall(f'up {left}\\n'.encode())
    while left > 0: left -= peer.send(zeros[:left])
    peer.recv(1)
def timed(work):
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000
def once():
    with connect() as one: down(one, 100)
peer = connect()
down(peer, 1000)
print(json.dumps({'down': timed(lambda: down(peer, size)), 'up': timed(lambda: up(peer, size)),
                  'kept': [timed(lambda: down(peer, 100)) for _ in range(runs)], 'fresh': [timed(once) for _ in range(runs)]}))
"""


class NetworkBench(Bench):
    def __init__(self, runs):
        self.runs, self.rows = runs, []
        self.daemon = harness.Daemon(images="default")

    def measure(self, cell, proxy=0):
        """What the client prints, on the host where there is no cell."""
        words = ["python3", "-c", CLIENT, str(self.port), str(proxy), str(TRANSFER_BYTES), str(self.runs)]
        if cell is None:
            words[0] = sys.executable
            return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
        result = cell.exec(words)
        assert result["exit_code"] == 0, result
        return json.loads(result["stdout"])

    def transfers(self):
        cell = self.daemon.create("network", allow=[f"127.0.0.1:{self.port}"])
        found = {"direct": [], "in a cell": [], "by its proxy": []}
        for _ in range(3):
            found["direct"].append(self.measure(None))
            found["in a cell"].append(self.measure(cell))
            found["by its proxy"].append(self.measure(cell, 3128))
        direct = found["direct"]
        for where in ("in a cell", "by its proxy"):
            for way in ("down", "up"):
                rates = [TRANSFER_BYTES / one[way] / 1e6 for one in found[where]]
                beside = [TRANSFER_BYTES / one[way] / 1e6 for one in direct]
                part = statistics.median(rates) / statistics.median(beside)
                print(f"{f'1 GiB {way}, {where}':<48} {statistics.median(rates):9.3f} GB/s   direct "
                      f"{statistics.median(beside):.3f} GB/s, part of it {part:.2f}", flush=True)
                self.rows.append({"name": f"1 GiB {way}, {where}", "gb_per_s": round(statistics.median(rates), 3),
                                  "direct_gb_per_s": round(statistics.median(beside), 3), "part": round(part, 2)})
            for kind, name in (("kept", "request"), ("fresh", "request with a connection of its own")):
                times = [time for one in found[where] for time in one[kind]]
                beside = [time for one in direct for time in one[kind]]
                self.row(f"{name}, {where}", times, beside, "direct")
                print(f"{'  added':<48} {statistics.median(times) - statistics.median(beside):9.3f} ms", flush=True)
        cell.call("DELETE")

    def creation(self):
        client = Client(self.daemon)
        times, beside = [], []
        for number in range(self.runs // 5):
            for into, fields in ((times, {"network": {"allow": ["*"], "presets": ["npm", "github"]}}), (beside, {})):
                def create(_):
                    made = client.call("POST", "/api/v1/cells", {"customer_id": f"c{number}", **fields})
                    client.call("POST", f"/api/v1/cells/{made['cell_id']}/exec", {"cmd": ["true"]})
                into += milliseconds(create, 1)
                self.daemon.call("DELETE", f"/api/v1/cells/dev--c{number}")
        self.row("create and exec true, with a policy", times, beside, "without one")

    def run(self):
        server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
        try:
            self.port = int(server.stdout.readline())
            self.transfers()
            self.creation()
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
            self.daemon.cleanup()


def main():
    carry_out(__doc__, lambda arguments: NetworkBench(arguments.runs), lambda parser: None, "network")


if __name__ == "__main__":
    main()
