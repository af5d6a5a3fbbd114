# An overlay that has the root as its lower layer (CVE-2023-0386).
# defence: seccomp; mounts belong to the host's user namespace
# expect: mount: EPERM

call("mount", b"overlay", b"/tmp", b"overlay", 0, b"lowerdir=/,upperdir=/tmp/u,workdir=/tmp/w")
