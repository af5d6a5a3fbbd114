# The kernel's memory and addresses are read.
# defence: masked
# expect: \S+: (empty|ENOENT|EACCES|EPERM)

for name in ("kcore", "kallsyms", "vmcore", "iomem", "ioports", "vmallocinfo", "slabinfo", "modules", "kmsg"):
    empty(f"/proc/{name}")
