#pragma once

#include <string>
#include <string_view>

namespace cellar {

// The SHA-256 digest of `bytes`: 32 raw bytes, or 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);

}  // namespace cellar
