#include "sys/paging.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "sys/file.h"

namespace cellar::sys {

TEST_CASE("what only memory and swap hold can be moved, and what files have cannot") {
  const std::string maps =
      "55d0a0000000-55d0a0001000 r-xp 00000000 08:01 131 /usr/bin/node\n"
      "55d0a0001000-55d0a0002000 rw-p 00001000 08:01 131 /usr/bin/node\n"
      "55d0a1000000-55d0a1100000 rw-p 00000000 00:00 0                          [heap]\n"
      "7f0000000000-7f0000400000 rw-p 00000000 00:00 0 \n"
      "7f0000400000-7f0000500000 ---p 00000000 00:00 0 \n"
      "7f0000500000-7f0000600000 rw-s 00000000 00:05 77 /dev/zero (deleted)\n"
      "7f0000600000-7f0000700000 rw-s 00000000 00:01 9 /memfd:runsc-memory (deleted)\n"
      "7f0000700000-7f0000800000 rw-p 00000000 00:00 0 [anon: js heap]\n"
      "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]\n"
      "7ffc00100000-7ffc00102000 r-xp 00000000 00:00 0                          [vdso]\n"
      "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
      "no line of maps\n"
      "zz-zz rw-p 0 0 0 \n"
      "\n";
  const std::vector<MemoryRange> expected = {
      {0x55d0a1000000, 0x55d0a1100000}, {0x7f0000000000, 0x7f0000400000},
      {0x7f0000400000, 0x7f0000500000}, {0x7f0000600000, 0x7f0000700000},
      {0x7f0000700000, 0x7f0000800000}, {0x7ffc00000000, 0x7ffc00021000}};
  CHECK(movable_ranges(maps) == expected);
  CHECK(movable_ranges("").empty());
}

TEST_CASE("the memory of this process is what it has touched") {
  constexpr std::size_t kBytes = 32 << 20;
  const std::uint64_t before = resident_bytes({::getpid()});
  void* memory =
      ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  std::memset(memory, 7, kBytes);
  CHECK(resident_bytes({::getpid()}) >= before + kBytes * 9 / 10);
  const auto at = reinterpret_cast<std::uint64_t>(memory);
  bool is_movable = false;
  for (const MemoryRange& range :
       movable_ranges(read_file("/proc/self/maps").value_or(std::string()))) {
    is_movable = is_movable || (range.begin <= at && at + kBytes <= range.end);
  }
  CHECK(is_movable);
  ::munmap(memory, kBytes);
}

TEST_CASE("swap is in memory where all of it is") {
  const std::string heading = "Filename\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
  const std::string zram =
      "/dev/zram0                              partition\t8388604\t\t0\t\t100\n";
  const std::string file = "/swapfile                               file\t\t2097148\t\t0\t\t-2\n";
  CHECK(is_in_memory(heading));
  CHECK(is_in_memory(""));
  CHECK(is_in_memory(heading + zram));
  CHECK_FALSE(is_in_memory(heading + file));
  CHECK_FALSE(is_in_memory(heading + zram + file));
  CHECK_NOTHROW(swap_is_in_memory());
}

TEST_CASE("memory is moved in pieces of one size, and in larger ones where there is more of it") {
  constexpr std::uint64_t kPiece = kPieceBytes;
  const std::vector<MemoryRange> expected = {{0, kPiece}, {kPiece, kPiece + 5}};
  CHECK(in_pieces({{0, kPiece + 5}}) == expected);
  const std::uint64_t much = std::uint64_t{1} << 46;
  const std::vector<MemoryRange> pieces = in_pieces({{0, 4096}, {much, 2 * much}});
  CHECK(pieces.size() <= kPiecesMax);
  CHECK(pieces.back().end == 2 * much);
  CHECK(in_pieces({{0, 64 * much}}).size() == kPiecesMax);
  CHECK(in_pieces({}).empty());
}

TEST_CASE("what the kernel does not move keeps nothing else from it, however much there is") {
  constexpr std::size_t kBytes = std::size_t{6} << 30;
  constexpr std::size_t kPage = 4096;
  void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  const std::atomic<bool> stop{false};
  if (page_out({::getpid()}, {}, stop) == 0) {
    MESSAGE("skipped: this user may not move memory");
  } else {
    REQUIRE(::mlock(static_cast<char*>(memory) + kBytes / 2, kPage) == 0);
    CHECK(page_out({::getpid()}, {}, stop) >= kBytes - kPage);
  }
  ::munmap(memory, kBytes);
}

TEST_CASE("a process that is not there is left alone") {
  const std::atomic<bool> stop{false};
  const std::vector<pid_t> nobody = {1 << 30};
  CHECK(resident_bytes(nobody) == 0);
  CHECK(page_out(nobody, {}, stop) == 0);
  CHECK(working_sets(nobody).empty());
}

TEST_CASE("what stays is left out of what is moved") {
  using Ranges = std::vector<MemoryRange>;
  const Ranges ranges = {{10, 20}, {30, 40}, {40, 50}};
  CHECK(without(ranges, {}) == ranges);
  CHECK(without(ranges, {{12, 14}, {16, 17}}) ==
        Ranges{{10, 12}, {14, 16}, {17, 20}, {30, 40}, {40, 50}});
  CHECK(without(ranges, {{0, 12}, {18, 32}, {38, 42}}) == Ranges{{12, 18}, {32, 38}, {42, 50}});
  CHECK(without(ranges, {{0, 60}}).empty());
  CHECK(without({}, {{0, 60}}).empty());
}

// Of this process, as working_sets() counts it; a sanitizer's shadow is more than kLookedAtMax.
std::uint64_t movable_bytes() {
  std::uint64_t bytes = 0;
  for (const MemoryRange& range :
       movable_ranges(read_file("/proc/self/maps").value_or(std::string()))) {
    bytes += range.end - range.begin;
  }
  return bytes;
}

TEST_CASE("nothing is learned of a process with too much address space to look at") {
  void* memory = ::mmap(nullptr, kLookedAtMax, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  REQUIRE(movable_bytes() > kLookedAtMax);
  CHECK(working_sets({::getpid()}).empty());
  ::munmap(memory, kLookedAtMax);
}

TEST_CASE("of much memory a part is a working set, and never more than that") {
  if (movable_bytes() > kLookedAtMax) {
    MESSAGE("skipped: a sanitizer gives this process more address space than is looked at");
    return;
  }
  constexpr std::size_t kBytes = 32 << 20;
  constexpr std::size_t kPage = 4096;
  constexpr std::size_t kEvery = 2 * kPage;  // Each touched page is a range of its own.
  void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  REQUIRE(::madvise(memory, kBytes, MADV_NOHUGEPAGE) == 0);
  for (std::size_t at = 0; at < kBytes; at += kEvery) static_cast<char*>(memory)[at] = 1;
  const WorkingSets sets = working_sets({::getpid()});
  REQUIRE(sets.size() == 1);
  const std::vector<MemoryRange>& kept = sets.begin()->second;
  CHECK_FALSE(kept.empty());
  CHECK(kept.size() <= kKeptRangesMax);
  std::uint64_t bytes = 0;
  for (const MemoryRange& range : kept) bytes += range.end - range.begin;
  CHECK(bytes <= resident_bytes({::getpid()}) / kKeptPart);
  ::munmap(memory, kBytes);
}

TEST_CASE("a process with more address space than is looked at has no working set") {
  const std::size_t bytes = kLookedAtMax;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  CHECK(working_sets({::getpid()}).empty());
  ::munmap(memory, bytes);
}

}  // namespace cellar::sys
