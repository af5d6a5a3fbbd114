#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "http/server.h"
#include "http/traffic.h"

namespace cellar::http {

// One connection, from accept to close.
asio::awaitable<void> serve_connection(asio::ip::tcp::socket socket, const ServerOptions& options,
                                       const Server::Handler& handler, Traffic& traffic);

}  // namespace cellar::http
