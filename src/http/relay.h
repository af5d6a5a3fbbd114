#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "http/exchange.h"
#include "http/head.h"

namespace cellar::http {

struct RelayLimits {
  std::size_t head_bytes_max = 64 << 10;          // of the server's answer, and between its chunks
  std::chrono::milliseconds idle_limit{900'000};  // no head, and no piece of a body, moves
  std::chrono::milliseconds write_limit{60'000};  // the server takes nothing
  std::chrono::milliseconds upgraded_idle_limit{3'600'000};  // nothing comes from either side
};

// What the server gets, instead of what the client sent.
struct RelayRequest {
  std::string target;   // "/a?b=1"
  Fields fields;        // end to end; Host is the first
  std::string upgrade;  // empty: none is wanted
};

// All may be empty.
struct RelayHooks {
  // Before bytes of the client go to the server, which may have to be woken for them.
  std::function<asio::awaitable<void>()> before_write;
  // Whether the client may still be served; asked before each piece that goes either way, and where
  // not, both connections end.
  std::function<bool()> may_go_on;
  // What the client gets of the server's fields, which are end to end.
  std::function<void(int status, Fields& fields)> edit_answer;
};

// Where a server listens: an address in the network's order, of which IPv4 has the first 4 bytes.
// One that means every address is reached as the loopback's.
struct Inside {
  bool is_v6 = false;
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;
};

// Connects the non-blocking TCP socket `fd`, which it takes over. nullopt where nobody answers
// within the limit.
asio::awaitable<std::optional<asio::ip::tcp::socket>> connect_inside(
    asio::any_io_executor executor, int fd, Inside to, std::chrono::milliseconds limit);

// Passes a request and its answer on between a client and a server that `socket` is connected to;
// with it all that follows an upgrade. Bodies go through piece by piece, each as large as it comes,
// and are framed anew: what was one request stays one. One request for each socket. Interim answers
// (100, 103) are not passed on, and no trailers.
//
// Throws Error `unavailable`, reason `no_answer`, where the server ends or is late before its head
// has come, or that is none. After that a failure ends the client's connection: Error `canceled`.
asio::awaitable<void> relay(Exchange& exchange, asio::ip::tcp::socket socket, RelayRequest request,
                            RelayLimits limits, RelayHooks hooks);

}  // namespace cellar::http
