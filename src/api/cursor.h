#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace cellar::api {

// A place in a list that is sorted by time, which is known even when what was there is deleted.
struct Cursor {
  std::int64_t created_ms = 0;
  std::string id;  // decides between things of the same millisecond

  static Cursor of(WallTime created_at, std::string id);
  // nullopt where the text is empty. Throws Error `invalid_cursor`.
  static std::optional<Cursor> parse(std::string_view text);
  std::string text() const;

  std::strong_ordering operator<=>(const Cursor&) const = default;
};

}  // namespace cellar::api
