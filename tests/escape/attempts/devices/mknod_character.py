# Physical memory and the kernel log get device nodes.
# defence: seccomp; user namespace; Landlock; nodev
# expect: \S+: (EPERM|EACCES|EROFS)

import os, stat
for minor in (1, 11):
    path = f"/tmp/device{minor}-{os.getpid()}"
    attempt(path, lambda: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, minor)))
