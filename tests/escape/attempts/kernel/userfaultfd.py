# Page faults are answered slowly, to win races in the kernel.
# defence: seccomp
# expect: userfaultfd: EPERM

call("userfaultfd", 0)
call("userfaultfd", 1)
