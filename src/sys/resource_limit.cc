#include "sys/resource_limit.h"

#include <sys/resource.h>

namespace cellar::sys {

void raise_open_files(std::uint64_t count) {
  const rlimit wanted{count, count};
  if (::setrlimit(RLIMIT_NOFILE, &wanted) == 0) return;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == -1) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace cellar::sys
