# A page of a read-only program is written through a pipe (CVE-2022-0847).
# defence: the kernel; the image's files are shared read-only
# expect: \w+: unchanged

import os
path = "/usr/bin/env"
before = open(path, "rb").read()
reading, writing = os.pipe()
os.write(writing, b"a" * 65536)
os.read(reading, 65536)
file = os.open(path, os.O_RDONLY)
os.splice(file, writing, 1, offset_src=0)
os.write(writing, b"stolen")
report("splice", "unchanged" if open(path, "rb").read() == before else None)
