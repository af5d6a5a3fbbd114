# Kernel pointers of two processes are compared.
# defence: seccomp
# expect: \w+: EPERM

import os
call("kcmp", os.getpid(), 1, 0, 0, 0)
