# A handler for binaries is registered, which the host would use too.
# defence: it is not mounted; /proc/sys is read-only
# expect: \S+: (ENOENT|EROFS|EACCES|EPERM)

written("/proc/sys/fs/binfmt_misc/register", b":x:M::MZ::/work/x:C")
