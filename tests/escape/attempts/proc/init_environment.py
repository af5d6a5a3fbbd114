# The environment, arguments and memory map of process 1.
# defence: process 1 belongs to the host's user namespace and is not dumpable
# expect: \S+: (EACCES|EPERM|empty)

for name in ("environ", "maps", "smaps", "auxv", "stack", "syscall", "io"):
    empty(f"/proc/1/{name}")
