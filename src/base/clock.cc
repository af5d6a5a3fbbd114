#include "base/clock.h"

#include <fmt/core.h>

#include <ctime>

namespace cellar {

WallTime wall_now() noexcept { return std::chrono::system_clock::now(); }

std::int64_t to_unix_ms(WallTime time) noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

WallTime from_unix_ms(std::int64_t ms) noexcept { return WallTime(std::chrono::milliseconds(ms)); }

std::string to_iso8601(WallTime time) {
  const std::int64_t ms = to_unix_ms(time);
  const std::time_t seconds = ms / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

}  // namespace cellar
