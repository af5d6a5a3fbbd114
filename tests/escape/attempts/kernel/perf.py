# Performance counters, which see addresses of the kernel.
# defence: seccomp
# expect: perf_event_open: EPERM

import ctypes
attributes = (ctypes.c_uint32 * 32)(1, 128)
call("perf_event_open", ctypes.byref(attributes), 0, -1, -1, 0)
