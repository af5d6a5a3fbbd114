# The machine is restarted by a letter.
# defence: masked; user namespace
# expect: \S+: (EACCES|EROFS|EPERM|ENOENT)
# in-gvisor: writing does nothing
# expect-gvisor: \S+: (EACCES|EROFS|EPERM|ENOENT)|\S+: EIO

written("/proc/sysrq-trigger", b"b")
