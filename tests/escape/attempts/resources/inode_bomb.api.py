# Files without number that hold nothing: plain ones, folders, links, names of pipes.
# defence: the cell's number of files
# in-gvisor: the names of pipes are in its own memory, which the cell's limit counts
# expect: \w+ \w+: stopped

BOMB = """
import os, sys, time
os.chdir("/opt/bomb")
make = dict(files=lambda name: os.close(os.open(name, os.O_CREAT)), folders=os.mkdir, links=lambda name: os.symlink("x" * 60, name), pipes=os.mkfifo)[sys.argv[1]]
n = 0
while True:
    n += 1
    make(str(n))
    if sys.argv[1] == "folders": time.sleep(0.001)  # A disk takes long to delete what is made in a moment.
"""
full = suite.fresh_cell("inode-bomb")
full.exec("mkdir -m 1777 /opt/bomb")
for user, words in (("root", []), ("user", USER)):
    for way in ("files", "folders", "links", *(["pipes"] if suite.runtime == "native" else [])):
        answer = full.exec([*words, "python3", "-c", BOMB, way], timeout_ms=60000)
        refused = full.call("PUT", "/files/more", b"").status == 507
        held = answer.get("disk_full") or "Disk quota exceeded" in answer["stderr"]
        emptied = full.exec("rm -rf /opt/bomb/*")["exit_code"] == 0 or full.exec("find /opt/bomb -mindepth 1 -delete")["exit_code"] == 0
        kept = neighbour.call("PUT", "/files/written", b"x").status == 200
        report(f"{user} {way}", "stopped" if refused and held and emptied and kept else None)
full.call("DELETE")
