#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cellar {

using WallTime = std::chrono::system_clock::time_point;

WallTime wall_now() noexcept;

// "2026-11-23T10:00:00.123Z", always UTC and milliseconds.
std::string to_iso8601(WallTime time);
// A time as RFC 3339 has it, "2026-11-23T10:00:00Z" or "2026-11-23T11:00:00.5+01:00", from 1970 to
// 2261; what is smaller than a millisecond is left out. nullopt for any other text.
std::optional<WallTime> parse_rfc3339(std::string_view text);

// Milliseconds since 1970, and back.
std::int64_t to_unix_ms(WallTime time) noexcept;
WallTime from_unix_ms(std::int64_t ms) noexcept;

}  // namespace cellar
