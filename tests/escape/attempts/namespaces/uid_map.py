# The map of ids is written again.
# defence: it is written once, and by the host
# expect: \S+: (EPERM|EACCES)
# in-gvisor: there is no setgroups file
# expect-gvisor: \S+: (EPERM|EACCES)|\S+: (ENOENT|EIO)

written("/proc/self/uid_map", b"0 0 4294967295")
written("/proc/self/gid_map", b"0 0 4294967295")
written("/proc/self/setgroups", b"deny")
