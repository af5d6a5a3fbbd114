# The namespaces of process 1 are opened; its mount namespace is the way to whatever it sees.
# defence: process 1 belongs to the host's user namespace and cannot be looked into
# expect: \S+: (EACCES|EPERM)
# in-gvisor: names of its own kernel; setns is refused by seccomp
# expect-gvisor: \S+: (EACCES|EPERM)|ALLOWED /proc/1/ns/\w+|\S+: ENOENT

for kind in ("mnt", "user", "net", "pid", "cgroup"):
    opened(f"/proc/1/ns/{kind}")
