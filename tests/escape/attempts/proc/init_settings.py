# Process 1 is made the first to be killed for want of memory, and moved about.
# defence: process 1 belongs to the host's user namespace
# expect: \S+: (EACCES|EPERM|ENOENT|EINVAL)
# in-gvisor: the number is kept and does nothing
# expect-gvisor: \S+: (EACCES|EPERM|ENOENT|EINVAL)|ALLOWED /proc/1/oom_score_adj

written("/proc/1/oom_score_adj", b"1000")
written("/proc/1/attr/current", b"x")
written("/proc/1/sched", b"0")
