# Watches and instances of inotify, which are counted for the whole kernel.
# defence: limits of each user of the namespace
# expect: \w+: (EMFILE|ENOSPC)

import ctypes, errno, os
held = []
def instances():
    for _ in range(100000):
        fd = libc.inotify_init1(0)
        if fd == -1:
            raise OSError(ctypes.get_errno(), "inotify")
        held.append(fd)
ctypes.set_errno(0)
attempt("instances", instances)
