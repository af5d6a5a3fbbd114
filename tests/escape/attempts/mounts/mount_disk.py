# The host's disk is mounted.
# defence: no block devices in /dev; seccomp
# expect: mount: EPERM

for disk in (b"/dev/vda", b"/dev/sda1", b"/dev/nvme0n1"):
    call("mount", disk, b"/tmp", b"ext4", 0, 0)
