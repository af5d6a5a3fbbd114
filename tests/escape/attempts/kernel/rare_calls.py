# Calls that hardly anybody needs, and which had holes.
# defence: seccomp
# expect: \w+: (EPERM|ENOSYS)

call("vhangup")
call("lookup_dcookie", 0, 0, 0)
