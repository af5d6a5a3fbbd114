#pragma once

#include <string_view>

#include "net/peeked_name.h"

namespace cellar::net {

// Whether `bytes` begin as a TLS connection does.
inline bool is_tls(std::string_view bytes) noexcept { return bytes.starts_with('\x16'); }

// The server name (SNI) in the TLS ClientHello that `bytes` begin with. The message may be cut
// anywhere and be spread over several records; what follows it is ignored. Never throws and never
// reads past `bytes`, whatever they hold.
PeekedName peek_client_hello(std::string_view bytes);

}  // namespace cellar::net
