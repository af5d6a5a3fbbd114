# The environment, arguments and memory map of process 1.
# defence: process 1 belongs to the host's user namespace and is not dumpable
# expect: \S+: (EACCES|EPERM|empty)
# in-gvisor: process 1 is a copy of cell-init around this one program, with no environment; the machine's processes are not there
# expect-gvisor: \S+: (EACCES|EPERM|empty)|ALLOWED /proc/1/(auxv|environ|io|maps|smaps)|\S+: ENOENT

for name in ("environ", "maps", "smaps", "auxv", "stack", "syscall", "io"):
    empty(f"/proc/1/{name}")
