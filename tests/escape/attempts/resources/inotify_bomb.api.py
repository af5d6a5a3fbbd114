# Instances of inotify, which are counted for each user of the host, are taken while others ask for one.
# defence: a domain's user namespace belongs to an id of its own
# expect: \w+ (beside|of) \w+: (EMFILE|taken)
# lacking: all cells are one user of the host's

import ctypes
import os

import harness

libc = ctypes.CDLL(None)
TAKE = "import ctypes; print(ctypes.CDLL(None).inotify_init1(0) != -1)"
BOMB = """
import ctypes, errno, os, time
libc = ctypes.CDLL(None, use_errno=True)
while libc.inotify_init1(0) != -1:
    pass
print(errno.errorcode[ctypes.get_errno()], flush=True)
open("/work/full", "w").close()
while os.path.exists("/work/full"):
    time.sleep(0.05)
"""


def run(place, domain, program):
    argv = ["python3", "-c", program]
    if domain == "shell":
        return place.exec(argv, timeout_ms=30_000)["stdout"].strip()
    return place.request("run", {"argv": argv}).json["stdout"].strip()


for domain in ("shell", "agent"):
    said = []
    bomb = threading.Thread(target=lambda: said.append(run(cell, domain, BOMB)))
    bomb.start()
    harness.eventually("all is taken", lambda: cell.call("GET", "/files/full").status == 200)
    own = libc.inotify_init1(0)
    report(f"host beside {domain}", "taken" if own != -1 else None)
    if own != -1:
        os.close(own)
    report(f"neighbour beside {domain}", "taken" if run(neighbour, "shell", TAKE) == "True" else None)
    cell.call("DELETE", "/files/full")
    bomb.join()
    report(f"instances of {domain}", said[0] if said else None)
