# A second /proc, without the masks of the first one.
# defence: seccomp; mounts belong to the host's user namespace
# expect: mount: EPERM

call("mount", b"proc", b"/tmp", b"proc", 0, 0)
