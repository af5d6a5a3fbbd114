#pragma once

#include <string>
#include <string_view>

namespace cellar {

// The bytes as UTF-8, for JSON: each that is none becomes `instead`, U+FFFD where nothing is said.
std::string as_utf8(std::string_view bytes, std::string_view instead = "\xEF\xBF\xBD");

}  // namespace cellar
