# The file system that /work lies on is shut down, resized, trimmed, its journal emptied.
# defence: no CAP_SYS_ADMIN, no CAP_SYS_RESOURCE
# expect: \w+: (EPERM|ENOTTY)
# in-gvisor: no ioctl of a disk is known

import fcntl, os, struct
work = os.open("/work", os.O_RDONLY)
# Where one is not refused, what is asked for is an error, or nothing.
for what, command, argument in (("shutdown", 0x8004587D, struct.pack("I", 99)), ("resize", 0x40086610, bytes(8)),
                                ("journal", 0x4004662B, struct.pack("I", 4)), ("trim", 0xC0185879, bytes(24))):
    attempt(what, lambda: fcntl.ioctl(work, command, bytearray(argument)))
