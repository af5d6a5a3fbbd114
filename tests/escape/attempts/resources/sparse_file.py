# A file of 8 exabytes.
# defence: the file system's limit
# expect: \S+: (EFBIG|EINVAL)
# in-gvisor: a file of that size takes no room
# expect-gvisor: \S+: (EFBIG|EINVAL)|ALLOWED sparse
# as: root

import os
path = f"/work/sparse{os.getpid()}"
file = os.open(path, os.O_CREAT | os.O_RDWR)
attempt("sparse", lambda: os.ftruncate(file, (1 << 63) - 1))
os.unlink(path)
