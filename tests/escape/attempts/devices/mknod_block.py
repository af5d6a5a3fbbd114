# The host's disk gets a device node.
# defence: seccomp; user namespace; Landlock; nodev
# expect: \S+: (EPERM|EACCES|EROFS|ENOENT)

import os, stat
for folder in ("/tmp", "/work", "/root", "/dev"):
    path = f"{folder}/disk{os.getpid()}"
    attempt(path, lambda: os.mknod(path, 0o600 | stat.S_IFBLK, os.makedev(254, 0)))
