# Another kernel is started.
# defence: seccomp; no CAP_SYS_BOOT
# expect: \w+: (EPERM|ENOSYS)

call("kexec_load", 0, 0, 0, 0)
call("kexec_file_load", 0, 0, 0, b"", 0)
