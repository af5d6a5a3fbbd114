# Hardware and kernel objects in /sys.
# defence: it is not mounted
# expect: \S+: (empty|absent)

import os
report("/sys", "absent" if not os.path.isdir("/sys") else "empty" if not os.listdir("/sys") else None)
