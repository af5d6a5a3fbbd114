# Input and output of the processor's own.
# defence: seccomp; no CAP_SYS_RAWIO
# expect: \w+: (EPERM|ENOSYS)

call("iopl", 3)
call("ioperm", 0x70, 2, 1)
call("modify_ldt", 1, 0, 0)
