# Process 1 is stopped, so that nothing ends any more.
# defence: it is in a namespace of which it is the first, and takes no signal from inside
# expect: \w+: (EPERM|runs)
# in-gvisor: process 1 is around this one program, and the timeout ends both
# expect-gvisor: \w+: (EPERM|runs)|ALLOWED SIGSTOP

import os, signal, time
try:
    os.kill(1, signal.SIGSTOP)
    state = open("/proc/1/stat").read().rsplit(")", 1)[1].split()[0]
    report("SIGSTOP", "runs" if state not in "Tt" else None)
except PermissionError:
    report("SIGSTOP", "EPERM")
