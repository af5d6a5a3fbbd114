#pragma once

#include <cstdint>
#include <string>

#include "sandbox/filter.h"

namespace cellar::sandbox {

enum class Architecture : std::uint8_t { x86_64, aarch64 };

// The architecture that this program is built for.
Architecture own_architecture() noexcept;

// The policy as the kernel takes it: struct sock_filter, one by one. Calls of another architecture,
// x32 included, kill the process. Names that `architecture` does not have are passed over. The
// number of a call is found by bisection, in some 8 comparisons. Throws Error `internal` for a name
// that no architecture has, or a program above the kernel's limit.
std::string compile_filter(const FilterPolicy& policy, Architecture architecture);

}  // namespace cellar::sandbox
