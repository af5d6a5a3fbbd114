#!/usr/bin/env python3
"""Compiles for arm64 what depends on the architecture: all of the sandbox, and links its cell-init. By hand; some minutes.

Needs clang-19 and lld-19, and apt-get install libc6-dev-arm64-cross libstdc++-12-dev-arm64-cross. Nothing is executed: that the
commands' filter does on arm64 what it should, sandbox_test shows on any machine (src/sandbox/filter_test.cc).
"""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / "build/arm64"
MODULES = ("base", "sys", "wire", "sandbox", "spawn", "init", "doctor")
# cell-init is made of these, and of nothing in them that needs a library of ours (cmake/CellarModule.cmake).
STATIC = ("init", "sandbox", "sys", "wire", "base")
COMPILER = "clang++-19"
# Headers of libraries that are the same for all come from this machine, behind those of arm64.
FLAGS = ["--target=aarch64-linux-gnu", "-std=c++20", "-O1", "-fPIC", f"-I{ROOT}/src", "-idirafter", "/usr/include/x86_64-linux-gnu",
         "-include", f"{ROOT}/src/base/std.pch.h", "-DFMT_HEADER_ONLY", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]


def is_test(source):
    return source.stem.endswith("_test")


def compile_one(source):
    """The object, and what the compiler said; an empty text where it said nothing."""
    target = OUT / source.parent.name / f"{source.stem}.o"
    target.parent.mkdir(parents=True, exist_ok=True)
    result = subprocess.run([COMPILER, *FLAGS, "-c", source, "-o", target], capture_output=True, text=True)
    return target, result.stderr if result.returncode else ""


def main():
    if shutil.which(COMPILER) is None or not pathlib.Path("/usr/aarch64-linux-gnu/include").is_dir():
        print("skipped: apt-get install clang-19 lld-19 libc6-dev-arm64-cross libstdc++-12-dev-arm64-cross")
        return 0
    shutil.rmtree(OUT, ignore_errors=True)
    sources = [source for module in MODULES for source in sorted((ROOT / "src" / module).glob("*.cc")) if not is_test(source)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for target, said in pool.map(compile_one, sources):
            failed += bool(said)
            print(said, end="", file=sys.stderr)
    print(f"{len(sources)} sources compiled for arm64, {failed} failed")
    if failed:
        return 1
    objects = [o for module in STATIC for o in sorted((OUT / module).glob("*.o")) if o.stem != "main"]
    program = OUT / "cell-init"
    subprocess.run([COMPILER, "--target=aarch64-linux-gnu", "-fuse-ld=lld-19", "-static-pie", OUT / "init/main.o",
                    "-Wl,--start-lib", *objects, "-Wl,--end-lib", "-o", program],
                   check=True)
    print(f"linked {program.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
