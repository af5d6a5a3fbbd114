#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/text.h"

// Journals as texts: "<offset> <hex>" for every 32 bytes that are not all zero. For tests.
namespace cellar::journal {

inline constexpr std::size_t kGoldenBytes = 8192;

inline std::string to_golden(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 32) {
    const auto part = bytes.substr(at, 32);
    if (part.find_first_not_of('\0') == std::string_view::npos) continue;
    text += fmt::format("{:08} {}\n", at, to_hex(part));
  }
  return text;
}

inline std::string from_golden(std::string_view text) {
  std::string bytes(kGoldenBytes, '\0');
  for (const std::string_view line : split(text, '\n')) {
    if (line.size() < 9) continue;
    auto at = static_cast<std::size_t>(parse_int(line.substr(0, 8)).value());
    for (std::size_t i = 9; i + 1 < line.size(); i += 2) {
      bytes.at(at++) = static_cast<char>(std::stoi(std::string(line.substr(i, 2)), nullptr, 16));
    }
  }
  return bytes;
}

}  // namespace cellar::journal
