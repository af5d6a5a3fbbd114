#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "http/server.h"
#include "http/traffic.h"

namespace cellar::http {

// One connection, from accept to close; `client` is the address it comes from.
asio::awaitable<void> serve_connection(asio::ip::tcp::socket socket, std::string client,
                                       const ServerOptions& options, const Server::Handler& handler,
                                       Traffic& traffic);

}  // namespace cellar::http
