# The whole file system is watched.
# defence: seccomp; no CAP_SYS_ADMIN
# expect: \w+: EPERM

call("fanotify_init", 0, 0)
