#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "sys/paging.h"

// What processes have touched of their memory lately, by the referenced bits of their page tables
// (/proc/PID/smaps): what a first page-out should leave where it is. All are best effort, as in
// sys/paging.h. Blocking; any thread.
namespace cellar::sys {

// Of the movable mappings of a /proc/PID/smaps those that were touched, ascending: the ones of
// which the largest part was come first, and what fits in a 12th (kKeptPart) of all, in memory and
// in swap. The kernel tells of whole mappings only.
std::vector<MemoryRange> touched_ranges(std::string_view smaps);

// The same of each of these processes. Nothing of those whose smaps is longer than kSmapsMax, some
// 10,000 mappings.
inline constexpr std::size_t kSmapsMax = 8 << 20;
WorkingSets touched_sets(const std::vector<pid_t>& processes);

// What they touch counts from now on, of those that have touched more than a kTouchedPart-th of
// their memory since it did. Where it is less, that is worth more than what is touched next. For
// 300 MB 3 ms to look, and 5 ms in which the process can map nothing (Linux before 6.4: in which it
// waits where it needs a new page).
inline constexpr std::uint64_t kTouchedPart = 4;
void forget_touched(const std::vector<pid_t>& processes);

}  // namespace cellar::sys
