# Tracing, debugging, BPF and security file systems.
# defence: /sys is not mounted
# expect: \S+: absent
# in-gvisor: /sys is made up by its kernel, /sys/firmware an empty folder
# expect-gvisor: \S+: absent|ALLOWED /sys/firmware

absent("/sys/kernel/debug", "/sys/kernel/tracing", "/sys/fs/bpf", "/sys/kernel/security", "/sys/firmware", "/sys/fs/selinux")
