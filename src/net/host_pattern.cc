#include "net/host_pattern.h"

#include "base/port.h"
#include "net/name.h"

namespace cellar::net {

std::optional<HostPattern> HostPattern::parse(std::string_view text) {
  HostPattern pattern;
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    const auto port = parse_port(text.substr(colon + 1));
    if (!port) return std::nullopt;
    pattern.port = *port;
    text = text.substr(0, colon);
  }
  const bool is_wildcard = text.starts_with("*.");
  const auto name = normal_name(is_wildcard ? text.substr(2) : text);
  if (!name) return std::nullopt;
  pattern.name = is_wildcard ? "." + *name : *name;
  return pattern;
}

bool HostPattern::covers(std::string_view other) const {
  return name.starts_with('.') ? other.ends_with(name) : other == name;
}

}  // namespace cellar::net
