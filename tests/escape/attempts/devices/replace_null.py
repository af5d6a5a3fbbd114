# /dev/null becomes a link, so that a runtime mounts something else over what it means to mask (CVE-2025-31133).
# defence: /dev is read-only; masks are mounted by descriptor
# expect: \S+: (EROFS|EBUSY|EACCES|EPERM|EEXIST)
# in-gvisor: /dev is its own memory, gone with the domain
# expect-gvisor: \S+: (EROFS|EBUSY|EACCES|EPERM|EEXIST)|ALLOWED (exchange|unlink)|\S+: ENOENT

import os
attempt("unlink", lambda: os.unlink("/dev/null"))
attempt("rename", lambda: os.rename("/dev/null", "/dev/old"))
attempt("exchange", lambda: os.symlink("/proc/sys/kernel/core_pattern", "/dev/null"))
