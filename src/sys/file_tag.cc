#include "sys/file_tag.h"

#include <fmt/format.h>

#include <ctime>

#include "base/sha256.h"
#include "sys/positioned.h"

namespace cellar::sys {
namespace {

// Whether a change from now on has other times than the last one.
bool is_settled(const FileStat& stat) {
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);  // What files get.
  return stat.ctime_ns < now.tv_sec * kNsPerSecond + now.tv_nsec;
}

}  // namespace

std::string digest_tag(std::string_view bytes) {
  constexpr std::size_t kDigits = 32;  // 128 bits
  return "\"" + sha256_hex(bytes).substr(0, kDigits) + "\"";
}

std::string tag_of(const OpenFile& file) {
  const FileStat& stat = file.stat;
  if (stat.size_bytes <= kDigestedBytesMax) {
    return digest_tag(read_at(file.fd.get(), 0, kDigestedBytesMax, "a file"));
  }
  return fmt::format("{}\"{:x}-{:x}-{:x}-{:x}\"", is_settled(stat) ? "" : "W/", stat.inode,
                     stat.size_bytes, stat.mtime_ns, stat.ctime_ns);
}

bool is_weak(std::string_view tag) noexcept { return tag.starts_with("W/"); }

}  // namespace cellar::sys
