# The same through the list of its threads.
# defence: process 1 belongs to the host's user namespace
# expect: \S+: (EACCES|EPERM)

import os
opened("/proc/1/task/1/mem")
opened("/proc/1/task/1/environ")
attempt("/proc/1/task/1/root", lambda: os.listdir("/proc/1/task/1/root/"))
