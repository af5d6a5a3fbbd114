# Interrupts are moved, PCI devices configured.
# defence: read-only
# expect: \S+: (EROFS|EACCES|EPERM|ENOENT|EISDIR|EIO)

written("/proc/irq/default_smp_affinity", b"1")
written("/proc/bus/pci/00/00.0", b"x")
written("/proc/fs/ext4/x", b"x")
