# Capabilities that were dropped are taken again.
# defence: the bounding set; no_new_privs
# expect: \w+: EPERM

import ctypes, errno
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
data = (ctypes.c_uint32 * 6)(0xffffffff, 0xffffffff, 0, 0xffffffff, 0xffffffff, 0)
ctypes.set_errno(0)
result = libc.capset(header, data)
report("capset", errno.errorcode[ctypes.get_errno()] if result == -1 else None)
