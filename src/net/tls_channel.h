#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "net/channel.h"
#include "net/stream.h"

// What both sides of TLS have in common; for the sources of this module's TLS only.
namespace cellar::net {

using TlsStream = asio::ssl::stream<Tcp::socket>;

// `already_read` was read from the connection before. Throws boost::system::system_error, also
// after `limit`.
asio::awaitable<void> shake_hands(TlsStream& stream, asio::ssl::stream_base::handshake_type side,
                                  std::string already_read, std::chrono::milliseconds limit);

// What every server here speaks: TLS 1.2 or later, and HTTP/1.1 to clients that offer protocols.
void serve_http11(SSL_CTX* context);

// After the handshake.
std::unique_ptr<Channel> tls_channel(std::unique_ptr<TlsStream> stream);

}  // namespace cellar::net
