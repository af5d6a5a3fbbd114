#!/usr/bin/env python3
"""Runs end-to-end tests in a small virtual machine, with the kernel of Debian: with cgroup v2 alone, project quotas and whatever
else the kernel of this machine lacks.

Usage: tests/vm/run.py [--bin DIR] [--kernel DEB] [--disk-limits] TEST...    e.g. tests/vm/run.py test_limits
By hand, as it takes minutes: every instruction is emulated. Needs root, qemu-system-x86_64, busybox (static), depmod, mkfs.ext4
and the image of `cellar image build`; where no --kernel is given, apt-get downloads Debian's. Cells have the image dev.
With --disk-limits the state folders are on an ext4 that limits projects.
"""
import argparse
import contextlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KERNELS = ROOT / "build/vm"
LIMIT_S = 1800
DISK = "4G"
SLOWER = 8  # than a machine that emulates nothing: the tests' limits of time are that much longer
WISHED = ("mkfs.xfs", "newuidmap", "newgidmap")  # which the image does not have; without, tests are skipped
PROGRAMS = ("cellard", "cellar", "cellar-spawn", "cell-init")
NEEDED = ("qemu-system-x86_64", "busybox", "depmod", "mkfs.ext4")

BEGIN = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
for module in {modules}; do insmod /modules/$module; done
for try in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda ] && break; sleep 1; done
mount -t ext4 -o {options} /dev/vda /root && umount /dev && exec switch_root /root /vm-init
echo "vm: no disk"; poweroff -f
"""

INIT = """#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 CELLAR_TESTS_SLOWER={slower}
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts; mount -t tmpfs shm /dev/shm; mount -t tmpfs run /run
mount -t cgroup2 none /sys/fs/cgroup
for module in overlay quota_v2 loop btrfs xfs; do /busybox modprobe $module; done
/busybox ip link set lo up
cd {root}
{commands}
echo "vm: exit ${{failed:-0}}"
/busybox poweroff -f
"""


def newc(entries):
    """An archive as the kernel unpacks it, of (name, mode, bytes)."""
    out = b""
    for number, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return out


def find_kernel(given):
    """The package of a kernel, fetched once."""
    if given:
        return given
    KERNELS.mkdir(parents=True, exist_ok=True)
    found = sorted(KERNELS.glob("linux-image-*.deb"))
    if not found:
        depends = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], check=True, capture_output=True, text=True)
        package = re.search(r"Depends: (linux-image-\S+)", depends.stdout)[1]
        subprocess.run(["apt-get", "download", "-qq", package], cwd=KERNELS, check=True)
        found = sorted(KERNELS.glob("linux-image-*.deb"))
    return found[-1]


@contextlib.contextmanager
def image_over(machine):
    """A folder with the image of cells, that may be changed: nothing is copied."""
    image = (ROOT / "build/images/images/names/default").resolve()
    lower, root = machine / "image", machine / "root"
    for folder in (lower, root, machine / "upper", machine / "work"):
        folder.mkdir()
    mount = ["-t", "erofs", image / "root.erofs"] if (image / "root.erofs").exists() else ["--bind", image / "root"]
    subprocess.run(["mount", *mount, lower], check=True)
    try:
        layers = f"lowerdir={lower},upperdir={machine}/upper,workdir={machine}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, root], check=True)
        try:
            yield root
        finally:
            subprocess.run(["umount", root], check=True)
    finally:
        subprocess.run(["umount", lower], check=True)


def copy_libraries(program, root):
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    for library in map(pathlib.Path, re.findall(r"=> (/\S+)", libraries)):
        there = root / "usr/lib/x86_64-linux-gnu" / library.name
        if not there.exists():
            shutil.copy(library, there)


def fill_root(root, binaries, commands, busybox):
    """The programs and the tests, and that the machine runs these commands of the shell and ends."""
    place = root / str(ROOT).lstrip("/")
    (place / "build").mkdir(parents=True)
    for folder in ("tests", "sdk", "docs", "examples"):
        shutil.copytree(ROOT / folder, place / folder, symlinks=True, ignore=shutil.ignore_patterns("node_modules"))
    target = root / str(binaries).lstrip("/")
    target.mkdir(parents=True)
    for name in PROGRAMS:
        shutil.copy(binaries / name, target)
    shutil.copy(busybox, root / "busybox")
    for name in ("subuid", "subgid"):
        (root / "etc" / name).touch()
    (root / "vm-init").write_text(INIT.format(root=ROOT, commands="\n".join(f"{command} || failed=1" for command in commands), slower=SLOWER))
    (root / "vm-init").chmod(0o755)


def copy_programs_libraries(root, binaries):
    """What the image of cells lacks of them, and what this machine has of what tests would like to have."""
    for name in PROGRAMS:
        copy_libraries(binaries / name, root)
    for name in filter(shutil.which, WISHED):
        shutil.copy(shutil.which(name), root / "usr/sbin")
        copy_libraries(shutil.which(name), root)


def e2e(binaries, tests):
    return [f"python3 -B tests/e2e/run.py --bin {binaries} {test}" for test in tests]


def modules_for(modules, wanted):
    """Their paths, each behind what it needs; what is not there is built into the kernel."""
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[path] = others.split()
    ordered = []

    def add(path):
        for other in needs[path]:
            add(other)
        if path not in ordered:
            ordered.append(path)

    for path in needs:
        if pathlib.Path(path).stem in wanted:
            add(path)
    return ordered


def initial_root(modules, options, busybox):
    """What finds the disk, and goes on there."""
    paths = modules_for(modules, ("virtio_pci", "virtio_blk", "ext4", "quota_v2"))
    entries = [(name, 0o40755, b"") for name in ("bin", "dev", "root", "modules")]
    entries += [("bin/busybox", 0o100755, busybox.read_bytes())]
    entries += [(f"modules/{pathlib.Path(path).name}", 0o100644, (modules / path).read_bytes()) for path in paths]
    begin = BEGIN.format(modules=" ".join(pathlib.Path(path).name for path in paths), options=options)
    return newc([*entries, ("init", 0o100755, begin.encode())])


class Machine:
    """One that is to be booted, in a folder of its own that is deleted. `kernel`: the folder that has its /boot and /lib/modules."""

    qemu = ("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max")
    console = "ttyS0"

    def __init__(self, folder, kernel, busybox):
        self.folder, self.kernel, self.busybox = pathlib.Path(folder), kernel, busybox
        self.version = next((self.kernel / "lib/modules").iterdir()).name
        subprocess.run(["depmod", "-b", self.kernel, self.version], check=True)

    def make_disk(self, root, features=(), options="rw"):
        """Its disk, with the kernel's modules and what is in a folder."""
        if root != self.kernel:
            subprocess.run(["cp", "-a", f"{self.kernel}/lib/modules", root / "usr/lib/"], check=True)
        subprocess.run(["mkfs.ext4", "-q", *features, "-d", root, self.folder / "disk", DISK], check=True)
        (self.folder / "initrd").write_bytes(initial_root(self.kernel / "lib/modules" / self.version, options, self.busybox))

    def run(self):
        """Boots it and shows what it prints; true where its tests passed."""
        kernel = next((self.kernel / "boot").glob("vmlinuz-*"))
        command = [*self.qemu, "-smp", "2", "-m", "3072", "-nographic", "-no-reboot", "-kernel", kernel,
                   "-initrd", self.folder / "initrd", "-append", f"console={self.console} quiet panic=-1 mitigations=off",
                   "-drive", f"file={self.folder / 'disk'},format=raw,if=virtio,cache=unsafe", "-net", "none"]
        passed = False
        with subprocess.Popen(["timeout", str(LIMIT_S), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as qemu:
            for line in qemu.stdout:
                text = line.decode(errors="replace").rstrip()
                print(text, flush=True)
                passed = passed or text == "vm: exit 0"
        return passed


@contextlib.contextmanager
def machine(kernel):
    """Ends the program where this machine lacks what one needs."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        print(f"skipped: {missing[0]} is not installed: apt-get install qemu-system-x86 busybox-static kmod e2fsprogs")
        sys.exit(0)
    with tempfile.TemporaryDirectory(prefix="cellar-vm-", dir="/var/tmp") as folder:
        there = pathlib.Path(folder, "kernel")
        subprocess.run(["dpkg", "-x", find_kernel(kernel), there], check=True)
        yield Machine(folder, there, pathlib.Path(shutil.which("busybox")))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin")
    parser.add_argument("--kernel", type=pathlib.Path, help="a Debian package of a kernel")
    parser.add_argument("--disk-limits", action="store_true", help="state folders are where projects are limited")
    parser.add_argument("tests", nargs="+", metavar="TEST")
    arguments = parser.parse_args()
    with machine(arguments.kernel) as one:
        with image_over(one.folder) as root:
            binaries = arguments.bin.resolve()
            fill_root(root, binaries, e2e(binaries, arguments.tests), one.busybox)
            copy_programs_libraries(root, binaries)
            if arguments.disk_limits:
                one.make_disk(root, ["-O", "quota,project"], "prjquota")
            else:
                one.make_disk(root)
        return 0 if one.run() else 1


if __name__ == "__main__":
    sys.exit(main())
