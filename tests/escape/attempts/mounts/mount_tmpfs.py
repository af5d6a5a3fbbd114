# A new file system is mounted.
# defence: seccomp; mounts belong to the host's user namespace; Landlock
# expect: mount: EPERM

call("mount", b"none", b"/tmp", b"tmpfs", 0, 0)
