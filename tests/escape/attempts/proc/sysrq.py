# The machine is restarted by a letter.
# defence: masked; user namespace
# expect: \S+: (EACCES|EROFS|EPERM|ENOENT)

written("/proc/sysrq-trigger", b"b")
