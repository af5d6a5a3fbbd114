# /dev/console is planted for a runtime to mount a terminal on (CVE-2025-52565).
# defence: /dev is read-only, and nothing is ever mounted there later
# expect: \S+: (EROFS|EACCES)
# in-gvisor: /dev is its own memory, gone with the domain
# expect-gvisor: \S+: (EROFS|EACCES)|ALLOWED /dev/console|\S+: (EEXIST|EPERM)

import os
attempt("/dev/console", lambda: os.symlink("/proc/sysrq-trigger", "/dev/console"))
attempt("/dev/pts/console", lambda: os.mknod("/dev/pts/console"))
