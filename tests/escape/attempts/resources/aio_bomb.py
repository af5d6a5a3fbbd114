# The room for asynchronous reads and writes, which is one for the whole machine, is taken.
# defence: seccomp
# expect: \w+: ENOSYS

import ctypes
call("io_setup", 60000, ctypes.byref(ctypes.c_ulong()))
