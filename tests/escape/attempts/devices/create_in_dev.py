# A name is added to /dev.
# defence: /dev is read-only
# expect: \S+: (EROFS|EACCES)
# in-gvisor: /dev is its own memory, gone with the domain
# expect-gvisor: \S+: (EROFS|EACCES)|ALLOWED /dev/(link|mine)|\S+: EEXIST

import os
attempt("/dev/mine", lambda: os.close(os.open("/dev/mine", os.O_CREAT | os.O_WRONLY)))
attempt("/dev/link", lambda: os.symlink("/etc/passwd", "/dev/link"))
