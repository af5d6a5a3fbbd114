# Process 1 is traced (attaching to that of bwrap stops it for good).
# defence: process 1 belongs to the host's user namespace and is not dumpable
# expect: \w+: EPERM

call("ptrace", 16, 1, 0, 0, what="attach")
call("ptrace", 0x4206, 1, 0, 0, what="seize")
