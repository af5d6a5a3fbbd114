#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

// Memory of processes that stand still, moved to swap: process_madvise(2). It comes back page by
// page, as it is touched. Text pages stay where they are, as their files have them anyway. All are
// best effort: a process that has ended,
// or whose memory this user may not move (needs CAP_SYS_NICE), is left alone. Blocking; any thread.
namespace cellar::sys {

struct MemoryRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;  // one behind

  bool operator==(const MemoryRange&) const = default;
};

// The ranges of a /proc/PID/maps whose pages only memory and swap hold: private ones of no file
// (heap, stacks, mappings), and files in memory (memfd).
std::vector<MemoryRange> movable_ranges(std::string_view maps);

// The same ranges in pieces of kPieceBytes, or of more where they would be more than kPiecesMax: a
// program may map far more than there is memory. What is behind 1 GiB a piece, 128 TiB, is left
// out.
inline constexpr std::uint64_t kPieceBytes = 16 << 20;
inline constexpr std::size_t kPiecesMax = 1 << 17;
std::vector<MemoryRange> in_pieces(const std::vector<MemoryRange>& ranges);

// Swap of the machine that is not used yet, in bytes; 0 where there is none.
std::uint64_t free_swap() noexcept;

// Whether all swap of a /proc/swaps is compressed memory: nothing that goes there is on a disk.
bool is_in_memory(std::string_view swaps);
// The same of this machine's. Throws Error.
bool swap_is_in_memory();

// How much memory these processes have, in bytes; what they share counts for each.
std::uint64_t resident_bytes(const std::vector<pid_t>& processes);

// Memory that stays where it is, by process: ranges that ascend.
using WorkingSets = std::map<pid_t, std::vector<MemoryRange>>;

// The parts of `ranges` that are not in `kept`. Both ascend.
std::vector<MemoryRange> without(const std::vector<MemoryRange>& ranges,
                                 const std::vector<MemoryRange>& kept);

// What these processes have in memory, of what can be moved: once all of it was moved, what they
// have touched since. Of each at most a 12th of what it has there and in swap, and kKeptRangesMax
// ranges; where it is more, some of it, another part each time: so what was touched once does not
// stay for ever. Nothing of those with more than kLookedAtMax of address space to look at.
inline constexpr std::uint64_t kKeptPart = 12;
inline constexpr std::size_t kKeptRangesMax = 2048;
inline constexpr std::uint64_t kLookedAtMax = std::uint64_t{8} << 30;
WorkingSets working_sets(const std::vector<pid_t>& processes);

// Moves what they have to swap, but for `kept`, as far as there is room, in pieces between which it
// looks at `stop`. Some 0.6 GB/s to zram. Says how much it was asked for, in bytes of their address
// space.
std::uint64_t page_out(const std::vector<pid_t>& processes, const WorkingSets& kept,
                       const std::atomic<bool>& stop);

}  // namespace cellar::sys
