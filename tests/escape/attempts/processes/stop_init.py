# Process 1 is stopped, so that nothing ends any more, or left without descriptors and processor time.
# defence: it is in a namespace of which it is the first, and takes no signal from inside; seccomp
# expect: \w+: (EPERM|runs)
# in-gvisor: process 1 is around this one program, and the timeout ends both
# expect-gvisor: \w+: (EPERM|runs)|ALLOWED SIGSTOP

import os, resource, signal
try:
    os.kill(1, signal.SIGSTOP)
    state = open("/proc/1/stat").read().rsplit(")", 1)[1].split()[0]
    report("SIGSTOP", "runs" if state not in "Tt" else None)
except PermissionError:
    report("SIGSTOP", "EPERM")
for name in ("NOFILE", "CPU"):
    attempt(name, lambda: resource.prlimit(1, getattr(resource, f"RLIMIT_{name}"), (1, 1)))
