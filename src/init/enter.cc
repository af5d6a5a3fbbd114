#include "init/enter.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "sys/file.h"
#include "sys/landlock.h"

namespace cellar::init {
namespace {

// What root in a cell needs to install packages and switch users; no administration of anything.
constexpr std::array kKept = {CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_FOWNER,           CAP_FSETID,
                              CAP_KILL,    CAP_SETGID,       CAP_SETUID,           CAP_SETPCAP,
                              CAP_SETFCAP, CAP_SYS_CHROOT,   CAP_NET_BIND_SERVICE, CAP_AUDIT_WRITE};

std::uint64_t kept_mask() {
  std::uint64_t mask = 0;
  for (const int capability : kKept) mask |= 1ULL << capability;
  return mask;
}

void drop_capabilities() {
  const std::uint64_t kept = kept_mask();
  for (int capability = 0; capability <= 63; ++capability) {
    if ((kept >> capability & 1) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) break;  // The kernel has none from here on.
    throw_errno("prctl PR_CAPBSET_DROP");
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  for (std::size_t half = 0; half < 2; ++half) {
    const auto bits = static_cast<std::uint32_t>(kept >> (32 * half));
    sets[half] = {bits, bits, 0};
  }
  if (::syscall(SYS_capset, &header, sets.data()) == -1) throw_errno("capset");
}

}  // namespace

CommandFilter read_filter(sys::Fd file) {
  const std::string program = sys::read_all(file.get(), 1 << 20, "the commands' filter");
  CommandFilter filter(program.size() / sizeof(sock_filter));
  std::memcpy(filter.data(), program.data(), filter.size() * sizeof(sock_filter));
  if (filter.empty()) throw Error(ErrorCode::internal, "the commands' filter is empty");
  return filter;
}

void enter_domain(sys::Fd user_namespace) {
  if (::setns(user_namespace.get(), CLONE_NEWUSER) == -1) throw_errno("setns user");
  user_namespace.reset();
  if (::setgroups(0, nullptr) == -1) throw_errno("setgroups");
  if (::setresgid(0, 0, 0) == -1) throw_errno("setresgid");
  if (::setresuid(0, 0, 0) == -1) throw_errno("setresuid");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) throw_errno("prctl PR_SET_NO_NEW_PRIVS");
  drop_capabilities();
  sys::restrict_with_landlock();
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1) throw_errno("prctl PR_SET_DUMPABLE");
}

}  // namespace cellar::init
