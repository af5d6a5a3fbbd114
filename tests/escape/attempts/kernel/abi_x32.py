# The x32 system calls, which differ in one bit.
# defence: seccomp kills
# expect: \w+: (SIGSYS|ENOSYS)

import platform
if platform.machine() == "x86_64":
    in_child("getpid", lambda: libc.syscall(ctypes.c_long(0x40000000 | 39)))
    in_child("mount", lambda: libc.syscall(ctypes.c_long(0x40000000 | 165), b"none", b"/tmp", b"tmpfs", 0, 0))
else:
    report("x32", "ENOSYS")
