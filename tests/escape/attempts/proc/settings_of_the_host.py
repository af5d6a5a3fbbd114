# Settings of the whole machine are changed.
# defence: /proc/sys is read-only; user namespace
# expect: \S+: (EROFS|EACCES|EPERM|ENOENT)
# in-gvisor: settings of its own kernel
# expect-gvisor: \S+: (EROFS|EACCES|EPERM|ENOENT)|ALLOWED /proc/sys/kernel/yama/ptrace_scope|\S+: (EIO|ENOENT)

for name in ("kernel/panic", "kernel/randomize_va_space", "kernel/yama/ptrace_scope", "vm/drop_caches", "vm/overcommit_memory",
             "fs/protected_symlinks", "net/ipv4/ip_forward", "kernel/unprivileged_bpf_disabled", "kernel/ns_last_pid"):
    written(f"/proc/sys/{name}", b"1")
