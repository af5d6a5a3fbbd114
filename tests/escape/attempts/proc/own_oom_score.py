# One's own process is exempted from being killed for want of memory.
# defence: no CAP_SYS_RESOURCE
# expect: \S+: (EACCES|EPERM)
# in-gvisor: the number is kept and does nothing
# expect-gvisor: \S+: (EACCES|EPERM)|ALLOWED /proc/self/oom_score_adj

written("/proc/self/oom_score_adj", b"-1000")
