#!/usr/bin/env python3
"""Shows that the suite notices: switches one defence off after the other, in a copy of the sources, and runs the
attempts that it stands against. Each must fail. Takes some minutes. Usage: mutations.py [NAME]"""
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COPY = ROOT / "build" / "mutations"

# Name: file, what stands there, what stands there instead, attempts that must fail.
MUTATIONS = {
    "no seccomp filter": ("src/init/spawn.cc", "if (plan.filter.len != 0 &&", "if (false &&", "kernel/*"),
    "nothing in /proc is masked": ("src/sandbox/plan.cc", "for (const char* path : kMasked) plan",
                                   "for (const char* path : kMasked) if (path == nullptr) plan", "proc/kernel_*"),
    "all capabilities are kept": ("src/init/enter.cc", "  drop_capabilities();\n", "  (void)&drop_capabilities;\n",
                                  "privileges/*capabilities*"),
    "/dev is writable": ("src/sandbox/plan.cc", 'plan.push_back(MakeReadOnly{"/dev"});', "", "devices/create_in_dev"),
    "links of a cell are followed": ("src/sys/beneath.cc", "RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS", "0", "files/s*"),
    "both domains have the same ids": ("src/cell/domains.cc", "kind == Kind::agent ? agent_uid_base",
                                       "kind == Kind::agent && false ? agent_uid_base", "domains/ids_of_domains"),
}


def build():
    environment = dict(os.environ, CCACHE_BASEDIR=str(COPY), CCACHE_NOHASHDIR="1")
    subprocess.run([COPY / "scripts/build"], env=environment, check=True, stdout=subprocess.DEVNULL)


def main():
    wanted = sys.argv[1:] or list(MUTATIONS)
    COPY.mkdir(parents=True, exist_ok=True)
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        target = COPY / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != (ROOT / name).read_bytes():
            shutil.copy2(ROOT / name, target)
    unnoticed = 0
    for name in wanted:
        file, before, after, pattern = MUTATIONS[name]
        source = (COPY / file).read_text()
        assert before in source, f"{name}: {file} has changed"
        (COPY / file).write_text(source.replace(before, after))
        try:
            build()
            result = subprocess.run([sys.executable, HERE / "run.py", "--bin", COPY / "build/release/bin", pattern],
                                    capture_output=True, text=True)
        finally:
            (COPY / file).write_text(source)
        failures = [line for line in result.stdout.splitlines() if line.startswith("FAIL")]
        noticed = result.returncode != 0
        unnoticed += not noticed
        shown = failures[0] if failures else result.stderr.strip().splitlines()[-1] if noticed else "nothing failed"
        print(f"{'noticed  ' if noticed else 'UNNOTICED'} {name}: {len(failures)} runs; {shown}", flush=True)
    print(f"{len(wanted)} defences off, {unnoticed} unnoticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
