#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "json/value.h"

namespace cellar::json {

struct ParseLimits {
  std::size_t depth_max = 64;
};

// Reads one JSON document (RFC 8259), nothing behind it but space. Of a key that comes twice the
// last one counts. Throws Error `invalid_argument`, reason `invalid_json`, with the offset.
Value parse(std::string_view text, const ParseLimits& limits = {});

// Compact JSON text. Doubles are as short as they can be and come back the same; bytes that are not
// UTF-8 become U+FFFD; NaN and infinities, which JSON does not have, become null.
std::string dump(const Value& value);

// Appends `text` as a JSON string, with its quotes.
void append_quoted(std::string& out, std::string_view text);

}  // namespace cellar::json
