# On btrfs: a subvolume that does not count as the cell's, a copy of /work, and one that is frozen.
# defence: seccomp
# expect: \w+: EPERM
# in-gvisor: no ioctl of a disk is known
# expect-gvisor: \w+: (EPERM|ENOTTY)

import fcntl, os, struct
work = os.open("/work", os.O_RDONLY)
for what, command, argument in (("create", 0x5000940e, bytes(8) + b"sub" + bytes(4085)), ("create_v2", 0x50009418, bytes(56) + b"sub" + bytes(4037)),
                                ("snapshot", 0x50009401, struct.pack("q", work) + b"snap" + bytes(4084)),
                                ("snapshot_v2", 0x50009417, struct.pack("q", work) + bytes(48) + b"snap" + bytes(4036)),
                                ("destroy", 0x5000940f, bytes(8) + b"sub" + bytes(4085)), ("freeze", 0x4008941a, struct.pack("Q", 2))):
    attempt(what, lambda: fcntl.ioctl(work, command, bytearray(argument)))
