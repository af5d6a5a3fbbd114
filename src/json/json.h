#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "json/value.h"

namespace cellar::json {

struct ParseLimits {
  std::size_t depth_max = 64;
  // A value takes 40 bytes and more, but only two characters of text.
  std::size_t value_count_max = 8'000'000;
};

// Reads one JSON document (RFC 8259), nothing behind it but space. Of a key that comes twice the
// last one counts. A lone surrogate (JavaScript writes "\ud83d" for half an emoji) becomes U+FFFD.
// Throws Error `invalid_argument`, reason `invalid_json`, with line, column and what is wrong:
// also for what exceeds the limits, a number above 1.8e308, and text that is not UTF-8.
Value parse(std::string_view text, const ParseLimits& limits = {});

// Compact JSON text. Doubles are as short as they can be and come back the same; bytes that are not
// UTF-8 become U+FFFD; NaN and infinities, which JSON does not have, become null.
std::string dump(const Value& value);
// The same for people: a member a line, two spaces a level.
std::string dump_pretty(const Value& value);

// Appends `text` as a JSON string, with its quotes.
void append_quoted(std::string& out, std::string_view text);

}  // namespace cellar::json
