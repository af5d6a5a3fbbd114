# A program of the system is replaced for everybody by a bind mount.
# defence: seccomp; mounts belong to the host's user namespace; Landlock
# expect: mount: EPERM

call("mount", b"/bin/sh", b"/usr/bin/id", b"", 4096, 0)
