#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cellar::net {

// A host name as it is compared and stored: lower case, no dot at the end. nullopt for what is no
// host name: labels of 1 to 63 letters, digits, '-' and '_', at most 253 bytes, no '-' at a label's
// ends, the last label not a number (that would be an address). Other scripts come as punycode.
std::optional<std::string> normal_name(std::string_view text);

}  // namespace cellar::net
