# The same by clone.
# defence: seccomp; max_*_namespaces is 0
# expect: \w+: EPERM

for name, flag in dict(mount=0x20000, cgroup=0x2000000, uts=0x4000000, ipc=0x8000000, user=0x10000000, pid=0x20000000,
                       net=0x40000000).items():
    call("clone", flag | 17, 0, 0, 0, 0, what=name)
