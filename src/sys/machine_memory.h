#pragma once

#include <cstdint>
#include <optional>
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

// The part of the last ten seconds in which work stood still for want of memory, in percent: some
// of it, or all of it. docs.kernel.org/accounting/psi.html
struct MemoryPressure {
  double some = 0;
  double full = 0;
};

// What a /proc/pressure/memory says; nullopt for what is none.
std::optional<MemoryPressure> parse_memory_pressure(std::string_view text);

// As it is now; nullopt where the kernel does not measure it. Quick. Throws Error.
std::optional<MemoryPressure> memory_pressure();

}  // namespace cellar::sys
