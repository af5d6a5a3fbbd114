#pragma once

#include <string>
#include <string_view>

namespace cellar {

// `text` as one segment of a path or a query: all but letters, digits and -._~ is percent-encoded.
std::string encode_segment(std::string_view text);
// The same for a path of several segments: slashes stay.
std::string encode_path(std::string_view path);

}  // namespace cellar
