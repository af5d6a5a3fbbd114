#pragma once

#include <cstdint>
#include <string_view>

namespace cellar::sys {

// Memory of the machine, in bytes.
struct MachineMemory {
  std::uint64_t total = 0;
  std::uint64_t available = 0;  // for new processes with no swapping, as the kernel estimates it
};

// What a /proc/meminfo says; 0 for what it does not say.
MachineMemory parse_meminfo(std::string_view text);

// As it is now. Quick. Throws Error.
MachineMemory machine_memory();

}  // namespace cellar::sys
