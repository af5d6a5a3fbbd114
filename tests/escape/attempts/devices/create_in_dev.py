# A name is added to /dev.
# defence: /dev is read-only
# expect: \S+: (EROFS|EACCES)

import os
attempt("/dev/mine", lambda: os.close(os.open("/dev/mine", os.O_CREAT | os.O_WRONLY)))
attempt("/dev/link", lambda: os.symlink("/etc/passwd", "/dev/link"))
