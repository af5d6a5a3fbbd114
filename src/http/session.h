#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "async/event.h"
#include "http/server.h"

namespace cellar::http {

// What the connections of a server share.
struct Traffic {
  bool draining = false;            // no connection takes another request
  std::size_t busy_count = 0;       // requests under way
  std::size_t handshake_count = 0;  // TLS that has not begun
};

// One connection, from accept to close.
asio::awaitable<void> serve_connection(asio::ip::tcp::socket socket, const ServerOptions& options,
                                       const Server::Handler& handler, Traffic& traffic);

}  // namespace cellar::http
