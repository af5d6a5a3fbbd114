"""Swap of our own, for as long as it is used: compressed memory where the kernel has it, else a file."""
import contextlib
import pathlib
import subprocess

ZRAM = pathlib.Path("/sys/class/zram-control")


def why_not():
    """Why there can be none here; empty where there can."""
    if subprocess.run(["swapon", "--version"], capture_output=True).returncode != 0:
        return "swapon is not installed"
    return "" if pathlib.Path("/proc/swaps").exists() else "the kernel has no swap"


@contextlib.contextmanager
def swap(folder, megabytes, in_memory=True):
    """The name of what holds it."""
    with _zram(megabytes) if in_memory and (ZRAM / "hot_add").exists() else _file(folder, megabytes) as device:
        subprocess.run(["mkswap", device], check=True, capture_output=True)
        subprocess.run(["swapon", device], check=True)
        try:
            yield device
        finally:
            subprocess.run(["swapoff", device], check=True)


@contextlib.contextmanager
def _zram(megabytes):
    number = (ZRAM / "hot_add").read_text().strip()  # To read it makes one.
    try:
        pathlib.Path(f"/sys/block/zram{number}/disksize").write_text(f"{megabytes}M")
        yield f"/dev/zram{number}"
    finally:
        pathlib.Path(f"/sys/block/zram{number}/reset").write_text("1")
        (ZRAM / "hot_remove").write_text(number)


@contextlib.contextmanager
def _file(folder, megabytes):
    path = pathlib.Path(folder) / "swap"
    subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={megabytes}"], check=True, capture_output=True)
    path.chmod(0o600)
    try:
        yield str(path)
    finally:
        path.unlink()
