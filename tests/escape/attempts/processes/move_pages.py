# Pages of other processes are moved between memory nodes.
# defence: seccomp
# expect: \w+: EPERM

for name in ("move_pages", "migrate_pages", "mbind", "set_mempolicy"):
    call(name, 1, 0, 0, 0, 0, 0)
