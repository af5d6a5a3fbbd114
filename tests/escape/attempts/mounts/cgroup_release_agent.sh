# A cgroup v1 hierarchy is mounted, to have its release agent run on the host (CVE-2022-0492).
# defence: seccomp; mounts belong to the host's user namespace
# expect: refused

mkdir -p /tmp/groups
for controller in memory rdma pids; do
  mount -t cgroup -o "$controller" none /tmp/groups && echo "ALLOWED $controller" || echo refused
done
