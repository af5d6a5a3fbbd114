# A file of the cell is given to ids that are not the cell's.
# defence: user namespace: they have no name inside
# expect: \w+: (EINVAL|EPERM|EOVERFLOW)
# in-gvisor: /tmp is its own memory; where a file is on disk, the gofer's ids are those of the range
# expect-gvisor: \w+: (EINVAL|EPERM|EOVERFLOW)|ALLOWED uid\d+

import os
path = f"/tmp/given{os.getpid()}"
open(path, "w").close()
for uid in (65536, 1000000, 4294967294):
    attempt(f"uid{uid}", lambda: os.chown(path, uid, uid))
