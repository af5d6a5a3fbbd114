#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace cellar::llm {

// What a provider may ask for at most, and what is waited at most without that.
inline constexpr std::chrono::milliseconds kRetryAfterMax{std::chrono::minutes(10)};
inline constexpr std::chrono::milliseconds kPauseMax{std::chrono::minutes(1)};

// Whether the same request may succeed later, by the status of its answer.
bool is_passing(int status) noexcept;

// The header Retry-After: seconds, or a date as HTTP has it. At most kRetryAfterMax; nullopt for
// none, or what is neither.
std::optional<std::chrono::milliseconds> retry_after(std::string_view value, WallTime now);

// How long to wait behind attempt `attempt` (from 1): 1 s, 2 s, 4 s, … up to kPauseMax, of which
// `draw`, a random number, takes off at most half.
std::chrono::milliseconds pause_after(std::uint32_t attempt, std::uint64_t draw) noexcept;

}  // namespace cellar::llm
