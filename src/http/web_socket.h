#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <chrono>
#include <memory>

#include "http/exchange.h"
#include "http/piece_body.h"

namespace cellar::http {

// Answers the handshake on `stream`, which must outlive what it gives. Throws Error `canceled`.
asio::awaitable<std::unique_ptr<WebSocket>> accept_web_socket(
    boost::beast::tcp_stream& stream, const boost::beast::http::request<PieceBody>& request,
    std::chrono::seconds write_limit);

}  // namespace cellar::http
