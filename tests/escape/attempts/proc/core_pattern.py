# The program that the host runs at a crash is set.
# defence: /proc/sys is read-only; user namespace
# expect: \S+: (EROFS|EACCES|EPERM)
# in-gvisor: there is no such file
# expect-gvisor: \S+: (EROFS|EACCES|EPERM)|\S+: ENOENT

written("/proc/sys/kernel/core_pattern", b"|/work/x")
