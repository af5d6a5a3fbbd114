"""How long a neighbour's agent takes to answer while another cell takes what it can. scripts/bench neighbour.

Each row is beside the daemon's own answer (`/healthz`) of the same time, which needs no cell and no disk. With --busy N, N
programs of the host want a processor, too.
"""
import subprocess
import sys
import threading
import time

from bench import Bench, carry_out, milliseconds

AGENT = "module.exports = { ping() { return 1; } };"
SECONDS = 6
ATTACKS = {
    "nothing": None,
    "40 programs that spin": "for i in $(seq 40); do (while :; do :; done) & done; sleep 100",
    "programs that are started and end": "while :; do for i in $(seq 100); do (true) & done; wait; done",
    "600 MB written and synced, again and again": "while :; do dd if=/dev/zero of=f bs=1M count=600 conv=fsync 2>/dev/null; rm f; done",
}


class NeighbourBench(Bench):
    def __init__(self, busy):
        super().__init__(0)
        self.busy = busy

    def run(self):
        try:
            self.measure()
        finally:
            self.daemon.cleanup()

    def measure(self):
        neighbour, prisoner = self.daemon.create("neighbour", agent=AGENT), self.daemon.create("prisoner")
        path = f"/api/v1/cells/{neighbour.id}/request"
        ping = lambda _: self.client.call("POST", path, {"method": "ping", "params": {}})
        prisoner.exec("true")
        ping(0)
        others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(self.busy)]
        try:
            for name, script in ATTACKS.items():
                self.beside(name, script, prisoner, ping)
        finally:
            for other in others:
                other.kill()
                other.wait()

    def beside(self, name, script, prisoner, ping):
        attack = threading.Thread(target=lambda: prisoner.exec(script, timeout_ms=(SECONDS + 1) * 1000))
        if script:
            attack.start()
            time.sleep(0.5)  # of its seconds, for it to get going
        answers, daemon, end = [], [], time.monotonic() + SECONDS
        while time.monotonic() < end:
            answers += milliseconds(ping, 1)
            daemon += milliseconds(lambda _: self.client.call("GET", "/healthz"), 1)
            time.sleep(0.01)
        if script:
            attack.join()
        self.row(f"beside {name}", answers, daemon, "the daemon alone")
        print(f"{'':<48} {max(answers):9.3f} ms  longest", flush=True)


def main():
    carry_out(__doc__, lambda arguments: NeighbourBench(arguments.busy),
              lambda parser: parser.add_argument("--busy", type=int, default=0, help="programs of the host that want a processor"),
              "neighbour")


if __name__ == "__main__":
    main()
