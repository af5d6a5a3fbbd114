#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cellar::net {

// A host as secrets and rules name it: "api.example.com" or "*.example.com" (every name below it at
// any depth), with a port behind a colon or without one. A value.
struct HostPattern {
  std::string name;  // normal (name.h); of a wildcard ".example.com"
  std::optional<std::uint16_t> port;

  // nullopt for what is none; an address is none.
  static std::optional<HostPattern> parse(std::string_view text);
  // `other` is normal.
  bool covers(std::string_view other) const;
  bool operator==(const HostPattern&) const = default;
};

}  // namespace cellar::net
