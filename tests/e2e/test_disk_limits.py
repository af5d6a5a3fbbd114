"""A cell's part of the disk where the file system itself holds it: btrfs in a file, with each kind of its quotas, and ext4 and xfs, with projects."""
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

import harness

MIB = 1 << 20
DISK, INODES = 40 * MIB, 3000
QUOTA_CTL, FULL, SIMPLE = 0xC0109428, 1, 4  # BTRFS_IOC_QUOTA_CTL: enable, enable simple quotas
SUBVOLUME = 256  # the inode of a subvolume's own folder


class Btrfs:
    """A new file system, mounted; `quota`: None leaves quotas off."""

    def __init__(self, quota):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=harness.PREFIX))
        self.at = self.folder / "mnt"
        self.at.mkdir()
        image = self.folder / "image"
        try:
            with open(image, "wb") as file:
                file.truncate(1 << 30)
            subprocess.run(["mkfs.btrfs", "-q", image], check=True, capture_output=True)
            subprocess.run(["mount", "-o", "loop", image, self.at], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            shutil.rmtree(self.folder)
            raise harness.unittest.SkipTest(f"no btrfs can be made here: {getattr(error, 'stderr', error)}")
        if quota:
            folder = os.open(self.at, os.O_RDONLY)
            try:
                fcntl.ioctl(folder, QUOTA_CTL, bytearray(struct.pack("QQ", quota, 0)))
            except OSError as error:
                os.close(folder)
                self.remove()
                raise harness.unittest.SkipTest(f"btrfs of this kernel has no such quotas: {error}")
            os.close(folder)

    def remove(self):
        subprocess.run(["umount", self.at], check=True)
        shutil.rmtree(self.folder)

    def groups(self):
        """The quota groups above those of single subvolumes: one for each cell."""
        shown = subprocess.run(["btrfs", "qgroup", "show", "--raw", self.at], check=True, capture_output=True, text=True).stdout
        return [line.split()[0] for line in shown.splitlines() if line.startswith("1/")]


class Projects:
    """A new file system that limits projects, mounted."""

    def __init__(self, kind, *features):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=harness.PREFIX))
        self.at = self.folder / "mnt"
        self.at.mkdir()
        image = self.folder / "image"
        try:
            with open(image, "wb") as file:
                file.truncate(512 << 20)
            subprocess.run([f"mkfs.{kind}", "-q", *features, image], check=True, capture_output=True)
            subprocess.run(["mount", "-o", "loop,prjquota", image, self.at], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            shutil.rmtree(self.folder)
            raise harness.unittest.SkipTest(f"no {kind} with projects can be mounted here: {getattr(error, 'stderr', error)}")

    def remove(self):
        subprocess.run(["umount", self.at], check=True)
        shutil.rmtree(self.folder)


class LimitsTest(harness.CellTest):
    options = ("--cell-disk-bytes", str(DISK), "--cell-inodes", str(INODES))
    quota = None

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise harness.unittest.SkipTest("needs root: a file system is mounted")
        cls.disk = cls.make_disk()
        cls.addClassCleanup(cls.disk.remove)
        cls.daemon = harness.Daemon(*cls.options, place=cls.disk.at)
        cls.addClassCleanup(cls.daemon.cleanup)

    @classmethod
    def make_disk(cls):
        return Btrfs(cls.quota)

    def enforced_by(self, cell):
        return cell.get()["limits"]["disk_enforced_by"]


class QgroupTest:
    def test_writers_are_refused_by_the_kernel_in_all_of_the_cell_and_nothing_is_killed(self):
        cell, neighbour = self.cell("bomb"), self.cell("neighbour")
        self.assertEqual("qgroup", self.enforced_by(cell))
        script = ("import errno, os\n"
                  "def fill(path):\n"
                  "  try:\n"
                  "    with open(path, 'wb', buffering=0) as f:\n"
                  "      while True: f.write(b'x' * 65536)\n"
                  "  except OSError as error: print(errno.errorcode[error.errno])\n"
                  "fill('/work/a'); fill('/opt/b'); fill('/root/c'); print(os.stat('/work/a').st_size >> 20)")
        bomb = cell.exec(["python3", "-c", script], timeout_ms=60000)
        self.assertEqual((0, "", None), (bomb["exit_code"], bomb["stderr"], bomb.get("disk_full")))
        *errors, written = bomb["stdout"].split()
        self.assertEqual(["EDQUOT"] * 3, errors)
        self.assertIn(int(written), range(30, 41))
        self.assertEqual("ok\n", neighbour.exec("head -c 1000000 /dev/zero > f && echo ok")["stdout"])
        for content in (b"x", b"x" * MIB):
            refused = cell.call("PUT", "/files/more", content)
            self.assertEqual((507, "disk_quota"), (refused.status, refused.json["code"]))

        cell.call("POST", "/hibernate")  # A full cell starts again, and can be emptied.
        self.assertEqual("", cell.exec("rm -f /work/a /opt/b /root/c")["stderr"])
        self.assertEqual(0, cell.exec("head -c 1000000 /dev/zero > /opt/b && head -c 1000000 /dev/zero > f")["exit_code"])
        self.assertEqual(200, cell.call("PUT", "/files/more", b"x" * MIB).status)

    def test_the_daemon_s_own_files_of_a_full_cell_go_on(self):
        cell = self.cell("runs", agent="module.exports = { keep(ctx, { n }) { ctx.db.set('n', n); return ctx.db.get('n'); } };")
        cell.exec("head -c 100000000 /dev/zero > /work/a")
        for n in range(3):
            self.assertEqual(n, cell.request("keep", {"n": n}).json)

    def test_files_are_counted(self):
        cell = self.cell("files")
        script = "import itertools, os\nos.makedirs('/opt/many')\nfor n in itertools.count(): open(f'/opt/many/{n}', 'w')"
        bomb = cell.exec(["python3", "-c", script], timeout_ms=60000)
        self.assertIn((bomb["exit_code"], bomb.get("disk_full")), ((137, True), (1, None)))

    def test_a_cell_makes_no_subvolume_that_would_not_count(self):
        cell = self.cell("subvolume")
        script = ("import fcntl, os, struct\n"
                  "folder = os.open('/work', os.O_RDONLY)\n"
                  "for command, argument in ((0x5000940e, bytes(8) + b'sub' + bytes(4085)), (0x50009401, struct.pack('q', folder) + b'snap' + bytes(4084)),\n"
                  "                          (0x4008941a, struct.pack('Q', 2))):\n"
                  "  try: fcntl.ioctl(folder, command, bytearray(argument)); print('made')\n"
                  "  except OSError as error: print(error.errno)")
        self.assertEqual("1\n1\n1\n", cell.exec(["python3", "-c", script])["stdout"])

    def test_a_larger_tier_is_more_at_once_and_the_limit_outlives_the_daemon(self):
        cell = self.cell("tier")
        self.daemon.restart()
        self.assertEqual("qgroup", self.enforced_by(cell))
        self.assertEqual(0, cell.exec("head -c 30000000 /dev/zero > a")["exit_code"])
        self.assertNotEqual(0, cell.exec("head -c 30000000 /dev/zero > b")["exit_code"])
        self.daemon.stop()
        options = self.daemon.options
        self.addCleanup(setattr, self.daemon, "options", options)
        self.daemon.options = ["--cell-disk-bytes", str(2 * DISK)]
        self.daemon.start()
        self.assertEqual(0, cell.exec("head -c 30000000 /dev/zero > b")["exit_code"])
        self.daemon.stop()
        self.daemon.options = options
        self.daemon.start()

    def test_a_copied_cell_is_the_same_cell_and_a_deleted_one_leaves_no_group(self):
        before = self.disk.groups()
        cell = self.cell("moved")
        self.assertNotEqual(0, cell.exec("head -c 60000000 /dev/zero > full")["exit_code"])
        cell.exec("rm full")
        cell.exec("echo work > /work/f; echo root > /etc/f")
        self.assertEqual(SUBVOLUME, (cell.dir / "work").stat().st_ino)
        self.assertEqual(len(before) + 1, len(self.disk.groups()))
        self.daemon.stop()
        copy = self.daemon.root / "copy"
        subprocess.run(["cp", "-a", cell.dir, copy], check=True)
        self.daemon.start()
        self.assertEqual(204, cell.call("DELETE").status)
        harness.eventually("its files are gone", lambda: not list(cell.dir.parent.glob(".deleted-*")))
        self.assertEqual(before, self.disk.groups())
        self.daemon.stop()
        copy.rename(cell.dir)
        self.daemon.start()
        self.assertEqual("work\nroot\n", cell.exec("cat /work/f /etc/f")["stdout"])
        self.assertEqual("counted", self.enforced_by(cell))
        self.assertEqual(204, cell.call("DELETE").status)


class SimpleQuotaTest(QgroupTest, LimitsTest):
    quota = SIMPLE


class FullQuotaTest(QgroupTest, LimitsTest):
    quota = FULL


class ProjectTest:
    errno, said, code = "EDQUOT", "quota", "disk_quota"

    def test_writers_and_makers_of_files_are_refused_by_the_kernel(self):
        cell = self.cell("bomb")
        self.assertEqual("project", self.enforced_by(cell))
        script = ("import errno, itertools, os\n"
                  "try:\n"
                  "  for n in itertools.count(): open(f'/work/{n}', 'w')\n"
                  "except OSError as error: print(errno.errorcode[error.errno], n)\n"
                  "for made in range(n): os.unlink(f'/work/{made}')\n"
                  "try:\n"
                  "  with open('/work/a', 'wb', buffering=0) as f:\n"
                  "    while True: f.write(b'x' * 65536)\n"
                  "except OSError as error: print(errno.errorcode[error.errno], os.stat('/work/a').st_size >> 20)")
        ran = cell.exec(["python3", "-c", script], timeout_ms=60000)
        of_files, made, of_bytes, written = ran["stdout"].split()
        self.assertEqual((self.errno, self.errno), (of_files, of_bytes))
        self.assertIn(int(made), range(INODES // 2, INODES))
        self.assertIn(int(written), range(30, 41))

    def test_a_full_cell_is_not_written_to_by_the_api_either_and_wakes_up_to_be_emptied(self):
        fill = {"bytes": "head -c 100000000 /dev/zero > /opt/b; head -c 100000000 /dev/zero > a",
                "files": "mkdir -p /opt/many; for n in $(seq 4000); do : > /opt/many/$n || exit 0; done"}
        for what, script in fill.items():
            cell = self.cell(what)
            self.assertIn(self.said, cell.exec(script, timeout_ms=100000)["stderr"])
            for content in (b"x", b"x" * MIB):
                refused = cell.call("PUT", "/files/more", content)
                self.assertEqual((507, self.code), (refused.status, refused.json["code"]))
            cell.call("POST", "/hibernate")
            self.assertEqual("", cell.exec("rm -rf a /opt/b /opt/many")["stderr"])
            self.assertEqual("", cell.exec("head -c 1000000 /dev/zero > /opt/b && head -c 1000000 /dev/zero > f")["stderr"])
            self.assertEqual(200, cell.call("PUT", "/files/more", b"x" * MIB).status)


class Ext4Test(ProjectTest, LimitsTest):
    @classmethod
    def make_disk(cls):
        return Projects("ext4", "-O", "quota,project")


class XfsTest(ProjectTest, LimitsTest):
    errno, said, code = "ENOSPC", "No space left", "exhausted"  # xfs says so of a project's limit

    @classmethod
    def make_disk(cls):
        return Projects("xfs")


class NoQuotaTest(LimitsTest):
    def test_where_quotas_are_off_it_is_counted_and_they_stay_off(self):
        cell = self.cell()
        self.assertEqual("counted", self.enforced_by(cell))
        self.assertNotEqual(SUBVOLUME, (cell.dir / "work").stat().st_ino)
        shown = subprocess.run(["btrfs", "qgroup", "show", self.disk.at], capture_output=True, text=True)
        self.assertNotEqual(0, shown.returncode)
        bomb = cell.exec("head -c 200000000 /dev/zero > a; sleep 20")
        self.assertEqual((137, True), (bomb["exit_code"], bomb.get("disk_full")))
