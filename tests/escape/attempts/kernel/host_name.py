# The name of the host is changed.
# defence: seccomp; no CAP_SYS_ADMIN
# expect: \w+: EPERM

call("sethostname", b"stolen", 6)
call("setdomainname", b"stolen", 6)
