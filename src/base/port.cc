#include "base/port.h"

#include <algorithm>

#include "base/text.h"

namespace cellar {

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  constexpr std::size_t kDigitsMax = 5;
  const bool has_digits_only =
      !text.empty() && text.size() <= kDigitsMax && text.front() != '0' &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  const auto number = has_digits_only ? parse_int(text) : std::nullopt;
  if (!number || *number > UINT16_MAX) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

}  // namespace cellar
