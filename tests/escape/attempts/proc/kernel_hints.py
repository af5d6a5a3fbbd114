# What tells about the host and others is read.
# defence: masked
# expect: \S+: (empty|ENOENT|EACCES|EPERM)
# in-gvisor: it tells its own command line, which is the same everywhere
# expect-gvisor: \S+: (empty|ENOENT|EACCES|EPERM)|ALLOWED /proc/cmdline

for name in ("keys", "key-users", "timer_list", "cmdline", "config.gz", "interrupts", "sched_debug", "latency_stats"):
    empty(f"/proc/{name}")
