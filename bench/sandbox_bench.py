#!/usr/bin/env python3
"""Measures the sandbox alone, beside other tools of the same run: sandbox_bench.py [--bin DIR] [--runs N] [--save]

Prints medians and ratios; --save writes bench/results/DATE-sandbox.json. Root is needed. crun and runsc are measured
where they are installed.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import tempfile

from saving import save

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
IMAGES = ROOT / "build/images/images"


def make_bundle(folder, image):
    """What crun and runsc start the same program from: the files of the image, and their own default settings."""
    tool = shutil.which("crun") or shutil.which("runsc")
    if tool is None:
        return
    (folder / "rootfs").mkdir(parents=True)
    mount = ["mount", "-t", "erofs", image / "root.erofs", folder / "rootfs"]
    if not (image / "root.erofs").exists():
        mount = ["mount", "--bind", image / "root", folder / "rootfs"]
    subprocess.run(mount, check=True)
    subprocess.run([tool, "spec"], cwd=folder, check=True)
    spec = json.loads((folder / "config.json").read_text())
    spec["process"] |= {"args": ["/bin/true"], "terminal": False}
    spec["root"] = {"path": "rootfs", "readonly": True}
    (folder / "config.json").write_text(json.dumps(spec))


def show(row):
    beside = ""
    if "reference" in row:
        beside = f"{row['reference_median']:9.3f} ms {row['reference']:<22} ratio {row['ratio']}"
    print(f"{row['name']:<36} {row['median']:9.3f} ms  p95 {row['p95']:9.3f}   {beside}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin"))
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    state = pathlib.Path(tempfile.mkdtemp(prefix="cellar-bench-"))
    rows = []
    try:
        subprocess.run(["cp", "--archive", "--link", IMAGES, state / "images"], check=True)
        image = (state / "images/names/default").resolve()
        make_bundle(state / "bundle", image)
        command = [pathlib.Path(arguments.bin) / "sandbox_bench", arguments.bin, state, str(arguments.runs), image]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as bench:
            for line in bench.stdout:
                rows.append(json.loads(line))
                show(rows[-1])
        if bench.returncode != 0:
            return 1
    finally:
        subprocess.run(["umount", "--quiet", state / "bundle/rootfs"], check=False)
        shutil.rmtree(state)
    if arguments.save:
        save(rows, "sandbox")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
