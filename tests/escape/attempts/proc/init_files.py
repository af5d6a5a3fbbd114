# The root, working folder, descriptors and program of process 1.
# defence: process 1 belongs to the host's user namespace
# expect: \S+: (EACCES|EPERM)
# in-gvisor: process 1 is a copy of cell-init around this one program, and has only the pipe that tells how it ended
# expect-gvisor: \S+: (EACCES|EPERM)|ALLOWED /proc/1/fd|\S+: ENOENT

import os
attempt("/proc/1/root", lambda: os.listdir("/proc/1/root/"))
attempt("/proc/1/cwd", lambda: os.listdir("/proc/1/cwd/"))
attempt("/proc/1/fd", lambda: os.listdir("/proc/1/fd"))
attempt("/proc/1/map_files", lambda: os.listdir("/proc/1/map_files"))
attempt("/proc/1/exe", lambda: os.readlink("/proc/1/exe"))
