#include "sys/machine_memory.h"

#include "base/error.h"
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

// "avg10=1.25"
std::optional<double> average_in(std::string_view field) {
  constexpr std::string_view kName = "avg10=";
  if (!field.starts_with(kName)) return std::nullopt;
  field.remove_prefix(kName.size());
  const std::size_t dot = field.find('.');
  if (dot == std::string_view::npos || field.size() != dot + 3) return std::nullopt;
  const auto whole = parse_int(field.substr(0, dot));
  const auto hundredths = parse_int(field.substr(dot + 1));
  if (!whole || !hundredths || *whole < 0 || *hundredths < 0) return std::nullopt;
  return static_cast<double>(*whole) + static_cast<double>(*hundredths) / 100;
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

std::optional<MemoryPressure> parse_memory_pressure(std::string_view text) {
  std::optional<double> some;
  std::optional<double> full;
  for (const std::string_view line : split(text, '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() < 2) continue;
    if (fields[0] == "some") some = average_in(fields[1]);
    if (fields[0] == "full") full = average_in(fields[1]);
  }
  if (!some || !full) return std::nullopt;
  return MemoryPressure{*some, *full};
}

std::optional<MemoryPressure> memory_pressure() {
  try {
    return parse_memory_pressure(read_file("/proc/pressure/memory").value_or(""));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::exhausted) throw;
    return std::nullopt;  // It is there, and switched off (EOPNOTSUPP).
  }
}

}  // namespace cellar::sys
