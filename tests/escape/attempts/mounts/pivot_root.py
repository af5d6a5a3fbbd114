# Another folder becomes the root.
# defence: seccomp; mounts belong to the host's user namespace; Landlock
# expect: pivot_root: EPERM

call("pivot_root", b"/work", b"/work")
