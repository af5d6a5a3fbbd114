"""A cell's part of the disk: what it may have, and what becomes of one that takes more."""
import time

import harness

MIB = 1 << 20
DISK, INODES = 40 * MIB, 3000


class DiskTest(harness.CellTest):
    options = ("--cell-disk-bytes", str(DISK), "--cell-inodes", str(INODES))

    def limits(self, cell):
        return cell.get()["limits"]

    def test_a_cell_tells_its_limits_and_its_use(self):
        cell = self.cell()
        self.assertEqual((DISK, INODES, "counted"), tuple(cell.get()["limits"][k] for k in ("disk_bytes", "inodes", "disk_enforced_by")))
        cell.exec("head -c 5000000 /dev/zero > five")
        cell.exec("sleep 0.3")
        used = harness.eventually("it was measured", lambda: cell.get().get("disk"))
        self.assertLess(used["used_bytes"], DISK)

    def test_a_command_that_fills_the_disk_is_ended_and_the_cell_can_be_emptied(self):
        cell, neighbour = self.cell(), self.cell("neighbour")
        started = time.monotonic()
        bomb = cell.exec("trap '' TERM INT; while :; do head -c 10000000 /dev/zero > $(mktemp -p /work) || :; sleep 0.05; done", timeout_ms=60000)
        self.assertEqual((137, True, False), (bomb["exit_code"], bomb.get("disk_full"), bomb["timed_out"]))
        self.assertLess(time.monotonic() - started, 50)
        self.assertEqual("ok\n", neighbour.exec("head -c 1000000 /dev/zero > f && echo ok")["stdout"])
        refused = cell.call("PUT", "/files/more", b"x" * MIB)
        self.assertEqual((507, "disk_quota"), (refused.status, refused.json["code"]))
        self.assertEqual(507, cell.request("write_file", {"path": "more", "content": "x" * MIB}).status)
        self.assertEqual(0, cell.exec("rm -f /work/tmp.*")["exit_code"])
        self.assertEqual(200, cell.call("PUT", "/files/more", b"x" * MIB).status)
        self.assertEqual(0, cell.exec("head -c 1000000 /dev/zero > f")["exit_code"])

    def test_files_without_number_are_ended_likewise_and_what_counts_is_all_of_the_root(self):
        cell = self.cell()
        script = "import itertools, os\nos.makedirs('/opt/many')\nfor n in itertools.count(): open(f'/opt/many/{n}', 'w')"
        bomb = cell.exec(["python3", "-c", script], timeout_ms=60000)
        self.assertEqual((137, True), (bomb["exit_code"], bomb.get("disk_full")))
        refused = cell.call("PUT", "/files/one", b"")
        self.assertEqual((507, "disk_quota"), (refused.status, refused.json["code"]))
        self.assertEqual(0, cell.exec("rm -rf /opt/many")["exit_code"])
        self.assertEqual(200, cell.call("PUT", "/files/one", b"").status)

    def test_a_deleted_file_that_is_written_to_counts_and_so_does_what_is_hidden_deep(self):
        cell = self.cell()
        script = "import os, time\nf = open('/work/f', 'wb')\nos.unlink('/work/f')\nwhile True: f.write(b'x' * 1000000); f.flush(); time.sleep(0.02)"
        bomb = cell.exec(["python3", "-c", script], timeout_ms=60000)
        self.assertEqual((137, True), (bomb["exit_code"], bomb.get("disk_full")))
        deep = "import os\nfor n in range(2100): os.makedirs('d', exist_ok=True); os.chdir('d')\nwhile True: open('f', 'ab').write(b'x' * 10000)"
        for time in ("first", "second"):
            bomb = cell.exec(["python3", "-c", deep], timeout_ms=30000)
            self.assertEqual((137, True), (bomb["exit_code"], bomb.get("disk_full")), time)
        self.assertEqual(204, cell.call("DELETE").status)

    def test_room_is_taken_by_writing_only(self):
        cell = self.cell()
        script = ("import ctypes, errno, os\n"
                  "file = os.open('f', os.O_CREAT | os.O_RDWR)\n"
                  "libc = ctypes.CDLL(None, use_errno=True)\n"
                  "print(libc.fallocate(file, 0, ctypes.c_long(0), ctypes.c_long(1 << 30)), errno.errorcode[ctypes.get_errno()])\n"
                  "os.posix_fallocate(file, 0, 1 << 20)\n"
                  "print(libc.fallocate(file, 3, ctypes.c_long(0), ctypes.c_long(1 << 20)), os.stat('f').st_size, os.stat('f').st_blocks)")
        self.assertEqual("-1 ENOTSUP\n0 1048576 0\n", cell.exec(["python3", "-c", script])["stdout"])

    def test_what_the_api_writes_counts_before_it_is_written(self):
        cell = self.cell()
        self.assertEqual(200, cell.call("PUT", "/files/half", b"x" * (DISK // 2)).status)
        self.assertEqual(507, cell.call("PUT", "/files/rest", b"x" * (DISK // 2)).status)
        self.assertEqual(200, cell.call("PUT", "/files/third", b"x" * (DISK // 3)).status)
        self.assertEqual(204, cell.call("DELETE", "/files/half").status)
        self.assertEqual(200, cell.call("PUT", "/files/rest", b"x" * (DISK // 2)).status)

    def test_an_agent_that_fills_the_disk_is_ended_and_its_run_paused(self):
        cell = self.cell(agent="""module.exports = { fill(ctx) {
            for (let n = 0; ; n++) ctx.store.write(`f${n}`, 'x'.repeat(1 << 20)); } };""")
        self.assertNotEqual(200, cell.request("fill").status)
        run = cell.settled(cell.runs()[0]["id"])
        self.assertIn(run["status"], ("paused", "failed"))
        self.assertEqual(0, cell.exec("rm -f /work/f*")["exit_code"])
