#include "sys/touched.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "sys/file.h"

namespace cellar::sys {
namespace {

std::string mapping(const std::string& range, const std::string& name, int rss_kb,
                    int referenced_kb) {
  return range + " rw-p 00000000 00:00 0 " + name +
         "\nSize:  9999999 kB\nRss:     " + std::to_string(rss_kb) +
         " kB\nPss:  1 kB\nReferenced:   " + std::to_string(referenced_kb) +
         " kB\nAnonymous:  1 kB\nSwap:  0 kB\nSwapPss:  7777777 kB\nVmFlags: rd wr mr\n";
}

}  // namespace

TEST_CASE("of what was touched stays what fits in a 12th, the most touched first") {
  const std::string large = mapping("10000000-20000000", "[heap]", 12000, 400);
  const std::string dense = mapping("20000000-20040000", "", 256, 200);
  const std::string thin = mapping("30000000-30040000", "", 256, 8);
  const std::string untouched = mapping("40000000-40040000", "", 256, 0);
  const std::string of_file = mapping("50000000-50040000", "/usr/bin/node", 256, 256);
  const std::vector<MemoryRange> both = {{0x20000000, 0x20040000}, {0x30000000, 0x30040000}};
  // 12,768 KB: 1,064 of them stay.
  CHECK(touched_ranges(large + dense + thin + untouched + of_file) == both);
  // 3,584 KB of memory that nobody touched: 298 of them stay.
  const std::string idle = mapping("60000000-70000000", "", 3072, 0);
  CHECK(touched_ranges(thin + idle + dense) == std::vector<MemoryRange>{both.front()});
  CHECK(touched_ranges("").empty());
  CHECK(touched_ranges("Rss: 5 kB\nReferenced: 5 kB\nno line\n").empty());
}

TEST_CASE("of many mappings that were touched stay as many as there may be") {
  std::string smaps = mapping("7f0000000000-7f4000000000", "", 1 << 24, 0);
  for (std::size_t number = 0; number < 2 * kKeptRangesMax; ++number) {
    const std::string digits = std::to_string(10'000 + number);  // Hexadecimal ones, too.
    smaps += mapping(digits + "000-" + digits + "800", "", 2, 2);
  }
  CHECK(touched_ranges(smaps).size() == kKeptRangesMax);
}

TEST_CASE("what this process touches counts from when the rest was forgotten") {
  constexpr std::size_t kMappingBytes = 512 << 10;
  constexpr std::size_t kCount = 256;  // 128 MB, of which a sanitizer's memory is no large part
  constexpr std::size_t kTouched = 76;
  std::vector<char*> mappings;
  for (std::size_t number = 0; number < kCount; ++number) {
    void* memory =
        ::mmap(nullptr, kMappingBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    std::memset(memory, 7, kMappingBytes);
    // No neighbour is joined with it: the kernel tells of whole mappings.
    if (number % 2 == 1) REQUIRE(::mprotect(memory, kMappingBytes, PROT_READ) == 0);
    mappings.push_back(static_cast<char*>(memory));
  }
  forget_touched({::getpid()});
  // A processor that still knows the address of a page does not note that it is touched again.
  REQUIRE(::mprotect(mappings[kTouched], kMappingBytes, PROT_READ) == 0);
  REQUIRE(::mprotect(mappings[kTouched], kMappingBytes, PROT_READ | PROT_WRITE) == 0);
  std::memset(mappings[kTouched], 1, kMappingBytes);  // More of it than of the heap.
  const WorkingSets sets = touched_sets({::getpid()});
  REQUIRE(sets.contains(::getpid()));
  const auto stays = [&](std::size_t number) {
    const auto at = reinterpret_cast<std::uint64_t>(mappings[number]);
    for (const MemoryRange& range : sets.at(::getpid())) {
      if (range.begin <= at && at < range.end) return true;
    }
    return false;
  };
  CHECK(stays(kTouched));
  CHECK_FALSE(stays(kTouched + 5));
  // Little was touched since: that is not forgotten.
  forget_touched({::getpid()});
  CHECK(touched_sets({::getpid()}).contains(::getpid()));
  for (char* memory : mappings) ::munmap(memory, kMappingBytes);
  // One that is not there.
  forget_touched({0x7fffffff});
  CHECK(touched_sets({0x7fffffff}).empty());
}

}  // namespace cellar::sys
