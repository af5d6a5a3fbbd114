# The programs that the kernel starts by itself are set.
# defence: /proc/sys is read-only; user namespace; no /sys
# expect: \S+: (EROFS|EACCES|EPERM|ENOENT)

written("/proc/sys/kernel/modprobe", b"/work/x")
written("/proc/sys/kernel/hotplug", b"/work/x")
written("/sys/kernel/uevent_helper", b"/work/x")
