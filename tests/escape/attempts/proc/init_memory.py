# The memory of process 1 is read and written.
# defence: process 1 belongs to the host's user namespace
# expect: \S+: (EACCES|EPERM)
# in-gvisor: there is no clear_refs
# expect-gvisor: \S+: (EACCES|EPERM)|\S+: ENOENT

opened("/proc/1/mem")
opened("/proc/1/mem", 2)
written("/proc/1/clear_refs", b"1")
