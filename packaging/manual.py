"""A manual page from what a program says of itself. Usage: packaging/manual.py PROGRAM VERSION > PAGE.1"""
import pathlib
import re
import subprocess
import sys


def escaped(line):
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + line if line.startswith((".", "'")) else line


def page(program, version):
    name = pathlib.Path(program).name
    said = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    title = re.match(rf"{name}: (.*)", said)
    about = title[1] if title else "the command line of Cellar"
    lines = "\n".join(map(escaped, said.splitlines()[1 if title else 0:]))
    return (f'.TH {name.upper()} 1 "" "Cellar {version}" "Cellar"\n.SH NAME\n{name} \\- {escaped(about)}\n.SH DESCRIPTION\n.nf\n{lines}\n.fi\n'
            ".SH FILES\n/etc/default/cellar, /etc/cellar, /var/lib/cellar\n.SH SEE ALSO\n/usr/share/doc/cellar/guide\n")


if __name__ == "__main__":
    print(page(*sys.argv[1:]), end="")
