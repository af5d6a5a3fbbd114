#include "sys/touched.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "sys/file.h"

namespace cellar::sys {
namespace {

struct Mapping {
  MemoryRange range;
  std::uint64_t in_memory_kb = 0;
  std::uint64_t in_swap_kb = 0;
  std::uint64_t touched_kb = 0;

  double touched_share() const {
    return static_cast<double>(touched_kb) /
           static_cast<double>(std::max<std::uint64_t>(in_memory_kb, 1));
  }
};

// "Referenced:           12 kB", of that name; nullopt for another line.
std::optional<std::uint64_t> kilobytes(std::string_view line, std::string_view name) {
  if (!line.starts_with(name)) return std::nullopt;
  std::string_view rest = trim(line.substr(name.size()));
  return parse_int(rest.substr(0, rest.find(' ')));
}

void read_line(Mapping& mapping, std::string_view line) {
  if (const auto size = kilobytes(line, "Rss:")) mapping.in_memory_kb = *size;
  if (const auto size = kilobytes(line, "Referenced:")) mapping.touched_kb = *size;
  if (const auto size = kilobytes(line, "Swap:")) mapping.in_swap_kb = *size;
}

std::vector<Mapping> movable_mappings(std::string_view smaps) {
  std::vector<Mapping> mappings;
  bool is_movable = false;
  for (const std::string_view line : split(smaps, '\n')) {
    const bool is_field = line.empty() || (line[0] >= 'A' && line[0] <= 'Z');
    if (is_field && is_movable) read_line(mappings.back(), line);
    if (is_field) continue;
    const std::vector<MemoryRange> found = movable_ranges(line);
    is_movable = !found.empty();
    if (is_movable) mappings.push_back({.range = found.front()});
  }
  return mappings;
}

bool has_touched_much(std::string_view rollup) {
  std::uint64_t in_memory_kb = 0;
  std::uint64_t touched_kb = 0;
  for (const std::string_view line : split(rollup, '\n')) {
    if (const auto size = kilobytes(line, "Rss:")) in_memory_kb = *size;
    if (const auto size = kilobytes(line, "Referenced:")) touched_kb = *size;
  }
  return touched_kb > in_memory_kb / kTouchedPart;
}

}  // namespace

std::vector<MemoryRange> touched_ranges(std::string_view smaps) {
  std::vector<Mapping> mappings = movable_mappings(smaps);
  std::uint64_t room_kb = 0;
  for (const Mapping& mapping : mappings) room_kb += mapping.in_memory_kb + mapping.in_swap_kb;
  room_kb /= kKeptPart;
  std::erase_if(mappings, [](const Mapping& mapping) { return mapping.touched_kb == 0; });
  std::sort(mappings.begin(), mappings.end(), [](const Mapping& a, const Mapping& b) {
    return std::pair(b.touched_share(), a.range.begin) <
           std::pair(a.touched_share(), b.range.begin);
  });
  std::vector<MemoryRange> kept;
  for (const Mapping& mapping : mappings) {
    if (kept.size() == kKeptRangesMax) break;
    if (mapping.in_memory_kb > room_kb) continue;  // A smaller one may fit.
    room_kb -= mapping.in_memory_kb;
    kept.push_back(mapping.range);
  }
  std::sort(kept.begin(), kept.end(),
            [](const MemoryRange& a, const MemoryRange& b) { return a.begin < b.begin; });
  return kept;
}

WorkingSets touched_sets(const std::vector<pid_t>& processes) {
  WorkingSets sets;
  for (const pid_t pid : processes) {
    try {
      const std::string path = "/proc/" + std::to_string(pid) + "/smaps";
      std::vector<MemoryRange> kept = touched_ranges(read_file(path, kSmapsMax).value_or(""));
      if (!kept.empty()) sets[pid] = std::move(kept);
    } catch (const Error&) {  // It ended while it was looked at, or has too many.
    }
  }
  return sets;
}

void forget_touched(const std::vector<pid_t>& processes) {
  for (const pid_t pid : processes) {
    try {
      const std::string folder = "/proc/" + std::to_string(pid);
      if (!has_touched_much(read_file(folder + "/smaps_rollup").value_or(""))) continue;
      write_setting(folder + "/clear_refs", "1");
    } catch (const Error&) {  // It ended while it was looked at, or is not ours to look at.
    }
  }
}

}  // namespace cellar::sys
