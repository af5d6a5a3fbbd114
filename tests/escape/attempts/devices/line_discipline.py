# A line discipline loads a kernel module.
# defence: seccomp
# expect: \w+: EPERM

import fcntl, os, struct
leader, follower = os.openpty()
attempt("TIOCSETD", lambda: fcntl.ioctl(follower, 0x5423, struct.pack("i", 21)))
