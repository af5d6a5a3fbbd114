# The memory of process 1 is read and written by the calls for that.
# defence: seccomp; process 1 belongs to the host's user namespace
# expect: \w+: EPERM

import ctypes
buffer = ctypes.create_string_buffer(16)
local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 16)
remote = (ctypes.c_uint64 * 2)(0x400000, 16)
call("process_vm_readv", 1, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
call("process_vm_writev", 1, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
call("process_madvise", 1, ctypes.byref(remote), 1, 21, 0)
