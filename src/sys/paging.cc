#include "sys/paging.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "sys/fd.h"
#include "sys/file.h"

namespace cellar::sys {
namespace {

constexpr std::size_t kPiecesAtOnce = 512;  // of the 1,024 that the kernel takes (UIO_MAXIOV)

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

std::vector<MemoryRange> pieces_of(pid_t pid) {
  std::vector<MemoryRange> pieces;
  try {
    const auto maps = read_file("/proc/" + std::to_string(pid) + "/maps");
    for (MemoryRange range : movable_ranges(maps.value_or(""))) {
      for (; range.begin < range.end; range.begin = pieces.back().end) {
        pieces.push_back({range.begin, std::min(range.end, range.begin + kPieceBytes)});
      }
    }
  } catch (const Error&) {  // It ended while it was read.
    pieces.clear();
  }
  return pieces;
}

// False where there is nothing more to be said to this process.
bool advise(int process, const std::vector<iovec>& pieces, int advice) {
  return ::syscall(SYS_process_madvise, process, pieces.data(), pieces.size(), advice, 0) != -1;
}

void advise_all(pid_t pid, int advice, std::uint64_t bytes_at_once, const std::atomic<bool>& stop) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return;
  std::vector<iovec> batch;
  std::uint64_t bytes = 0;
  const auto say = [&] {
    const bool goes_on = batch.empty() || advise(process.get(), batch, advice);
    batch.clear();
    bytes = 0;
    return goes_on;
  };
  for (const MemoryRange& piece : pieces_of(pid)) {
    const std::uint64_t size = piece.end - piece.begin;
    if (batch.size() == kPiecesAtOnce || bytes + size > bytes_at_once) {
      if (!say() || stop.load()) return;
    }
    batch.push_back({reinterpret_cast<void*>(piece.begin), size});
    bytes += size;
  }
  say();
}

}  // namespace

std::vector<MemoryRange> movable_ranges(std::string_view maps) {
  std::vector<MemoryRange> ranges;
  for (const std::string_view line : split(maps, '\n')) {
    if (const auto range = movable_range(line)) ranges.push_back(*range);
  }
  return ranges;
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

void page_out(const std::vector<pid_t>& processes, const std::atomic<bool>& stop) {
  for (const pid_t pid : processes) {
    if (stop.load()) return;
    advise_all(pid, MADV_PAGEOUT, kPieceBytes, stop);
  }
}

void page_in(const std::vector<pid_t>& processes) {
  const std::atomic<bool> never{false};
  for (const pid_t pid : processes) advise_all(pid, MADV_WILLNEED, UINT64_MAX, never);
}

}  // namespace cellar::sys
