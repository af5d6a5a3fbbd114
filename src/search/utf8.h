#pragma once

#include <string>
#include <string_view>

namespace cellar::search {

// The bytes as UTF-8: what is none becomes U+FFFD. Answers are JSON, and files may hold anything.
std::string as_utf8(std::string_view bytes);

}  // namespace cellar::search
