# What tells about the host and others is read.
# defence: masked
# expect: \S+: (empty|ENOENT|EACCES|EPERM)

for name in ("keys", "key-users", "timer_list", "cmdline", "config.gz", "interrupts", "sched_debug", "latency_stats"):
    empty(f"/proc/{name}")
