#include "sys/machine_memory.h"

#include "base/text.h"
#include "sys/file.h"

namespace cellar::sys {
namespace {

// "MemTotal:       24574008 kB"
std::uint64_t bytes_in(std::string_view line, std::string_view name) {
  if (!line.starts_with(name)) return 0;
  std::string_view rest = trim(line.substr(name.size()));
  rest = rest.substr(0, rest.find(' '));
  return static_cast<std::uint64_t>(parse_int(rest).value_or(0)) * 1024;
}

}  // namespace

MachineMemory parse_meminfo(std::string_view text) {
  MachineMemory memory;
  for (const std::string_view line : split(text, '\n')) {
    if (memory.total == 0) memory.total = bytes_in(line, "MemTotal:");
    if (memory.available == 0) memory.available = bytes_in(line, "MemAvailable:");
  }
  return memory;
}

MachineMemory machine_memory() { return parse_meminfo(read_file("/proc/meminfo").value_or("")); }

}  // namespace cellar::sys
