#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cellar {

std::string to_hex(std::string_view bytes);

// Standard base64 with padding.
std::string to_base64(std::string_view bytes);
// nullopt where `text` is not base64.
std::optional<std::string> from_base64(std::string_view text);

// Of ASCII: below the space, and DEL.
constexpr bool is_control(char c) noexcept { return (c >= 0 && c < ' ') || c == 0x7f; }

// The bytes of the UTF-8 character that begins at `at` < bytes.size(); 0 where none does.
std::size_t utf8_size_at(std::string_view bytes, std::size_t at) noexcept;
// The nearest place between two characters that is not behind `at`: where a text is cut.
std::size_t utf8_floor(std::string_view text, std::size_t at) noexcept;
bool is_valid_utf8(std::string_view bytes) noexcept;

// The pieces between separators, empty ones too: split("a//b", '/') is {"a", "", "b"}.
std::vector<std::string_view> split(std::string_view text, char separator);

// Without spaces, tabs and line ends at both ends.
std::string_view trim(std::string_view text) noexcept;

// A whole decimal number, or nullopt for anything else (also for overflow).
std::optional<std::int64_t> parse_int(std::string_view text) noexcept;

std::string to_lower_ascii(std::string_view text);

}  // namespace cellar
