#!/usr/bin/env python3
"""Installs, uses, upgrades and removes the Debian package in a small virtual machine, under systemd and cgroup v2.

Usage: tests/vm/package.py [--kernel DEB] build/release/package/cellar_*.deb
By hand, as it takes minutes: every instruction is emulated. Needs what run.py needs, and Debian's packages for systemd.
"""
import argparse
import pathlib
import shutil
import subprocess
import sys

import run as vm

PACKAGES = ("kmod", "libcap2-bin", "procps", "systemd", "systemd-sysv")

UNIT = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/vm-test
TimeoutStartSec=infinity
[Install]
WantedBy=default.target
"""

TEST = r"""#!/bin/bash
# Each line of this that fails is said; the last one says how many.
exec </dev/null >/dev/ttyS0 2>&1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
failed=0
shows() { # SENTENCE COMMAND…
  if out=$("${@:2}" 2>&1); then echo "vm: ok: $1"; else failed=$((failed + 1)); echo "vm: FAILED: $1: $out"; fi
}
says() { # SENTENCE PATTERN COMMAND…
  out=$("${@:3}" 2>&1)
  if grep -qE -- "$2" <<<"$out"; then echo "vm: ok: $1"; else failed=$((failed + 1)); echo "vm: FAILED: $1: no '$2' in: $out"; fi
}
answers() { for _ in $(seq 60); do cellar ls >/dev/null 2>&1 && return; sleep 1; done; cellar ls; }
inits() { pgrep -x cell-init | sort | tr '\n' ' '; }
none() { [ -z "$(pgrep -x 'cell-init|cellard|cellar-spawn')$(find /sys/fs/cgroup -maxdepth 4 -name 'cellar-*')" ]; }

shows "it installs on a machine that runs" dpkg -i /cellar.deb
shows "the unit is active then" systemctl is-active cellar
shows "and enabled" systemctl is-enabled cellar
export CELLAR_API_KEY=$(journalctl -u cellar -o cat | sed -n 's/.*API key[^:]*: *\([^ ]*\).*/\1/p' | head -1)
shows "it answers with the key of its journal" answers
cellar doctor
shows "a cell is made" cellar create ada --image dev
says "root in it writes" '^uid=0.*' cellar exec dev--ada -- sh -c 'id; echo kept > /work/kept; apt-get --version > /work/apt'
says "a homes' folder of the host is not in it" 'none' cellar exec dev--ada -- sh -c '[ -e /root/secret ] && echo there || echo none'
says "its memory is limited" 'oom|memory' cellar exec dev--ada -- tail /dev/zero
echo 'module.exports = { hi: async (ctx) => (await ctx.shell("echo in")).stdout }' > /agent.js
shows "a cell with an agent is made" cellar create bob --image dev --agent /agent.js
says "it answers" 'in' cellar request dev--bob hi
shows "and agents are warm" sh -c '! journalctl -u cellar -o cat | grep "no warm agent is made"'
before=$(inits)
shows "cellard begins anew" systemctl restart cellar
shows "and answers" answers
shows "its cells went on meanwhile" test "$before" = "$(inits)"
says "with their files" '^kept$' cellar exec dev--ada -- sh -c 'cat /work/kept'
shows "it reads its configuration again" systemctl reload cellar
shows "and is active" systemctl is-active cellar
shows "it is replaced" dpkg -i /cellar.deb
shows "and answers then" answers
shows "cells went on meanwhile, too" test "$before" = "$(inits)"
says "with files that stayed" '^kept$' cellar exec dev--ada -- sh -c 'cat /work/kept'
says "cellard lacks the rights that it does not need" '!cap_sys_module|cap_chown' capsh --decode="$(awk '/CapBnd/ { print $2 }' "/proc/$(systemctl show -p MainPID --value cellar)/status")"
shows "it is removed" dpkg -r cellar
shows "no process and no cgroup of it is left" none
shows "files are" test -d /var/lib/cellar
shows "it is purged" dpkg -P cellar
shows "and its files with it" test ! -e /var/lib/cellar -a ! -e /etc/cellar
journalctl -u cellar -o cat | tail -50
echo "vm: exit $failed"
systemctl poweroff -f -f
"""


def fill_root(root, package):
    """The image of cells, with systemd, what the package depends on, and the test."""
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    shutil.copy(package, root / "cellar.deb")
    for file in ("/etc/resolv.conf", "/etc/hosts"):
        (root / file[1:]).unlink(missing_ok=True)
        shutil.copy(file, root / file[1:])
    install = f"apt-get -qq update && apt-get -qq install --no-install-recommends -y {' '.join(PACKAGES)} /cellar.deb && dpkg -P cellar"
    subprocess.run(["chroot", root, "env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", install], check=True, stdout=subprocess.DEVNULL)
    (root / "usr/sbin/policy-rc.d").unlink()
    (root / "vm-init").symlink_to("/lib/systemd/systemd")
    (root / "vm-test").write_text(TEST)
    (root / "vm-test").chmod(0o755)
    (root / "root").mkdir(exist_ok=True)
    (root / "root/secret").write_text("of the host\n")
    units = root / "etc/systemd/system"
    (units / "vm-test.service").write_text(UNIT)
    (units / "multi-user.target.wants").mkdir(parents=True, exist_ok=True)
    (units / "default.target").unlink(missing_ok=True)
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    (units / "multi-user.target.wants/vm-test.service").symlink_to("../vm-test.service")
    (units / "serial-getty@ttyS0.service").symlink_to("/dev/null")
    (root / "etc/machine-id").write_text("uninitialized\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", type=pathlib.Path, help="a Debian package of a kernel")
    parser.add_argument("package", type=pathlib.Path)
    arguments = parser.parse_args()
    with vm.machine(arguments.kernel) as machine:
        with vm.image_over(machine.folder) as root:
            fill_root(root, arguments.package)
            machine.make_disk(root)
        return 0 if machine.run() else 1


if __name__ == "__main__":
    sys.exit(main())
