# The same with bits above those that the kernel looks at (CVE-2019-10063).
# defence: seccomp compares 32 bits
# expect: \w+: EPERM

import ctypes, errno, os
leader, follower = os.openpty()
libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_char_p]
for name, command in (("one", 0x100005412), ("all", 0xffffffff00005412)):
    ctypes.set_errno(0)
    result = libc.ioctl(follower, command, b"x")
    report(name, errno.errorcode[ctypes.get_errno()] if result == -1 else None)
