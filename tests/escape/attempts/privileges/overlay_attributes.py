# Attributes by which an overlay shows files of other layers.
# defence: no CAP_SYS_ADMIN in the host's user namespace
# as: root
# expect: \S+: (EPERM|ENOTSUP|EACCES|EROFS)

import os
for folder in ("/work", "/tmp"):
    path = f"{folder}/attributes{os.getpid()}"
    open(path, "w").close()
    for name in ("trusted.overlay.redirect", "trusted.overlay.opaque", "security.ima"):
        attempt(f"{folder}:{name}", lambda: os.setxattr(path, name, b"/etc"))
    os.unlink(path)
