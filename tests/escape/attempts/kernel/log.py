# The kernel's log is read.
# defence: seccomp; no CAP_SYSLOG
# expect: \w+: EPERM

import ctypes
call("syslog", 3, ctypes.create_string_buffer(64), 64)
call("syslog", 10, 0, 0)
