# Limits of the process are raised above what it was given.
# defence: no CAP_SYS_RESOURCE
# expect: \w+: (EPERM|refused)

import resource
for name in ("NOFILE", "NPROC", "CORE"):
    kind = getattr(resource, f"RLIMIT_{name}")
    hard = resource.getrlimit(kind)[1]
    try:
        if hard == resource.RLIM_INFINITY:
            report(name, "refused")  # There is no more; the cgroup counts.
        else:
            resource.setrlimit(kind, (hard + 1, hard + 1))
            report(name, None)
    except (ValueError, PermissionError, OSError):
        report(name, "refused")
