# The same by the calls of Linux 5.2 and later, which older filters do not know.
# defence: seccomp; mounts belong to the host's user namespace
# expect: \w+: EPERM

call("fsopen", b"tmpfs", 0)
call("fsconfig", 0, 6, 0, 0, 0)
call("fsmount", 0, 0, 0)
call("fspick", -100, b"/", 0)
call("open_tree", -100, b"/", 1)
call("move_mount", -100, b"/work", -100, b"/tmp", 0)
call("mount_setattr", -100, b"/proc/sys", 0, 0, 0)
