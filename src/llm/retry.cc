#include "llm/retry.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/text.h"

namespace cellar::llm {
namespace {

constexpr std::chrono::milliseconds kFirstPause{1000};
constexpr std::uint32_t kDoublingsMax = 16;

std::optional<int> month_of(std::string_view name) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto found = std::find(kMonths.begin(), kMonths.end(), name);
  if (found == kMonths.end()) return std::nullopt;
  return static_cast<int>(found - kMonths.begin()) + 1;
}

// "Sun, 06 Nov 1994 08:49:37 GMT", the form that is sent today.
std::optional<WallTime> http_date(std::string_view text) {
  const auto words = split(text, ' ');
  if (words.size() != 6 || words[5] != "GMT") return std::nullopt;
  const auto month = month_of(words[2]);
  if (!month) return std::nullopt;
  const std::string month_digits = (*month < 10 ? "0" : "") + std::to_string(*month);
  return parse_rfc3339(std::string(words[3]) + "-" + month_digits + "-" + std::string(words[1]) +
                       "T" + std::string(words[4]) + "Z");
}

}  // namespace

bool is_passing(int status) noexcept { return status == 408 || status == 429 || status >= 500; }

std::optional<std::chrono::milliseconds> retry_after(std::string_view value, WallTime now) {
  using std::chrono::milliseconds;
  value = trim(value);
  if (const auto seconds = parse_int(value)) {
    if (*seconds < 0) return std::nullopt;
    const std::int64_t most = kRetryAfterMax.count() / 1000;
    return milliseconds(std::min(*seconds, most) * 1000);
  }
  const auto date = http_date(value);
  if (!date) return std::nullopt;
  const auto left = std::chrono::duration_cast<milliseconds>(*date - now);
  return std::clamp(left, milliseconds(0), kRetryAfterMax);
}

std::chrono::milliseconds pause_after(std::uint32_t attempt, std::uint64_t draw) noexcept {
  const std::uint32_t doublings = std::min(std::max(attempt, 1U) - 1, kDoublingsMax);
  const auto full = std::min(kFirstPause * (1 << doublings), kPauseMax);
  const auto half = static_cast<std::uint64_t>(full.count() / 2);
  return full - std::chrono::milliseconds(draw % (half + 1));
}

}  // namespace cellar::llm
