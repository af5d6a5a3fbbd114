# The kernel writes a record of every process of the host to a file of the cell's.
# defence: seccomp; no CAP_SYS_PACCT
# expect: acct: EPERM

call("acct", b"/work/accounts")
