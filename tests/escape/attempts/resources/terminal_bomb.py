# Terminals without end.
# defence: the namespace's own devpts, of at most 256
# expect: terminals: (ENOSPC|EMFILE|EAGAIN|EIO|ENOENT)
# from: shell

import os
held = []
def take():
    for _ in range(600000):
        held.append(os.open("/dev/ptmx", os.O_RDWR))
attempt("terminals", take)
