# Quotas of the host's file system are read and switched off.
# defence: seccomp; no CAP_SYS_ADMIN
# expect: \w+: EPERM

call("quotactl", 0x80000300, b"/dev/vda", 0, 0)
call("quotactl_fd", 0, 0x80000300, 0, 0)
