# The namespaces of process 1 are asked of a descriptor of it, those above and beside of descriptors of one's own.
# defence: process 1 belongs to the host's user namespace; so do the namespaces above
# expect: \S+: (EPERM|EACCES|EINVAL|ENOTTY)
# in-gvisor: there are no such calls
# expect-gvisor: \S+: (ENOSYS|ENOTTY|EPERM|EACCES|EINVAL|ENOENT)

import fcntl, os
def asked(name, opened, number, argument=0):
    def action():
        file = opened()
        try:
            fcntl.ioctl(file, number, argument)
        finally:
            os.close(file)
    attempt(name, action)
for number in range(1, 11):  # PIDFD_GET_CGROUP_NAMESPACE to PIDFD_GET_UTS_NAMESPACE
    asked(f"init:{number}", lambda: os.pidfd_open(1), 0xFF00 | number)
for kind in ("cgroup", "mnt", "net", "pid", "user"):
    for name, number in (("owner", 0xB701), ("parent", 0xB702)):  # NS_GET_USERNS, NS_GET_PARENT
        asked(f"{kind}:{name}", lambda: os.open(f"/proc/self/ns/{kind}", os.O_RDONLY), number)
for name, number in (("next", 0x8010B70B), ("previous", 0x8010B70C)):  # NS_MNT_GET_NEXT, NS_MNT_GET_PREV
    asked(f"mnt:{name}", lambda: os.open("/proc/self/ns/mnt", os.O_RDONLY), number, bytes(16))
