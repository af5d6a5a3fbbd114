# The map of ids is written again.
# defence: it is written once, and by the host
# expect: \S+: (EPERM|EACCES)

written("/proc/self/uid_map", b"0 0 4294967295")
written("/proc/self/gid_map", b"0 0 4294967295")
written("/proc/self/setgroups", b"deny")
