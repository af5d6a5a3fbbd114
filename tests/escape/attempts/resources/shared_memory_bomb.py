# Shared memory segments that outlive their makers.
# defence: own ipc namespace; the cell's memory limit
# expect: \w+: (own|ENOSPC|ENOMEM|SIGKILL)
# in-gvisor: segments are its own memory; there is no list of them
# expect-gvisor: segments: no list

import ctypes
segment = libc.shmget(0, ctypes.c_size_t(1 << 20), 0o1600)
try:
    lines = open("/proc/sysvipc/shm").read().splitlines()[1:]
    report("segments", "own" if len(lines) <= 1 else None)
except FileNotFoundError:
    report("segments", "no list")
libc.shmctl(segment, 0, 0)
