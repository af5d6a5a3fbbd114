# The namespaces of process 1 are opened; its mount namespace is the way to whatever it sees.
# defence: process 1 belongs to the host's user namespace and cannot be looked into
# expect: \S+: (EACCES|EPERM)

for kind in ("mnt", "user", "net", "pid", "cgroup"):
    opened(f"/proc/1/ns/{kind}")
