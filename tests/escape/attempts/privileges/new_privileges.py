# The promise to gain no privileges is taken back, the filter loosened.
# defence: both are for ever
# expect: \w+: (EINVAL|EPERM|EACCES|set)

import ctypes, errno
ctypes.set_errno(0)
result = libc.prctl(38, 0, 0, 0, 0)
report("no_new_privs", errno.errorcode[ctypes.get_errno()] if result == -1 else None)
status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
report("NoNewPrivs", "set" if status["NoNewPrivs"] == "1" else None)
report("Seccomp", "set" if status["Seccomp"] == "2" else None)
