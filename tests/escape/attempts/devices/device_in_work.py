# A device node is planted in /work for the host to open.
# defence: seccomp; user namespace
# expect: \S+: (EPERM|EACCES)

import os, stat
attempt("/work/zero", lambda: os.mknod("/work/zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5)))
