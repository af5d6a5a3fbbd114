# /dev/console is planted for a runtime to mount a terminal on (CVE-2025-52565).
# defence: /dev is read-only, and nothing is ever mounted there later
# expect: \S+: (EROFS|EACCES)

import os
attempt("/dev/console", lambda: os.symlink("/proc/sysrq-trigger", "/dev/console"))
attempt("/dev/pts/console", lambda: os.mknod("/dev/pts/console"))
