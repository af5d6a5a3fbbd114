# Programs that are running, of the image, are written to.
# defence: /usr is read-only for agents, a layer of the cell's own for commands
# expect: \S+: (ETXTBSY|EROFS|EACCES|EPERM)
# in-gvisor: the program lies in the cell's own layer, and no other cell has it
# expect-gvisor: \S+: (ETXTBSY|EROFS|EACCES|EPERM)|ALLOWED /proc/self/exe

import os
written("/proc/self/exe")
written("/proc/1/exe")
