# Hardware and kernel objects in /sys.
# defence: it is not mounted
# expect: \S+: (empty|absent)
# in-gvisor: /sys is made up by its kernel
# expect-gvisor: \S+: (empty|absent)|ALLOWED /sys

import os
report("/sys", "absent" if not os.path.isdir("/sys") else "empty" if not os.listdir("/sys") else None)
