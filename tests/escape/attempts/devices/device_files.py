# Devices that lead to the host are opened.
# defence: /dev holds six harmless ones
# expect: \S+: ENOENT
# in-gvisor: /dev/fuse is its own, and only mount(2) makes use of it
# expect-gvisor: \S+: ENOENT|ALLOWED /dev/fuse

for name in ("mem", "kmem", "port", "kmsg", "kvm", "fuse", "net/tun", "vda", "sda", "nvme0n1", "dm-0", "vsock", "userfaultfd",
             "loop-control", "loop0", "console", "tty0", "ttyS0", "vcs", "input/event0", "uinput", "snapshot", "hpet", "rtc0",
             "btrfs-control", "mapper/control", "dri/card0", "nvidia0", "vhost-net", "vhost-vsock", "cpu/0/msr", "autofs"):
    opened(f"/dev/{name}", 2)
