# Process 1 is signalled, and its descriptors are taken, by a descriptor of it.
# defence: seccomp; process 1 belongs to the host's user namespace
# expect: \w+: (EPERM|runs|EBADF|EINVAL)
# in-gvisor: there is no such call
# expect-gvisor: pidfd_open: ENOSYS

import errno, os, signal
try:
    init = os.pidfd_open(1)
except OSError as error:
    report("pidfd_open", errno.errorcode[error.errno])
    raise SystemExit
call("pidfd_getfd", init, 3, 0)
try:
    signal.pidfd_send_signal(init, signal.SIGKILL)
    report("signal", "runs" if os.path.exists("/proc/1") else None)
except PermissionError:
    report("signal", "EPERM")
