#pragma once

#include <string>
#include <string_view>

namespace cellar {

// HMAC-SHA-256 (RFC 2104): 32 raw bytes.
std::string hmac_sha256(std::string_view key, std::string_view text);

// Takes as long for texts of one length wherever they differ.
bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;

}  // namespace cellar
