#include "sys/resource_limit.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "base/error.h"

namespace cellar::sys {

void raise_open_files(std::uint64_t count) {
  const rlimit wanted{count, count};
  if (::setrlimit(RLIMIT_NOFILE, &wanted) == 0) return;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == -1) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void keep_to_disk_quotas() {
  constexpr std::uint32_t kRight = 1U << CAP_SYS_RESOURCE;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) == -1) throw_errno("capget");
  sets[0].effective &= ~kRight;
  sets[0].permitted &= ~kRight;
  if (::syscall(SYS_capset, &header, sets.data()) == -1) throw_errno("capset");
}

void limit_processes(std::uint64_t count) {
  const rlimit limit{count, count};
  if (::setrlimit(RLIMIT_NPROC, &limit) == -1) throw_errno("setrlimit", "RLIMIT_NPROC");
}

}  // namespace cellar::sys
