"""What other tools take to pause a container and to bring one back from disk: crun and runsc, where they can."""
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from bench import milliseconds
from sandbox_bench import IMAGES, make_bundle

LIMIT_S = 30
BESIDE_V1 = pathlib.Path("/sys/fs/cgroup/unified")
ONLY_V2 = 'umount --recursive /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'


def why_it_fails(command):
    """Runs it with nobody's terminal; what it says where it fails, None where not."""
    with tempfile.TemporaryFile("w+") as said:  # No pipe: what it leaves running would keep that open.
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, timeout=LIMIT_S).returncode
        said.seek(0)
        return None if code == 0 else (said.read().strip().splitlines() or [f"exit code {code}"])[-1]


@contextlib.contextmanager
def bundle(processes):
    """A folder with what both start: so many processes that wait, from the image that cells have."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="cellar-bench-"))
    try:
        (place / "bundle").mkdir()
        make_bundle(place / "bundle", (IMAGES / "names/default").resolve())
        spec = json.loads((place / "bundle/config.json").read_text())
        spec["process"]["args"] = ["/bin/sh", "-c", f"for i in $(seq {processes - 1}); do sleep 100000 & done; exec sleep 100000"]
        (place / "bundle/config.json").write_text(json.dumps(spec))
        yield place
    finally:
        subprocess.run(["umount", "--quiet", place / "bundle/rootfs"], check=False)
        shutil.rmtree(place)


def crun(runs, processes=10):
    """The times of `crun resume` in ms, or why there are none."""
    if not shutil.which("crun"):
        return "crun is not installed"
    if not IMAGES.exists():
        return "there is no image"
    if not BESIDE_V1.is_dir():
        return crun_here(runs, processes)
    # It refuses to run where cgroup v1 is there, too: so it is shown the other one alone.
    command = ["unshare", "--mount", "sh", "-c", ONLY_V2, "sh", sys.executable, __file__, str(runs), str(processes)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(answer.stdout)


def crun_here(runs, processes):
    with bundle(processes) as place:
        tool = ["crun", "--root", str(place / "crun"), "--cgroup-manager=cgroupfs"]
        failure = why_it_fails([*tool, "run", "--detach", "--bundle", str(place / "bundle"), "bench"])
        if failure:
            return failure
        try:
            times = []
            for _ in range(runs):
                subprocess.run([*tool, "pause", "bench"], check=True)
                times += milliseconds(lambda _: subprocess.run([*tool, "resume", "bench"], check=True), 1)
            return times
        finally:
            subprocess.run([*tool, "delete", "--force", "bench"], check=False)


def runsc(runs, processes=10):
    """The times of `runsc restore` in ms, until it has answered a command; or why there are none."""
    if not shutil.which("runsc"):
        return "runsc is not installed"
    if not IMAGES.exists():
        return "there is no image"
    with bundle(processes) as place:
        tool = ["runsc", "--root", str(place / "runsc"), "--network=none", "--ignore-cgroups"]
        image = ["--image-path", str(place / "checkpoint")]
        of_bundle = ["--detach", "--bundle", str(place / "bundle")]
        failure = why_it_fails([*tool, "run", *of_bundle, "first"])
        failure = failure or why_it_fails([*tool, "checkpoint", *image, "first"])
        subprocess.run([*tool, "delete", "--force", "first"], check=False, stderr=subprocess.DEVNULL)
        if failure:
            return failure
        times = []
        for number in range(runs):
            name = f"again-{number}"

            def restore(_):
                if reason := why_it_fails([*tool, "restore", *of_bundle, *image, name]) or why_it_fails([*tool, "exec", name, "/bin/true"]):
                    raise RuntimeError(reason)
            try:
                times += milliseconds(restore, 1)
            finally:
                subprocess.run([*tool, "delete", "--force", name], check=False)
        return times


if __name__ == "__main__":
    print(json.dumps(crun_here(int(sys.argv[1]), int(sys.argv[2]))))
