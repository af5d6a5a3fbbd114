#include "sys/resource_limit.h"

#include <sys/resource.h>

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

void limit_processes(std::uint64_t count) {
  const rlimit limit{count, count};
  if (::setrlimit(RLIMIT_NPROC, &limit) == -1) throw_errno("setrlimit", "RLIMIT_NPROC");
}

}  // namespace cellar::sys
