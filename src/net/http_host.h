#pragma once

#include <string_view>

#include "net/peeked_name.h"

namespace cellar::net {

// The host that the HTTP/1 request whose head `bytes` begin with is for: its Host header, which
// must agree with the request target where that names a host too (CONNECT, "GET http://...").
// Strict, so that no server reads another host out of the same bytes: line ends are CRLF, one Host
// at most, no folded lines, no space before a colon. HTTP/2 is malformed. Never throws and never
// reads past `bytes`.
PeekedName peek_http_host(std::string_view bytes);

}  // namespace cellar::net
