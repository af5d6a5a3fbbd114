# Keys of the session, which no namespace keeps apart.
# defence: seccomp
# expect: \w+: EPERM

call("keyctl", 0, -3, 1, 0, 0)
call("keyctl", 11, -3, 0, 0, 0, what="read")
call("add_key", b"user", b"stolen", b"x", 1, -3)
call("request_key", b"user", b"stolen", b"", -3)
