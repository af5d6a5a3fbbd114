# Terminals without end.
# defence: the namespace's own devpts, RLIMIT_NOFILE
# expect: terminals: (ENOSPC|EMFILE|EAGAIN|EIO|ENOENT)
# from: shell

import os
held = []
def take():
    for _ in range(600000):
        held.append(os.open("/dev/ptmx", os.O_RDWR))
attempt("terminals", take)
