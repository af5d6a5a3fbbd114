#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>

namespace cellar::egress {

namespace asio = boost::asio;

// Closes `socket`, which must outlive the timer, after `limit`, unless the timer is canceled.
asio::steady_timer close_after(asio::ip::tcp::socket& socket, std::chrono::seconds limit);

// Sends `first_bytes` to `upstream` and then what each side sends to the other, until both have
// ended, one breaks, or nothing has come for 15 minutes.
asio::awaitable<void> splice(asio::ip::tcp::socket client, asio::ip::tcp::socket upstream,
                             std::string first_bytes);

}  // namespace cellar::egress
