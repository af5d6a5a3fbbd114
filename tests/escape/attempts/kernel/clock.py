# The clock of the machine is set.
# defence: seccomp; no CAP_SYS_TIME
# expect: \w+: EPERM

import ctypes
zero = ctypes.create_string_buffer(256)
call("settimeofday", zero, 0)
call("clock_settime", 0, zero)
call("adjtimex", zero)
