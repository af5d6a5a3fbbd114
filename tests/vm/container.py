#!/usr/bin/env python3
"""Builds packaging/docker/Dockerfile with buildah and runs the image with runc, with what `docker run --privileged
--cgroupns=host` gives: cellard answers, cells work and are limited, and what they keep is there in the next container.

Usage: tests/vm/container.py [--debian SUITE] [--package DEB] [--storage DIR]
By hand, as it compiles everything; with a --package, which has to be one for that Debian, nothing. Needs root, and apt-get install buildah runc mmdebstrap. No registry is asked: mmdebstrap makes
the image that FROM names, of Debian's mirror. A --storage that is named is kept, and a second call builds only what is new.
"""
import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEEDED = ("buildah", "runc", "mmdebstrap")
KEY = "choose-one-yourself"
LIMIT_S = 60  # for each thing that is shown
STOP_LIMIT_S = 10  # after which Docker kills
CERTIFICATES = pathlib.Path("/usr/local/share/ca-certificates")
AGENT = 'module.exports = { hi: async (ctx) => (await ctx.shell("echo in")).stdout };\n'


class Builder:
    """The images of one storage."""

    def __init__(self, storage):
        self.command = ["buildah", "--root", storage / "root", "--runroot", storage / "run", "--storage-driver", "vfs"]

    def __call__(self, *arguments):
        return subprocess.run([*self.command, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def has(self, image):
        return subprocess.run([*self.command, "inspect", "--type", "image", image], capture_output=True).returncode == 0

    def make_base(self, debian, folder):
        """What a registry has as debian:SUITE-slim, and the certificates that this machine was given for its way out."""
        name = f"docker.io/library/debian:{debian}-slim"
        if self.has(name):
            return
        subprocess.run(["mmdebstrap", "--variant=minbase", debian, folder / "base.tar"], check=True)
        container = self("from", "scratch")
        self("add", container, folder / "base.tar", "/")
        (folder / "base.tar").unlink()
        if CERTIFICATES.is_dir() and any(CERTIFICATES.iterdir()):
            self("add", container, CERTIFICATES, CERTIFICATES)
            self("config", "--env", "NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt", container)
        self("config", "--cmd", "bash", container)
        self("commit", "--rm", "--quiet", container, name)

    def build(self, debian, package, folder):
        stage = ()
        if package:  # In the place of the stage that makes one.
            (folder / "build").mkdir()
            shutil.copy(package, folder / "build/cellar.deb")
            stage = ("--build-context", f"build={folder / 'build'}")
        # Debian 12's buildah keeps a HEALTHCHECK only in Docker's format.
        command = ["build", "--isolation", "chroot", "--format", "docker", "--pull-never", "--layers", "--build-arg", f"DEBIAN={debian}", *stage,
                   "--file", ROOT / "packaging/docker/Dockerfile", "--tag", "cellar", ROOT]
        subprocess.run([*self.command, *command], check=True)


def configuration(image, root, volumes):
    """Of a container as `docker run --privileged --cgroupns=host` makes one, with a network of its own."""
    status = pathlib.Path("/proc/self/status").read_text()
    held = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff")), 16)
    capabilities = [name for number, name in enumerate(CAPABILITIES) if held >> number & 1]
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev"]},
        *({"destination": there, "type": "bind", "source": str(here), "options": ["rbind", "rw"]} for here, there in volumes),
    ]
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(root)},
        "hostname": "cellar",
        "mounts": mounts,
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": image["Entrypoint"],
            "env": [*image["Env"], f"CELLAR_API_KEY={KEY}"],
            "cwd": image.get("WorkingDir") or "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
        },
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "resources": {"devices": [{"allow": True, "access": "rwm"}]},
        },
    }


CAPABILITIES = [f"CAP_{name}" for name in """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
    WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split()]


class Container:
    """One that runs, in a bundle's folder."""

    def __init__(self, folder, name, image, root, volumes):
        self.name, self.runc = name, ["runc", "--root", folder / "runc"]
        bundle = folder / name
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(configuration(image, root, volumes)))
        self.log = bundle / "log"
        with self.log.open("w") as log:
            command = [*self.runc, "run", "--detach", "--bundle", bundle, name]
            begun = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode == 0
        if not begun:
            sys.exit(f"container: runc: {self.log.read_text()}")

    def tell(self, *command):
        """Its exit code and what it printed."""
        done = subprocess.run([*self.runc, "exec", self.name, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S)
        return done.returncode, done.stdout.strip()

    def runs(self):
        state = subprocess.run([*self.runc, "state", self.name], capture_output=True, text=True).stdout
        return '"status": "running"' in state

    def stop(self):
        """True where SIGTERM was enough."""
        subprocess.run([*self.runc, "kill", self.name, "TERM"], check=True)
        until = time.monotonic() + STOP_LIMIT_S
        while self.runs() and time.monotonic() < until:
            time.sleep(0.1)
        ended = not self.runs()
        self.close()
        return ended

    def close(self):
        subprocess.run([*self.runc, "delete", "--force", self.name], stderr=subprocess.DEVNULL)


class Shown:
    """What was shown, and what was not."""

    failed = 0

    def __call__(self, sentence, is_so, said=""):
        self.failed += not is_so
        print(f"container: {'ok' if is_so else 'FAILED'}: {sentence}{'' if is_so else f': {said}'}", flush=True)

    def says(self, sentence, container, wanted, *command):
        code, said = container.tell(*command)
        self(sentence, code == 0 and wanted in said, f"{code}: {said}")

    def answers(self, sentence, container):
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until and container.runs() and container.tell("cellar", "ls")[0] != 0:
            time.sleep(0.2)
        code, said = container.tell("cellar", "ls") if container.runs() else (1, container.log.read_text())
        self(sentence, code == 0, said)


def cgroups():
    """Of a daemon with the state folder of containers, whoever else has some (cell/slots.h)."""
    name = f"cellar-{hashlib.sha256(b'/var/lib/cellar').hexdigest()[:8]}"
    return {folder for folder, _, _ in os.walk("/sys/fs/cgroup") if pathlib.Path(folder).name == name}


def show(container_of, image):
    """What a user of the image does; the number of things that did not work."""
    shown = Shown()
    with contextlib.closing(container_of("cellar-first")) as first:
        shown.answers("cellard answers", first)
        print(first.tell("cellar", "doctor")[1], flush=True)
        shown.says("it is healthy", first, "", *image["Healthcheck"]["Test"][1:])
        shown.says("the dashboard is in it", first, 'content="built"', "node", "-e", "fetch('http://127.0.0.1:4750/').then(r => r.text()).then(console.log)")
        shown.says("a cell is made", first, "active", "cellar", "create", "ada", "--image", "dev")
        shown.says("root in it writes", first, "uid=0", "cellar", "exec", "dev--ada", "--", "sh", "-c", "id; echo kept >/work/kept; touch /usr/of-the-cell")
        shown.says("what it writes is not in the container", first, "none", "sh", "-c", "ls /usr/of-the-cell 2>/dev/null || echo none")
        shown("its memory is limited", first.tell("cellar", "exec", "dev--ada", "--", "tail", "/dev/zero")[0] == 137)
        first.tell("sh", "-c", f"cat >/agent.js <<'END'\n{AGENT}END")
        shown.says("a cell with an agent is made", first, "active", "cellar", "create", "bob", "--image", "dev", "--agent", "/agent.js")
        shown.says("it answers", first, "in", "cellar", "request", "dev--bob", "hi")
        shown("SIGTERM ends it in time", first.stop())
    with contextlib.closing(container_of("cellar-second")) as second:
        shown.answers("the next container answers, with the same key", second)
        shown.says("files are kept", second, "kept", "cellar", "exec", "dev--ada", "--", "cat", "/work/kept")
        shown.says("agents are", second, "in", "cellar", "request", "dev--bob", "hi")
        second.tell("cellar", "rm", "dev--ada")
        shown("SIGTERM ends this one, too", second.stop())
    left = cgroups()
    shown("no cgroup is left", not left, " ".join(sorted(left)))
    return shown.failed


@contextlib.contextmanager
def root_of(builder):
    """Where the image's files are, in a container that is removed with all that was written."""
    container = builder("from", "localhost/cellar")
    try:
        yield pathlib.Path(builder("mount", container))
    finally:
        builder("umount", container)
        builder("rm", container)


def storage_in(given):
    if given:
        given.mkdir(parents=True, exist_ok=True)
        return contextlib.nullcontext(str(given.resolve()))
    return tempfile.TemporaryDirectory(prefix="cellar-container-", dir="/var/tmp")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debian", default="trixie", metavar="SUITE")
    parser.add_argument("--package", type=pathlib.Path, metavar="DEB", help="what scripts/package has made")
    parser.add_argument("--storage", type=pathlib.Path, metavar="DIR", help="where images are, and stay")
    arguments = parser.parse_args()
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        print(f"skipped: {f'{missing[0]} is not installed: apt-get install buildah runc mmdebstrap' if missing else 'needs root'}")
        return 0
    with storage_in(arguments.storage) as storage, tempfile.TemporaryDirectory(prefix="cellar-container-", dir="/var/tmp") as folder:
        builder, folder = Builder(pathlib.Path(storage)), pathlib.Path(folder)
        builder.make_base(arguments.debian, folder)
        builder.build(arguments.debian, arguments.package, folder)
        image = json.loads(builder("inspect", "--type", "image", "localhost/cellar"))["Docker"]["config"]
        volumes = [(folder / "state", "/var/lib/cellar"), (folder / "keys", "/etc/cellar")]
        for here, _ in volumes:
            here.mkdir()
        with root_of(builder) as root:
            volumes.append((pathlib.Path("/sys/fs/cgroup"), "/sys/fs/cgroup"))
            failed = show(lambda name: Container(folder, name, image, root, volumes), image)
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
