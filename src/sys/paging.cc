#include "sys/paging.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <span>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "sys/fd.h"
#include "sys/file.h"

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

std::vector<iovec> pieces_of(pid_t pid) {
  std::vector<iovec> pieces;
  try {
    const auto maps = read_file("/proc/" + std::to_string(pid) + "/maps");
    for (const MemoryRange& piece : in_pieces(movable_ranges(maps.value_or("")))) {
      pieces.push_back({reinterpret_cast<void*>(piece.begin), piece.end - piece.begin});
    }
  } catch (const Error&) {  // It ended while it was read.
    pieces.clear();
  }
  return pieces;
}

// Whether an errno is about one piece (memory that is locked, or is gone), not the process.
bool is_about_a_piece(int error) { return error == EINVAL || error == ENOMEM; }

// Says it of pieces one after the other, and leaves out what the kernel does not take. The bytes it
// took; nullopt where there is nothing more to be said to this process.
std::optional<std::uint64_t> advise(int process, std::span<const iovec> pieces, int advice) {
  std::uint64_t bytes = 0;
  while (!pieces.empty()) {
    const auto taken =
        ::syscall(SYS_process_madvise, process, pieces.data(), pieces.size(), advice, 0);
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

std::uint64_t advise_all(pid_t pid, int advice, std::uint64_t bytes_at_once,
                         const std::atomic<bool>& stop) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return 0;
  const std::vector<iovec> all = pieces_of(pid);
  std::uint64_t bytes = 0;
  for (std::size_t first = 0; first < all.size() && !stop.load();) {
    std::size_t last = first;  // One behind.
    std::uint64_t size = 0;
    do {
      size += all[last++].iov_len;
    } while (last < all.size() && last - first < kPiecesAtOnce &&
             size + all[last].iov_len <= bytes_at_once);
    const auto taken = advise(process.get(), std::span(all).subspan(first, last - first), advice);
    if (!taken) break;
    bytes += *taken;
    first = last;
  }
  return bytes;
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
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::uint64_t bytes = 0;
  for (const pid_t pid : processes) {
    try {
      const std::string text = read_file("/proc/" + std::to_string(pid) + "/statm").value_or("");
      const auto fields = split(text, ' ');
      if (fields.size() > 1) bytes += parse_int(fields[1]).value_or(0) * page;
    } catch (const Error&) {  // It ended while it was read.
    }
  }
  return bytes;
}

std::uint64_t page_out(const std::vector<pid_t>& processes, const std::atomic<bool>& stop) {
  std::uint64_t bytes = 0;
  for (const pid_t pid : processes) bytes += advise_all(pid, MADV_PAGEOUT, kPieceBytes, stop);
  return bytes;
}

std::uint64_t page_in(const std::vector<pid_t>& processes) {
  const std::atomic<bool> never{false};
  std::uint64_t bytes = 0;
  for (const pid_t pid : processes) bytes += advise_all(pid, MADV_WILLNEED, kCallBytesMax, never);
  return bytes;
}

}  // namespace cellar::sys
