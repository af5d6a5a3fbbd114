#include <doctest/doctest.h>
#include <linux/audit.h>
#include <linux/btrfs.h>
#include <linux/falloc.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "sandbox/filter_program.h"

// The compiled policy is executed here, statement by statement, as the kernel would.
namespace cellar::sandbox {
namespace {

constexpr Architecture kArchitectures[] = {Architecture::x86_64, Architecture::aarch64};
constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t kKill = SECCOMP_RET_KILL_PROCESS;

std::uint32_t refused(int error) { return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error); }

// What the filter says, and how many statements it took to say so.
struct Verdict {
  std::uint32_t action = 0;
  std::size_t steps = 0;
};

Verdict execute(const std::vector<sock_filter>& code, const seccomp_data& data) {
  std::uint32_t accumulator = 0;
  std::size_t steps = 0;
  for (std::size_t at = 0; at < code.size(); ++at) {
    const sock_filter& s = code[at];
    ++steps;
    switch (s.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        REQUIRE(s.k + sizeof accumulator <= sizeof data);
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + s.k, sizeof accumulator);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= s.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += accumulator == s.k ? s.jt : s.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        at += accumulator >= s.k ? s.jt : s.jf;
        break;
      case BPF_JMP | BPF_JA:
        at += s.k;
        break;
      case BPF_RET | BPF_K:
        return {s.k, steps};
      default:
        FAIL("a statement of kind ", s.code);
    }
  }
  FAIL("the program runs past its end");
  return {};
}

class Filter {
 public:
  explicit Filter(Architecture architecture, const FilterPolicy& policy = command_filter())
      : architecture_(architecture) {
    const std::string bytes = compile_filter(policy, architecture);
    code_.resize(bytes.size() / sizeof(sock_filter));
    std::memcpy(code_.data(), bytes.data(), bytes.size());
  }

  Verdict verdict(int number, const std::array<std::uint64_t, 6>& arguments = {}) const {
    seccomp_data data{};
    data.nr = number;
    data.arch = architecture_ == Architecture::x86_64 ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64;
    std::copy(arguments.begin(), arguments.end(), data.args);
    return execute(code_, data);
  }
  std::uint32_t operator()(const char* name,
                           const std::array<std::uint64_t, 6>& arguments = {}) const {
    return verdict(number_of(name), arguments).action;
  }
  std::uint32_t from(std::uint32_t architecture) const {
    seccomp_data data{};
    data.arch = architecture;
    return execute(code_, data).action;
  }
  int number_of(const char* name) const {
    const auto token = architecture_ == Architecture::x86_64 ? SCMP_ARCH_X86_64 : SCMP_ARCH_AARCH64;
    const int number = ::seccomp_syscall_resolve_name_arch(token, name);
    REQUIRE(number >= 0);
    return number;
  }
  std::size_t size() const { return code_.size(); }

 private:
  Architecture architecture_;
  std::vector<sock_filter> code_;
};

TEST_CASE("what programs need is allowed, what takes a kernel over is refused by name") {
  for (const Architecture architecture : kArchitectures) {
    CAPTURE(static_cast<int>(architecture));
    const Filter filter(architecture);
    for (const char* name : {"read", "openat", "execve", "mmap", "futex", "ptrace", "chroot",
                             "accept4", "statx", "rseq", "getrandom", "close_range"}) {
      CAPTURE(name);
      CHECK(filter(name) == kAllow);
    }
    for (const char* name : {"mount",
                             "umount2",
                             "pivot_root",
                             "unshare",
                             "setns",
                             "bpf",
                             "keyctl",
                             "add_key",
                             "userfaultfd",
                             "perf_event_open",
                             "open_by_handle_at",
                             "kexec_load",
                             "init_module",
                             "process_vm_readv",
                             "fsopen",
                             "open_tree",
                             "reboot",
                             "swapon",
                             "syslog",
                             "quotactl"}) {
      CAPTURE(name);
      CHECK(filter(name) == refused(EPERM));
    }
    for (const char* name : {"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register",
                             "io_setup", "io_submit", "io_getevents", "io_destroy"}) {
      CAPTURE(name);
      CHECK(filter(name) == refused(ENOSYS));
    }
  }
}

TEST_CASE("in gVisor the attributes of links themselves are not supported, all else is alike") {
  const Filter native(Architecture::x86_64);
  const Filter gvisor(Architecture::x86_64, command_filter(Runtime::gvisor));
  for (const char* name : {"lgetxattr", "llistxattr"}) {
    CHECK(native(name) == kAllow);
    CHECK(gvisor(name) == refused(ENOTSUP));
  }
  for (const char* name : {"getxattr", "read", "mount", "bpf", "clone3"}) {
    CHECK(native(name) == gvisor(name));
  }
}

TEST_CASE("numbers that nobody knows are not there, those of other ABIs kill") {
  for (const Architecture architecture : kArchitectures) {
    const Filter filter(architecture);
    for (const int number : {470, 500, 1023, 0x3fffffff}) {
      CHECK(filter.verdict(number).action == refused(ENOSYS));
    }
    CHECK(filter.from(AUDIT_ARCH_I386) == kKill);
    CHECK(filter.from(AUDIT_ARCH_ARM) == kKill);
    CHECK(filter.from(0) == kKill);
  }
  const Filter x86(Architecture::x86_64);
  CHECK(x86.verdict(0x40000000).action == kKill);                    // x32 read
  CHECK(x86.verdict(static_cast<int>(0xC0000000)).action == kKill);  // and with the sign bit
  CHECK(x86.verdict(-1).action == kKill);
}

TEST_CASE("a process may fork, and make no namespace, in whatever company the flag comes") {
  for (const Architecture architecture : kArchitectures) {
    const Filter filter(architecture);
    CHECK(filter("clone", {0x1200011}) == kAllow);  // fork
    CHECK(filter("clone", {0x3d0f00}) == kAllow);   // a thread
    for (const std::uint64_t flag : {0x80ULL, 0x20000ULL, 0x2000000ULL, 0x4000000ULL, 0x8000000ULL,
                                     0x10000000ULL, 0x20000000ULL, 0x40000000ULL}) {
      CAPTURE(flag);
      CHECK(filter("clone", {flag}) == refused(EPERM));
      CHECK(filter("clone", {flag | 0x11}) == refused(EPERM));
      CHECK(filter("clone", {0x1200011 | flag}) == refused(EPERM));
    }
  }
}

TEST_CASE("the kernel's 32 bits of an ioctl decide, whatever is above them") {
  const Filter filter(own_architecture());
  for (const std::uint64_t high : {0ULL, 1ULL << 32, 0xffffffffULL << 32}) {
    CAPTURE(high);
    CHECK(filter("ioctl", {0, high | 0x5412}) == refused(EPERM));  // TIOCSTI
    CHECK(filter("ioctl", {0, high | 0x541C}) == refused(EPERM));  // TIOCLINUX
    CHECK(filter("ioctl", {0, high | 0x5413}) == kAllow);          // TIOCGWINSZ
    for (const unsigned long command :
         {BTRFS_IOC_SNAP_CREATE, BTRFS_IOC_SNAP_CREATE_V2, BTRFS_IOC_SUBVOL_CREATE,
          BTRFS_IOC_SUBVOL_CREATE_V2, BTRFS_IOC_SNAP_DESTROY, BTRFS_IOC_SNAP_DESTROY_V2,
          BTRFS_IOC_SUBVOL_SETFLAGS}) {
      CHECK(filter("ioctl", {0, high | command}) == refused(EPERM));
    }
    CHECK(filter("ioctl", {0, high | FICLONE}) == kAllow);
    CHECK(filter("ioctl", {0, high | 0x80045430}) == kAllow);  // TIOCGPTN
  }
}

TEST_CASE("locks of files are taken, leases and notices are not") {
  for (const Architecture architecture : kArchitectures) {
    const Filter filter(architecture);
    for (const std::uint64_t high : {0ULL, 1ULL << 32, 0xffffffffULL << 32}) {
      // F_SETLEASE, F_NOTIFY, F_SETDELEG.
      for (const std::uint64_t command : {1024, 1026, 1040}) {
        CHECK(filter("fcntl", {3, high | command}) == refused(EPERM));
      }
      // F_GETFL, F_SETFL, F_SETLKW, F_OFD_SETLK, F_GETLEASE, F_DUPFD_CLOEXEC, F_SETPIPE_SZ,
      // F_ADD_SEALS.
      for (const std::uint64_t command : {3, 4, 7, 37, 1025, 1030, 1031, 1033}) {
        CHECK(filter("fcntl", {3, high | command}) == kAllow);
      }
    }
  }
}

TEST_CASE("a process limits itself, and reads the limits of others") {
  constexpr std::uint64_t kLimits = 0x7f0000000000;  // whose lower half is 0
  for (const Architecture architecture : kArchitectures) {
    const Filter filter(architecture);
    CHECK(filter("prlimit64", {0, 7, kLimits, 0}) == kAllow);
    CHECK(filter("prlimit64", {1ULL << 32, 7, kLimits, 0}) == kAllow);
    CHECK(filter("prlimit64", {1, 7, 0, kLimits}) == kAllow);
    for (const std::uint64_t pid : {1ULL, 77ULL, 0xffffffffULL, 1ULL << 32 | 1}) {
      CHECK(filter("prlimit64", {pid, 7, kLimits, 0}) == refused(EPERM));
      CHECK(filter("prlimit64", {pid, 7, 16, kLimits}) == refused(EPERM));
    }
  }
}

TEST_CASE("room on the disk is taken by writing only, and may be given back") {
  for (const Architecture architecture : kArchitectures) {
    const Filter filter(architecture);
    for (const unsigned long mode :
         {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE, FALLOC_FL_INSERT_RANGE}) {
      CHECK(filter("fallocate", {3, mode}) == refused(EOPNOTSUPP));
    }
    CHECK(filter("fallocate", {3, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE}) == kAllow);
    CHECK(filter("fallocate", {3, FALLOC_FL_COLLAPSE_RANGE}) == kAllow);
    // FS_IOC_RESVSP, FS_IOC_RESVSP64, FS_IOC_ZERO_RANGE; FS_IOC_UNRESVSP64 gives back.
    for (const unsigned long command : {0x40305828UL, 0x4030582aUL, 0x40305839UL}) {
      CHECK(filter("ioctl", {3, command}) == refused(EOPNOTSUPP));
      CHECK(filter("ioctl", {3, 0xffffffffULL << 32 | command}) == refused(EOPNOTSUPP));
    }
    CHECK(filter("ioctl", {3, 0x4030582b}) == kAllow);
  }
}

TEST_CASE("four families of sockets, one netlink, no rare transport") {
  for (const Architecture architecture : kArchitectures) {
    const Filter filter(architecture);
    const std::set<std::uint64_t> allowed = {1, 2, 10, 16};
    for (const char* name : {"socket", "socketpair"}) {
      for (std::uint64_t family = 0; family < 300; ++family) {
        CAPTURE(family);
        const auto expected = allowed.contains(family) ? kAllow : refused(EAFNOSUPPORT);
        CHECK(filter(name, {family, 1, 0}) == expected);
        CHECK(filter(name, {family | 1ULL << 32, 1, 0}) == expected);
      }
      for (std::uint64_t protocol = 1; protocol < 40; ++protocol) {
        CHECK(filter(name, {16, 3, protocol}) == refused(EPROTONOSUPPORT));
      }
    }
    for (const std::uint64_t protocol : {0, 1, 6, 17, 58, 262}) {
      CHECK(filter("socket", {2, 1, protocol}) == kAllow);
    }
    for (const std::uint64_t protocol : {33, 115, 132, 136, 256}) {
      CHECK(filter("socket", {2, 1, protocol}) == refused(EPROTONOSUPPORT));
    }
  }
}

TEST_CASE("no device is made, files and pipes are") {
  const Filter filter(Architecture::x86_64);
  for (const std::uint64_t kind : {0020000, 0060000}) {
    CHECK(filter("mknodat", {0, 0, kind | 0666}) == refused(EPERM));
    CHECK(filter("mknod", {0, kind | 0666}) == refused(EPERM));
  }
  for (const std::uint64_t kind : {0, 0010000, 0100000, 0140000}) {
    CHECK(filter("mknodat", {0, 0, kind | 0666}) == kAllow);
    CHECK(filter("mknod", {0, kind | 0666}) == kAllow);
  }
}

TEST_CASE("64-bit arguments are compared whole, equal or different") {
  FilterPolicy policy;
  policy.allowed = {"read", "write"};
  const std::uint64_t value = 0x0000000700000003;
  policy.refused = {{"read", EPERM, {{1, ~0ULL, value}}},
                    {"write", EPERM, {{2, ~0ULL, value, Compare::different}}}};
  for (const Architecture architecture : kArchitectures) {
    const Filter filter(architecture, policy);
    for (const std::uint64_t given : {value, value + 1, value ^ std::uint64_t{1} << 40,
                                      std::uint64_t{3}, std::uint64_t{7} << 32}) {
      CHECK(filter("read", {0, given}) == (given == value ? refused(EPERM) : kAllow));
      CHECK(filter("write", {0, 0, given}) == (given != value ? refused(EPERM) : kAllow));
    }
    CHECK(filter("openat") == refused(ENOSYS));
  }
}

TEST_CASE("the program is short, and an everyday call takes few statements") {
  for (const Architecture architecture : kArchitectures) {
    const Filter filter(architecture);
    CHECK(filter.size() < 600);
    for (const char* name : {"read", "write", "openat", "mmap", "futex", "epoll_pwait"}) {
      CHECK(filter.verdict(filter.number_of(name)).steps <= 16);
    }
  }
}

TEST_CASE("a name that no kernel knows is a mistake in the policy") {
  FilterPolicy policy;
  policy.allowed = {"raed"};
  CHECK_THROWS_AS(compile_filter(policy, own_architecture()), Error);
}

}  // namespace
}  // namespace cellar::sandbox
