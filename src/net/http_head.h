#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "net/peeked_name.h"

namespace cellar::net {

// The head of an HTTP/1 request, taken apart. Views into the bytes that were read.
struct HttpHead {
  std::string_view method;
  std::string_view target;
  std::string_view version;                                            // "HTTP/1.1" or "HTTP/1.0"
  std::vector<std::pair<std::string_view, std::string_view>> headers;  // names as they came
};

// How much of `bytes` is a head, its empty line included; 0 where that is not here yet.
std::size_t http_head_size(std::string_view bytes);
// Whether what is no whole head may become one.
bool may_become_http_head(std::string_view bytes);

// Strict, so that no server reads another request out of the same bytes: line ends are CRLF, no
// folded lines, no space before a colon, no control characters. nullopt for all else.
std::optional<HttpHead> read_http_head(std::string_view bytes);

// The name in "example.com:8080": found; an address or "": none.
PeekedName read_http_authority(std::string_view text);

}  // namespace cellar::net
