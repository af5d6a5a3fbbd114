# The same by other names of the file.
# defence: /proc/sys is read-only wherever it is reached from
# expect: \S+: (EROFS|EACCES|EPERM)
# in-gvisor: there is no such file
# expect-gvisor: \S+: (EROFS|EACCES|EPERM)|\S+: ENOENT

written("/proc/self/root/proc/sys/kernel/core_pattern", b"|/work/x")
written("/proc/thread-self/root/proc/sys/kernel/core_pattern", b"|/work/x")
written("/proc/self/cwd/../proc/sys/kernel/core_pattern", b"|/work/x")
