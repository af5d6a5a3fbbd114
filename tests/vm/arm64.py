#!/usr/bin/env python3
"""Compiles Cellar for arm64, and runs tests of it there, in a small virtual machine with Debian's kernel.

Usage: tests/vm/arm64.py [--root DIR] [TEST...]    e.g. tests/vm/arm64.py sandbox_test test_isolation
A TEST is a unit test's program or a file of tests/e2e; with none it is only compiled. By hand: from nothing it compiles for as
long as a build does, and then every instruction is emulated. Needs root, and apt-get install mmdebstrap qemu-system-arm. Debian's
packages for arm64 are unpacked into DIR (build/arm64-root) once, and none of their programs is run here.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import run as vm

BUILD = vm.ROOT / "build/arm64"
# What scripts/setup installs to build with, and what tests and cells need: the image dev is a view of the machine.
PACKAGES = """libc6-dev libstdc++-12-dev libgcc-12-dev libboost1.81-dev libboost-json1.81-dev libssl-dev libcurl4-openssl-dev
libsqlite3-dev libfmt-dev libcli11-dev libseccomp-dev libre2-dev doctest-dev python3 nodejs git gcc busybox-static procps iproute2
e2fsprogs xfsprogs uidmap mawk mount passwd linux-image-cloud-arm64""".split()
TOOLCHAIN = """set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_SYSROOT {root})
set(CMAKE_C_COMPILER_TARGET aarch64-linux-gnu)
set(CMAKE_CXX_COMPILER_TARGET aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
"""


class Machine(vm.Machine):
    qemu = ("qemu-system-aarch64", "-machine", "virt,gic-version=3", "-accel", "tcg,thread=multi", "-cpu", "max,pauth-impdef=on")
    console = "ttyAMA0"


def unpack(root):
    """Debian's packages, with links that lead where they should from outside as well, and what their scripts would have made."""
    wanted = ["--include=?essential", f"--include={','.join(PACKAGES)}"]
    subprocess.run(["mmdebstrap", "--architectures=arm64", "--variant=extract", *wanted, "bookworm", root], check=True)
    for name in ("bin", "sbin", "lib"):
        if not (root / name).is_symlink():
            shutil.copytree(root / name, root / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(root / name)
            (root / name).symlink_to(f"usr/{name}")
    for folder, folders, files in os.walk(root):
        for path in (pathlib.Path(folder, name) for name in (*folders, *files)):
            if path.is_symlink() and path.readlink().is_absolute():
                inside = pathlib.Path(f"{root}{path.readlink()}")
                path.unlink()
                path.symlink_to(os.path.relpath(inside, path.parent))
    shutil.rmtree(root / "dev")  # The machine's kernel makes its own.
    (root / "dev").mkdir()
    for name in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    (root / "usr/bin/awk").symlink_to("mawk")
    subprocess.run(["depmod", "-b", root, next((root / "usr/lib/modules").iterdir()).name], check=True)


def compile_all(root, targets):
    BUILD.mkdir(parents=True, exist_ok=True)
    toolchain = BUILD / "toolchain.cmake"
    toolchain.write_text(TOOLCHAIN.format(root=root))
    packages = root / "usr/lib/aarch64-linux-gnu/pkgconfig"
    environment = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": str(root), "PKG_CONFIG_LIBDIR": str(packages)}
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["cmake", "--preset", "release", "-B", BUILD, f"-DCMAKE_TOOLCHAIN_FILE={toolchain}"], cwd=vm.ROOT, check=True, env=environment)
    subprocess.run(["ninja", "-C", BUILD, "--quiet", *targets], check=True, env=environment)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=vm.ROOT / "build/arm64-root")
    parser.add_argument("tests", nargs="*", metavar="TEST")
    arguments = parser.parse_args()
    missing = [name for name in ("mmdebstrap", "qemu-system-aarch64", "mkfs.ext4", "depmod") if shutil.which(name) is None]
    if missing:
        print(f"skipped: {missing[0]} is not installed: apt-get install mmdebstrap qemu-system-arm kmod e2fsprogs")
        return 0
    packages = arguments.root.resolve()
    if not packages.exists():
        unpack(packages)
    units = [test for test in arguments.tests if test.endswith("_test")]
    compile_all(packages, [*vm.PROGRAMS, *units])
    if not arguments.tests:
        return 0
    commands = [f"{BUILD}/test/{unit}" for unit in units] + vm.e2e(BUILD / "bin", [test for test in arguments.tests if test not in units])
    with tempfile.TemporaryDirectory(prefix="cellar-vm-", dir="/var/tmp") as folder:
        root = pathlib.Path(folder, "root")
        # Libraries to link with are most of it, and of no use there.
        left_out = shutil.ignore_patterns("include", "*.a", "doc", "locale", "man")
        shutil.copytree(packages, root, symlinks=True, ignore=left_out)
        machine = Machine(folder, root, packages / "usr/bin/busybox")
        vm.fill_root(root, BUILD / "bin", commands, machine.busybox)
        (root / str(BUILD).lstrip("/") / "test").mkdir(parents=True)
        shutil.copytree(vm.ROOT / "src", root / str(vm.ROOT).lstrip("/") / "src")  # What unit tests compare with is there.
        for unit in units:
            shutil.copy(BUILD / "test" / unit, root / str(BUILD).lstrip("/") / "test")
        machine.make_disk(root)
        return 0 if machine.run() else 1


if __name__ == "__main__":
    sys.exit(main())
