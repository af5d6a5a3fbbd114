#include "sys/paging.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <random>
#include <span>
#include <string>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "sys/fd.h"
#include "sys/file.h"
#include "sys/positioned.h"

namespace cellar::sys {
namespace {

constexpr std::size_t kPiecesAtOnce = 512;        // of the 1,024 that the kernel takes (UIO_MAXIOV)
constexpr std::uint64_t kCallBytesMax = 1 << 30;  // of the 2 GiB behind which it would not look

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), value, 16);
  return error == std::errc() && end == text.end() ? std::optional(value) : std::nullopt;
}

// Whether a mapping of that name has pages that are not a file's. The kernel's own ("[vdso]") have
// none that can be moved.
bool is_movable(std::string_view name, bool is_private) {
  if (name.starts_with("/memfd:")) return true;
  return is_private && (name.empty() || name == "[heap]" || name.starts_with("[stack") ||
                        name.starts_with("[anon"));
}

// "7f…-7f… rw-p 00000000 00:00 0      [heap]"
std::optional<MemoryRange> movable_range(std::string_view line) {
  const std::size_t dash = line.find('-');
  const std::size_t space = line.find(' ');
  if (dash == std::string_view::npos || space == std::string_view::npos || dash > space) return {};
  const auto begin = parse_hex(line.substr(0, dash));
  const auto end = parse_hex(line.substr(dash + 1, space - dash - 1));
  std::string_view rest = line.substr(space + 1);
  const bool is_private = rest.size() > 3 && rest[3] == 'p';
  for (int field = 0; field < 4; ++field) {  // Permissions, offset, device, inode.
    const std::size_t next = rest.find(' ');
    rest = next == std::string_view::npos ? std::string_view() : rest.substr(next + 1);
  }
  if (!begin || !end || !is_movable(trim(rest), is_private)) return {};
  return MemoryRange{*begin, *end};
}

std::vector<iovec> pieces_of(pid_t pid, const WorkingSets& kept) {
  std::vector<iovec> pieces;
  try {
    const auto maps = read_file("/proc/" + std::to_string(pid) + "/maps");
    std::vector<MemoryRange> ranges = movable_ranges(maps.value_or(""));
    const auto stays = kept.find(pid);
    if (stays != kept.end()) ranges = without(ranges, stays->second);
    for (const MemoryRange& piece : in_pieces(ranges)) {
      pieces.push_back({reinterpret_cast<void*>(piece.begin), piece.end - piece.begin});
    }
  } catch (const Error&) {  // It ended while it was read.
    pieces.clear();
  }
  return pieces;
}

// Whether an errno is about one piece (memory that is locked, or is gone), not the process.
bool is_about_a_piece(int error) { return error == EINVAL || error == ENOMEM; }

// Moves pieces one after the other, and leaves out what the kernel does not take. The bytes it
// took; nullopt where nothing more of this process can be moved.
std::optional<std::uint64_t> move_out(int process, std::span<const iovec> pieces) {
  std::uint64_t bytes = 0;
  while (!pieces.empty()) {
    const auto taken =
        ::syscall(SYS_process_madvise, process, pieces.data(), pieces.size(), MADV_PAGEOUT, 0);
    if (taken == -1 && !is_about_a_piece(errno)) return std::nullopt;
    std::uint64_t rest = taken == -1 ? 0 : static_cast<std::uint64_t>(taken);
    bytes += rest;
    while (!pieces.empty() && rest >= pieces.front().iov_len) {
      rest -= pieces.front().iov_len;
      pieces = pieces.subspan(1);
    }
    if (!pieces.empty()) pieces = pieces.subspan(1);  // It stopped at this one.
  }
  return bytes;
}

std::uint64_t move_all_out(pid_t pid, const WorkingSets& kept, const std::atomic<bool>& stop) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return 0;
  const std::vector<iovec> all = pieces_of(pid, kept);
  std::uint64_t bytes = 0;
  for (std::size_t first = 0; first < all.size() && !stop.load();) {
    std::size_t last = first;  // One behind.
    std::uint64_t size = 0;
    do {
      size += all[last++].iov_len;
    } while (last < all.size() && last - first < kPiecesAtOnce &&
             size + all[last].iov_len <= kPieceBytes);
    const auto taken = move_out(process.get(), std::span(all).subspan(first, last - first));
    if (!taken) break;
    bytes += *taken;
    first = last;
  }
  return bytes;
}

std::uint64_t page_bytes() {
  static const auto size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

// Which pages of a process are where, by its /proc/PID/pagemap: 64 bits for each.
struct PagesLookedAt {
  std::vector<MemoryRange> in_memory;
  std::uint64_t in_memory_bytes = 0;
  std::uint64_t in_swap_bytes = 0;
};

void look_at_page(PagesLookedAt& pages, std::uint64_t address, std::uint64_t entry) {
  constexpr std::uint64_t kInMemory = std::uint64_t{1} << 63;
  constexpr std::uint64_t kInSwap = std::uint64_t{1} << 62;
  if ((entry & kInSwap) != 0) pages.in_swap_bytes += page_bytes();
  if ((entry & kInMemory) == 0) return;
  pages.in_memory_bytes += page_bytes();
  if (pages.in_memory.empty() || pages.in_memory.back().end != address) {
    pages.in_memory.push_back({address, address});
  }
  pages.in_memory.back().end = address + page_bytes();
}

// Throws Error.
PagesLookedAt look_at(const Fd& pagemap, const std::vector<MemoryRange>& ranges) {
  constexpr std::uint64_t kEntriesAtOnce = 8192;
  PagesLookedAt pages;
  for (MemoryRange range : ranges) {
    while (range.begin < range.end) {
      const std::uint64_t rest = (range.end - range.begin) / page_bytes();
      const std::size_t asked = std::min(rest, kEntriesAtOnce) * sizeof(std::uint64_t);
      const std::uint64_t at = range.begin / page_bytes() * sizeof(std::uint64_t);
      const std::string entries = read_at(pagemap.get(), at, asked, "pagemap");
      for (std::size_t next = 0; next + sizeof(std::uint64_t) <= entries.size();
           next += sizeof(std::uint64_t), range.begin += page_bytes()) {
        std::uint64_t entry = 0;
        std::memcpy(&entry, entries.data() + next, sizeof(entry));
        look_at_page(pages, range.begin, entry);
      }
      if (entries.size() < asked) break;  // It ended meanwhile.
    }
  }
  return pages;
}

// Throws Error.
std::vector<MemoryRange> working_set(pid_t pid, std::minstd_rand& random) {
  const std::string folder = "/proc/" + std::to_string(pid);
  std::vector<MemoryRange> ranges = movable_ranges(read_file(folder + "/maps").value_or(""));
  std::uint64_t to_look_at = 0;
  for (const MemoryRange& range : ranges) to_look_at += range.end - range.begin;
  if (to_look_at > kLookedAtMax) return {};
  const Fd pagemap = open_file(folder + "/pagemap", O_RDONLY);
  PagesLookedAt pages = look_at(pagemap, ranges);
  const std::uint64_t kept_max = (pages.in_memory_bytes + pages.in_swap_bytes) / kKeptPart;
  std::vector<MemoryRange>& kept = pages.in_memory;
  if (pages.in_memory_bytes > kept_max) {
    const double share = static_cast<double>(kept_max) / static_cast<double>(pages.in_memory_bytes);
    std::bernoulli_distribution stays(share);
    std::erase_if(kept, [&](const MemoryRange&) { return !stays(random); });
  }
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  std::erase_if(kept, [&](const MemoryRange& range) {  // A large one leaves room for others.
    const std::uint64_t size = range.end - range.begin;
    if (count == kKeptRangesMax || bytes + size > kept_max) return true;
    bytes += size;
    ++count;
    return false;
  });
  return std::move(kept);
}

}  // namespace

std::vector<MemoryRange> movable_ranges(std::string_view maps) {
  std::vector<MemoryRange> ranges;
  for (const std::string_view line : split(maps, '\n')) {
    if (const auto range = movable_range(line)) ranges.push_back(*range);
  }
  return ranges;
}

std::vector<MemoryRange> in_pieces(const std::vector<MemoryRange>& ranges) {
  std::uint64_t total = 0;
  for (const MemoryRange& range : ranges) total += range.end - range.begin;
  const std::uint64_t count = total / kPiecesMax / kPieceBytes + 1;
  const std::uint64_t size = std::min(count * kPieceBytes, kCallBytesMax);
  std::vector<MemoryRange> pieces;
  for (MemoryRange range : ranges) {
    for (; range.begin < range.end && pieces.size() < kPiecesMax; range.begin = pieces.back().end) {
      pieces.push_back({range.begin, std::min(range.end, range.begin + size)});
    }
  }
  return pieces;
}

std::uint64_t free_swap() noexcept {
  struct sysinfo info{};
  return ::sysinfo(&info) == 0 ? std::uint64_t{info.freeswap} * info.mem_unit : 0;
}

bool is_in_memory(std::string_view swaps) {
  const std::size_t heading = swaps.find('\n');
  if (heading == std::string_view::npos) return true;
  for (const std::string_view line : split(swaps.substr(heading + 1), '\n')) {
    if (!line.empty() && !line.starts_with("/dev/zram")) return false;
  }
  return true;
}

bool swap_is_in_memory() { return is_in_memory(read_file("/proc/swaps").value_or("")); }

std::uint64_t resident_bytes(const std::vector<pid_t>& processes) {
  std::uint64_t bytes = 0;
  for (const pid_t pid : processes) {
    try {
      const std::string text = read_file("/proc/" + std::to_string(pid) + "/statm").value_or("");
      const auto fields = split(text, ' ');
      if (fields.size() > 1) bytes += parse_int(fields[1]).value_or(0) * page_bytes();
    } catch (const Error&) {  // It ended while it was read.
    }
  }
  return bytes;
}

std::vector<MemoryRange> without(const std::vector<MemoryRange>& ranges,
                                 const std::vector<MemoryRange>& kept) {
  std::vector<MemoryRange> rest;
  auto next = kept.begin();
  for (MemoryRange range : ranges) {
    while (next != kept.end() && next->end <= range.begin) ++next;
    for (auto hole = next; hole != kept.end() && hole->begin < range.end; ++hole) {
      if (hole->begin > range.begin) rest.push_back({range.begin, hole->begin});
      range.begin = std::min(hole->end, range.end);
    }
    if (range.begin < range.end) rest.push_back(range);
  }
  return rest;
}

WorkingSets working_sets(const std::vector<pid_t>& processes) {
  std::minstd_rand random(static_cast<std::minstd_rand::result_type>(random_u64()));
  WorkingSets sets;
  for (const pid_t pid : processes) {
    try {
      std::vector<MemoryRange> kept = working_set(pid, random);
      if (!kept.empty()) sets[pid] = std::move(kept);
    } catch (const Error&) {  // It ended while it was looked at.
    }
  }
  return sets;
}

std::uint64_t page_out(const std::vector<pid_t>& processes, const WorkingSets& kept,
                       const std::atomic<bool>& stop) {
  std::uint64_t bytes = 0;
  for (const pid_t pid : processes) bytes += move_all_out(pid, kept, stop);
  return bytes;
}

}  // namespace cellar::sys
