# Descriptors without end.
# defence: RLIMIT_NOFILE
# expect: descriptors: EMFILE

import os
held = []
def take():
    for _ in range(3_000_000):
        held.append(os.open("/dev/null", os.O_RDONLY))
attempt("descriptors", take)
