# The ids of the host's root, and of ids that are not the cell's.
# defence: user namespace: they have no name inside
# expect: \w+: (EINVAL|EPERM)
# in-gvisor: ids above the range exist in its own kernel only; the sandbox process has none of them
# expect-gvisor: \w+: (EINVAL|EPERM)|ALLOWED uid65536

import os
for uid in (65536, 100000, 4294967294):
    attempt(f"uid{uid}", lambda: os.setresuid(uid, uid, uid))
