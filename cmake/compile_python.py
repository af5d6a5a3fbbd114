"""Copies the Python files below FOLDER, and what Python compiles of them: compile_python.py FOLDER OUT FILE...

A Python of the same minor version starts from that and does not compile them anew: a quarter of the agent host's start, where
it cannot write down what it compiled. Another version takes the files.
"""
import pathlib
import py_compile
import shutil
import sys

OLDEST = (3, 11)  # that the files are written for

folder, out, *names = sys.argv[1:]
shutil.rmtree(out, ignore_errors=True)
for name in names:
    source, copy = pathlib.Path(folder, name), pathlib.Path(out, name)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, copy)
    is_module = copy.parent != pathlib.Path(out)  # Python keeps nothing of the program that it is given.
    if is_module and sys.version_info >= OLDEST:
        cached = copy.parent / "__pycache__" / f"{copy.stem}.{sys.implementation.cache_tag}.pyc"
        # Unchecked: when the file was written says nothing about it.
        py_compile.compile(str(source), cfile=str(cached), dfile=name, doraise=True,
                           invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
