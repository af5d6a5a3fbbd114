#include "sandbox/filter.h"

#include <cerrno>

#include "base/text.h"

namespace cellar::sandbox {
namespace {

constexpr std::string_view kAllowed =
    // Files and folders.
    "access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat "
    "faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl "
    "fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate "
    "futimesat getcwd getdents getdents64 getxattr inotify_add_watch inotify_init inotify_init1 "
    "inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr llistxattr lremovexattr lseek "
    "lsetxattr lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2 pread64 preadv "
    "preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr rename "
    "renameat renameat2 rmdir sendfile setxattr splice stat statfs statx symlink symlinkat sync "
    "sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice "
    "write writev cachestat chroot "
    // Waiting for several things at once.
    "epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 "
    "pipe pipe2 poll ppoll pselect6 select signalfd signalfd4 timerfd_create timerfd_gettime "
    "timerfd_settime "
    // Memory.
    "brk madvise map_shadow_stack membarrier memfd_create mincore mlock mlock2 mlockall mmap "
    "mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect "
    "remap_file_pages get_mempolicy shmat shmctl shmdt shmget "
    // Processes, threads, signals.
    "alarm arch_prctl capget capset clone execve execveat exit exit_group fork futex futex_requeue "
    "futex_wait futex_waitv futex_wake get_robust_list get_thread_area getcpu getegid geteuid "
    "getgid getgroups getitimer getpgid getpgrp getpid getppid getpriority getresgid getresuid "
    "getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self pause personality pidfd_open "
    "pidfd_send_signal prctl prlimit64 ptrace restart_syscall rseq rt_sigaction rt_sigpending "
    "rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo "
    "sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam "
    "sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam "
    "sched_setscheduler sched_yield seccomp set_robust_list set_thread_area set_tid_address "
    "setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid "
    "setreuid setrlimit setsid setuid sigaltstack tgkill tkill vfork wait4 waitid "
    // Other programs in the cell.
    "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv "
    "msgsnd semctl semget semop semtimedop "
    // The network.
    "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg "
    "recvmsg sendmmsg sendmsg sendto setsockopt shutdown socket socketpair "
    // Time, chance, the machine.
    "clock_getres clock_gettime clock_nanosleep getrandom gettimeofday nanosleep sysinfo time "
    "timer_create timer_delete timer_getoverrun timer_gettime timer_settime times uname";

// Refused with EPERM: a program that asks for these is told so.
constexpr std::string_view kForbidden =
    // Namespaces, mounts, file handles: ways out of the tree.
    "mount umount2 pivot_root setns unshare open_tree open_tree_attr move_mount fsopen fsconfig "
    "fsmount fspick mount_setattr name_to_handle_at open_by_handle_at quotactl quotactl_fd "
    "fanotify_init fanotify_mark statmount listmount "
    // The kernel itself.
    "init_module finit_module delete_module create_module kexec_load kexec_file_load reboot bpf "
    "perf_event_open userfaultfd lookup_dcookie syslog acct swapon swapoff settimeofday "
    "clock_settime clock_adjtime adjtimex iopl ioperm modify_ldt nfsservctl vhangup sysfs uselib "
    "ustat sethostname setdomainname _sysctl "
    // Keyrings are not part of any namespace.
    "add_key request_key keyctl "
    // Other processes' memory and descriptors. ptrace stays: debuggers are honest tools.
    "process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_getfd kcmp "
    "move_pages migrate_pages mbind set_mempolicy set_mempolicy_home_node";

// CLONE_NEW…: time, mount, cgroup, uts, ipc, user, pid, network.
constexpr std::uint64_t kNamespaceFlags[] = {0x80,      0x20000,    0x2000000,  0x4000000,
                                             0x8000000, 0x10000000, 0x20000000, 0x40000000};
constexpr std::uint64_t kLow32 = 0xffffffff;  // Where the kernel looks at 32 bits of an argument.

// TIOCSTI types into a terminal for others, TIOCLINUX pastes, TIOCSETD loads a line discipline.
constexpr std::uint64_t kTerminalTricks[] = {0x5412, 0x541C, 0x5423};

// A subvolume of btrfs made in a cell would not count as the cell's, and one that is made read-only
// or deleted would not be as the daemon left it: SNAP_CREATE, SUBVOL_CREATE, SNAP_DESTROY, each in
// both versions, SUBVOL_SETFLAGS. Copies that share blocks (FICLONE) stay.
constexpr std::uint64_t kSubvolumes[] = {0x50009401, 0x50009417, 0x5000940e, 0x50009418,
                                         0x5000940f, 0x5000943f, 0x4008941a};

// Who has a lease on a file, or a delegation of a folder, lets whoever else opens or changes it
// wait for most of a minute, in other cells, too, where they share it: F_SETLEASE, F_SETDELEG. What
// F_NOTIFY takes nobody counts.
constexpr std::uint64_t kFileTraps[] = {1024, 1040, 1026};

// A call that makes room without writing fills a disk at once, before anybody has counted it.
// libc's posix_fallocate() writes then instead. What gives room back stays: PUNCH_HOLE,
// COLLAPSE_RANGE.
constexpr std::uint64_t kGivesBack = 0x2 | 0x8;
// The same by ioctl, on any file system: FS_IOC_RESVSP, FS_IOC_RESVSP64, FS_IOC_ZERO_RANGE.
constexpr std::uint64_t kReserves[] = {0x40305828, 0x4030582a, 0x40305839};

constexpr std::uint64_t kUnix = 1, kInet = 2, kInet6 = 10, kNetlink = 16, kNetlinkRoute = 0;
// DCCP, L2TP, SCTP, UDP-Lite, SMC: modules that nobody needs here.
constexpr std::uint64_t kRareTransports[] = {33, 115, 132, 136, 256};

constexpr std::uint64_t kFileKind = 0170000, kCharacterDevice = 0020000, kBlockDevice = 0060000;

void refuse_sockets(std::vector<RefusedCall>& refused) {
  std::vector<ArgumentMatch> other_families;
  for (const std::uint64_t family : {kUnix, kInet, kInet6, kNetlink}) {
    other_families.push_back({0, kLow32, family, Compare::different});
  }
  for (const char* name : {"socket", "socketpair"}) {
    refused.push_back({name, EAFNOSUPPORT, other_families});
    refused.push_back({name,
                       EPROTONOSUPPORT,
                       {{0, kLow32, kNetlink}, {2, kLow32, kNetlinkRoute, Compare::different}}});
    for (const std::uint64_t protocol : kRareTransports) {
      refused.push_back({name, EPROTONOSUPPORT, {{2, kLow32, protocol}}});
    }
  }
}

}  // namespace

FilterPolicy command_filter(Runtime runtime) {
  FilterPolicy policy;
  policy.allowed = split(kAllowed, ' ');
  std::vector<RefusedCall>& refused = policy.refused;
  for (const std::string_view name : split(kForbidden, ' ')) refused.push_back({name, EPERM, {}});
  for (const std::uint64_t flag : kNamespaceFlags) {
    refused.push_back({"clone", EPERM, {{0, flag, flag}}});
  }
  for (const std::uint64_t command : kTerminalTricks) {
    refused.push_back({"ioctl", EPERM, {{1, kLow32, command}}});
  }
  for (const std::uint64_t command : kSubvolumes) {
    refused.push_back({"ioctl", EPERM, {{1, kLow32, command}}});
  }
  for (const std::uint64_t command : kFileTraps) {
    refused.push_back({"fcntl", EPERM, {{1, kLow32, command}}});
  }
  // A cell's root could end cell-init by a limit of processor time. Libraries name themselves by 0.
  refused.push_back({"prlimit64",
                     EPERM,
                     {{0, kLow32, 0, Compare::different}, {2, ~0ULL, 0, Compare::different}}});
  refused.push_back({"fallocate", EOPNOTSUPP, {{1, kGivesBack, 0}}});
  for (const std::uint64_t command : kReserves) {
    refused.push_back({"ioctl", EOPNOTSUPP, {{1, kLow32, command}}});
  }
  for (const std::uint64_t kind : {kCharacterDevice, kBlockDevice}) {
    refused.push_back({"mknod", EPERM, {{1, kFileKind, kind}}});
    refused.push_back({"mknodat", EPERM, {{2, kFileKind, kind}}});
  }
  refuse_sockets(refused);
  if (runtime == Runtime::gvisor) {
    for (const char* name : {"lgetxattr", "llistxattr"}) refused.push_back({name, ENOTSUP, {}});
  }
  return policy;
}

}  // namespace cellar::sandbox
