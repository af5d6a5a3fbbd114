# A namespace is joined by a descriptor.
# defence: seccomp
# expect: setns: EPERM

import os
call("setns", os.open("/proc/self/ns/net", os.O_RDONLY), 0)
