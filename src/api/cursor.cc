#include "api/cursor.h"

#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace cellar::api {

Cursor Cursor::of(WallTime created_at, std::string id) {
  return {.created_ms = to_unix_ms(created_at), .id = std::move(id)};
}

std::optional<Cursor> Cursor::parse(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const std::size_t dot = text.find('.');
  const auto created_ms = parse_int(text.substr(0, dot));
  if (!created_ms || dot == std::string_view::npos) {
    throw Error(ErrorCode::invalid_argument, "invalid_cursor",
                "\"cursor\" is not the \"next_cursor\" of a page", "begin again without it");
  }
  return Cursor{.created_ms = *created_ms, .id = std::string(text.substr(dot + 1))};
}

std::string Cursor::text() const { return std::to_string(created_ms) + "." + id; }

}  // namespace cellar::api
