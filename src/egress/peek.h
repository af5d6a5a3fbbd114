#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// Whom a connection is for, by its own first bytes.
namespace cellar::egress {

inline constexpr std::size_t kPeekBytesMax = 64 << 10;

struct Peek {
  enum class Kind : std::uint8_t {
    need_more,  // cannot be told yet
    named,      // it is for `name`
    unnamed,    // it names nobody
    malformed,  // it is not of this protocol, or contradicts itself
  };
  Kind kind = Kind::need_more;
  std::string name;  // as it was sent
};

// The server name of a TLS ClientHello (RFC 8446, 6066), which may come in several records.
Peek peek_tls(std::string_view bytes);

// The Host of an HTTP/1 request, without its port; that of an absolute target must be the same.
Peek peek_http(std::string_view bytes);

}  // namespace cellar::egress
