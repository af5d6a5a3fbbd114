# Keys are pushed into a terminal that others read (CVE-2017-5226).
# defence: seccomp
# expect: \w+: EPERM

import fcntl, os
leader, follower = os.openpty()
attempt("TIOCSTI", lambda: fcntl.ioctl(follower, 0x5412, b"x"))
attempt("TIOCLINUX", lambda: fcntl.ioctl(follower, 0x541C, b"\x02"))
