#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cellar {

// A port as people write it: "1" to "65535", digits only. nullopt for anything else.
std::optional<std::uint16_t> parse_port(std::string_view text) noexcept;

}  // namespace cellar
