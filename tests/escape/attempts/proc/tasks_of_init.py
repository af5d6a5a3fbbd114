# The same through the list of its threads.
# defence: process 1 belongs to the host's user namespace
# expect: \S+: (EACCES|EPERM)
# in-gvisor: process 1 is a copy of cell-init around this one program, with no environment
# expect-gvisor: \S+: (EACCES|EPERM)|ALLOWED /proc/1/task/1/environ|\S+: ENOENT

import os
opened("/proc/1/task/1/mem")
opened("/proc/1/task/1/environ")
attempt("/proc/1/task/1/root", lambda: os.listdir("/proc/1/task/1/root/"))
