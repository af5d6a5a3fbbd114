# Tracing, debugging, BPF and security file systems.
# defence: /sys is not mounted
# expect: \S+: absent

absent("/sys/kernel/debug", "/sys/kernel/tracing", "/sys/fs/bpf", "/sys/kernel/security", "/sys/firmware", "/sys/fs/selinux")
