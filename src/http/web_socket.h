#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "http/exchange.h"
#include "http/stream.h"

namespace cellar::http {

// Answers a request for a WebSocket; `protocol` is the subprotocol, empty: none. `stream` must
// outlive it.
asio::awaitable<std::unique_ptr<WebSocket>> accept_web_socket(Stream& stream,
                                                              const RawRequest& request,
                                                              std::string protocol,
                                                              std::chrono::seconds write_limit);

}  // namespace cellar::http
