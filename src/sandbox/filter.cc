#include "sandbox/filter.h"

#include <cerrno>

namespace cellar::sandbox {
namespace {

constexpr const char* kForbidden[] = {
    // Namespaces, mounts, file handles: ways out of the tree.
    "mount", "umount", "umount2", "pivot_root", "setns", "unshare", "open_tree", "move_mount",
    "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "name_to_handle_at",
    "open_by_handle_at", "quotactl", "quotactl_fd", "fanotify_init",
    // The kernel itself.
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
    "bpf", "perf_event_open", "userfaultfd", "lookup_dcookie", "syslog", "acct", "swapon",
    "swapoff", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "iopl", "ioperm",
    "modify_ldt", "nfsservctl", "vhangup", "sysfs", "uselib", "ustat", "sethostname",
    "setdomainname",
    // Keyrings are not part of any namespace.
    "add_key", "request_key", "keyctl",
    // Other processes' memory and descriptors. ptrace stays: debuggers are honest tools.
    "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp", "move_pages",
    "migrate_pages", "mbind", "set_mempolicy", "set_mempolicy_home_node"};

// Programs probe for these and do without.
constexpr const char* kMissing[] = {"clone3", "io_uring_setup", "io_uring_enter",
                                    "io_uring_register"};

// CLONE_NEW…: time, mount, cgroup, uts, ipc, user, pid, network.
constexpr std::uint64_t kNamespaceFlags[] = {0x80,      0x20000,    0x2000000,  0x4000000,
                                             0x8000000, 0x10000000, 0x20000000, 0x40000000};
constexpr std::uint64_t kTiocsti = 0x5412;
constexpr std::uint64_t kTioclinux = 0x541C;
constexpr std::uint64_t kLow32 = 0xffffffff;  // The kernel looks at 32 bits of ioctl's command.

// AF_UNIX 1, AF_INET 2, AF_INET6 10 and AF_NETLINK 16 stay; netlink only as NETLINK_ROUTE 0.
constexpr std::uint64_t kFamilyMax = 64;
bool is_allowed_family(std::uint64_t family) {
  return family == 1 || family == 2 || family == 10 || family == 16;
}

}  // namespace

std::vector<sys::RefusedCall> refused_calls() {
  std::vector<sys::RefusedCall> calls;
  for (const char* name : kForbidden) calls.push_back({name, EPERM, {}});
  for (const char* name : kMissing) calls.push_back({name, ENOSYS, {}});
  for (const std::uint64_t flag : kNamespaceFlags) {
    calls.push_back({"clone", EPERM, {{0, flag, flag}}});
  }
  calls.push_back({"ioctl", EPERM, {{1, kLow32, kTiocsti}}});
  calls.push_back({"ioctl", EPERM, {{1, kLow32, kTioclinux}}});
  for (const char* name : {"socket", "socketpair"}) {
    for (std::uint64_t family = 0; family < kFamilyMax; ++family) {
      if (is_allowed_family(family)) continue;
      calls.push_back({name, EAFNOSUPPORT, {{0, kLow32, family}}});
    }
    for (std::uint64_t protocol = 1; protocol < 32; ++protocol) {
      calls.push_back({name, EPROTONOSUPPORT, {{0, kLow32, 16}, {2, kLow32, protocol}}});
    }
  }
  return calls;
}

}  // namespace cellar::sandbox
