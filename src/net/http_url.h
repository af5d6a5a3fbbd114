#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cellar::net {

// A base URL of the operator's: "https://api.example.com/v1", "http://127.0.0.1:8000".
struct HttpUrl {
  bool by_tls = false;
  std::string host;  // a normal name (name.h), or an address without brackets
  std::uint16_t port = 0;
  std::string authority;  // as it was written, for Host
  std::string base;       // of paths, with no '/' at its end: "", "/v1"

  // Whether it names this machine by an address of its loopback, or "localhost".
  bool is_loopback() const;
  bool operator==(const HttpUrl&) const = default;
};

// nullopt for what is none, and for one with a user, a query or a fragment.
std::optional<HttpUrl> parse_http_url(std::string_view text);

}  // namespace cellar::net
