# One's own process is exempted from being killed for want of memory.
# defence: no CAP_SYS_RESOURCE
# expect: \S+: (EACCES|EPERM)

written("/proc/self/oom_score_adj", b"-1000")
