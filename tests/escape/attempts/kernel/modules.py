# A kernel module is loaded or removed.
# defence: seccomp; no CAP_SYS_MODULE
# expect: \w+: EPERM

call("init_module", b"\x7fELF", 4, b"")
call("finit_module", 0, b"", 0)
call("delete_module", b"ext4", 0)
