#pragma once

#include <chrono>
#include <string>

namespace cellar {

using WallTime = std::chrono::system_clock::time_point;

WallTime wall_now() noexcept;

// "2026-11-23T10:00:00.123Z", always UTC and milliseconds.
std::string to_iso8601(WallTime time);

// Milliseconds since 1970, and back.
std::int64_t to_unix_ms(WallTime time) noexcept;
WallTime from_unix_ms(std::int64_t ms) noexcept;

}  // namespace cellar
