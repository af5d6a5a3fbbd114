# Shared memory segments that outlive their makers.
# defence: own ipc namespace; the cell's memory limit
# expect: \w+: (own|ENOSPC|ENOMEM|SIGKILL)

import ctypes
segment = libc.shmget(0, ctypes.c_size_t(1 << 20), 0o1600)
lines = open("/proc/sysvipc/shm").read().splitlines()[1:]
libc.shmctl(segment, 0, 0)
report("segments", "own" if len(lines) <= 1 else None)
