# The disk is filled: with files, in the root, in a deleted file, far down in folders, and with room that is only reserved.
# defence: the cell's disk quota; fallocate only gives room back
# expect: \w+ \w+: stopped

BOMB = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
way, n = sys.argv[1], 0
os.chdir(sys.argv[2])
if way == "deep":
    for _ in range(1500): os.mkdir("d"); os.chdir("d")
while True:
    n += 1
    file = os.open(f"bomb{n}", os.O_CREAT | os.O_RDWR)
    if way == "deleted": os.unlink(f"bomb{n}")
    for _ in range(64):
        if way != "reserved" or libc.fallocate(file, 0, ctypes.c_long(0), ctypes.c_long(64 << 20)) == -1:
            os.write(file, b"x" * (1 << 20))
"""
full = suite.fresh_cell("disk-bomb")
full.exec("mkdir -m 1777 /work/bomb /opt/bomb")
for user, words in (("root", []), ("user", USER)):
    for way, place in (("files", "/work/bomb"), ("root", "/opt/bomb"), ("deleted", "/work/bomb"), ("deep", "/opt/bomb"), ("reserved", "/work/bomb")):
        answer = full.exec([*words, "python3", "-c", BOMB, way, place], timeout_ms=60000)
        refused = full.call("PUT", "/files/more", b"x" * (1 << 20)).status == 507 or way == "deleted"
        held = answer.get("disk_full") or "Disk quota exceeded" in answer["stderr"]
        emptied = full.exec("rm -rf /work/bomb/* /opt/bomb/*")["exit_code"] == 0 and full.call("PUT", "/files/more", b"x").status == 200
        kept = neighbour.call("PUT", "/files/written", b"x" * (1 << 20)).status == 200
        report(f"{user} {way}", "stopped" if refused and held and emptied and kept else None)
full.call("DELETE")
