"""What attempts are made of. Each prints one line for each thing it tried: what it was, and the refusal; or
ALLOWED and what, where nothing refused it."""
import ctypes
import errno
import os
import platform
import signal
import socket

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

# Calls with the same number on every architecture.
COMMON = dict(io_uring_setup=425, io_uring_enter=426, io_uring_register=427, open_tree=428, move_mount=429, fsopen=430,
              fsconfig=431, fsmount=432, fspick=433, clone3=435, pidfd_open=434, pidfd_send_signal=424, pidfd_getfd=438,
              process_madvise=440, mount_setattr=442, quotactl_fd=443)
X86_64 = dict(ptrace=101, syslog=103, personality=135, vhangup=153, modify_ldt=154, pivot_root=155, adjtimex=159, acct=163,
              settimeofday=164, mount=165, umount2=166, swapon=167, swapoff=168, reboot=169, sethostname=170,
              setdomainname=171, iopl=172, ioperm=173, init_module=175, delete_module=176, quotactl=179, lookup_dcookie=212,
              io_setup=206, clock_settime=227, mbind=237, set_mempolicy=238, kexec_load=246, add_key=248, request_key=249, keyctl=250,
              migrate_pages=256, unshare=272, move_pages=279, perf_event_open=298, fanotify_init=300,
              name_to_handle_at=303, open_by_handle_at=304, setns=308, process_vm_readv=310, process_vm_writev=311,
              kcmp=312, finit_module=313, kexec_file_load=320, bpf=321, userfaultfd=323, clone=56)
AARCH64 = dict(io_setup=0, ptrace=117, syslog=116, personality=92, vhangup=58, pivot_root=41, adjtimex=171, acct=89, settimeofday=170,
               mount=40, umount2=39, swapon=224, swapoff=225, reboot=142, sethostname=161, setdomainname=162,
               init_module=105, delete_module=106, quotactl=60, lookup_dcookie=18, clock_settime=112, mbind=235,
               set_mempolicy=237, kexec_load=104, add_key=217, request_key=218, keyctl=219, migrate_pages=238,
               unshare=97, move_pages=239, perf_event_open=241, fanotify_init=262, name_to_handle_at=264,
               open_by_handle_at=265, setns=268, process_vm_readv=270, process_vm_writev=271, kcmp=272,
               finit_module=273, kexec_file_load=294, bpf=280, userfaultfd=282, clone=220)
NUMBERS = {**COMMON, **(X86_64 if platform.machine() == "x86_64" else AARCH64)}


def report(what, result):
    """`result`: the name of an errno or signal, or None where it was allowed."""
    print(f"{what}: {result}" if result else f"ALLOWED {what}", flush=True)


def call(name, *arguments, what=None):
    """A system call, past every library."""
    if name not in NUMBERS:
        return report(what or name, "ENOSYS")  # The architecture has none.
    given = [ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(NUMBERS[name]), *given)
    report(what or name, errno.errorcode[ctypes.get_errno()] if result == -1 else None)


def attempt(what, action):
    """Anything that fails with an OSError."""
    try:
        action()
    except OSError as error:
        report(what, errno.errorcode.get(error.errno, str(error)))
    else:
        report(what, None)


def opened(path, flags=os.O_RDONLY):
    def action():
        os.close(os.open(path, flags))
    attempt(path, action)


def written(path, data=b"x"):
    def action():
        file = os.open(path, os.O_WRONLY)
        try:
            os.write(file, data)
        finally:
            os.close(file)
    attempt(path, action)


def empty(path):
    """A file that is masked: it can be read, and says nothing."""
    try:
        with open(path, "rb") as file:
            report(path, "empty" if not file.read(100) else None)
    except OSError as error:
        report(path, errno.errorcode[error.errno])


def absent(*paths):
    for path in paths:
        report(path, "absent" if not os.path.lexists(path) else None)


NO_MEMORY = 77


def in_child(what, action):
    """`action` in a process of its own: what may end it."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except MemoryError:  # It was told that there is no more, and got none.
            os._exit(NO_MEMORY)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        report(what, signal.Signals(os.WTERMSIG(status)).name)
    else:
        code = os.WEXITSTATUS(status)
        report(what, "MemoryError" if code == NO_MEMORY else f"exit {code}" if code != 0 else None)


def connected(address, port, family=socket.AF_INET, seconds=5):
    """A connection on which something answers: anything but the daemon's own refusals."""
    def action():
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(seconds)
            client.connect((address, port))
            said = client.recv(4096)
            if not said:
                raise OSError(errno.ECONNRESET, "closed")
            if said.startswith(b"\x15\x03") or b"allow-list" in said or b"stands for no name" in said:
                raise OSError("told off")
    attempt(f"{address}:{port}", action)
