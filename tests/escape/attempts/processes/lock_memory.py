# More memory is locked than a user may.
# defence: no CAP_IPC_LOCK
# expect: \w+: (ENOMEM|EPERM|EAGAIN)

import ctypes, errno, mmap
size = 256 << 20
area = libc.mmap
area.restype = ctypes.c_void_p
address = area(None, ctypes.c_size_t(size), 3, 0x22, -1, ctypes.c_long(0))
ctypes.set_errno(0)
result = libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(size))
report("mlock", errno.errorcode[ctypes.get_errno()] if result == -1 else None)
