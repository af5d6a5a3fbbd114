#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cellar::sys {

// One argument of a system call compared: (argument & mask) == value.
struct ArgumentMatch {
  unsigned index = 0;
  std::uint64_t mask = ~0ULL;
  std::uint64_t value = 0;
};

// A system call that is answered with an errno: always, or when all of `when` match.
struct RefusedCall {
  std::string name;
  int error = 0;
  std::vector<ArgumentMatch> when;
};

// A system call filter as the kernel takes it: struct sock_filter, one by one. Everything that is
// not refused is allowed; a program of another architecture's calls (also x32) is killed. Names
// that this machine does not have are passed over. Throws Error.
std::string compile_filter(const std::vector<RefusedCall>& refused);

}  // namespace cellar::sys
