# Programs that are running, of the image, are written to.
# defence: /usr is read-only for agents, a layer of the cell's own for commands
# expect: \S+: (ETXTBSY|EROFS|EACCES|EPERM)

import os
written("/proc/self/exe")
written("/proc/1/exe")
