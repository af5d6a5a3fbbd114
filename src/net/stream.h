#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/meter.h"
#include "net/peeked_name.h"
#include "net/request_body.h"
#include "net/watchdog.h"

// What an egress does with TCP sockets. Loop thread only; every wait has a limit.
namespace cellar::net {

using Tcp = asio::ip::tcp;

// Completes with (error, ...) where the default would throw.
inline constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

// Reads from `socket` into `head`, which may begin with what was read before, until `peek` knows
// its answer. State `more`: the client left or
// sent too little within `limit`.
asio::awaitable<PeekedName> read_head(Tcp::socket& socket, std::string& head,
                                      PeekedName (*peek)(std::string_view),
                                      std::chrono::milliseconds limit);

// Connects to the first endpoint that answers, each within an equal share of `limit`. nullopt where
// none does.
asio::awaitable<std::optional<Tcp::socket>> dial(std::vector<Tcp::endpoint> endpoints,
                                                 std::chrono::milliseconds limit);

// Sends `last_words`, then closes so that the peer gets to read them.
asio::awaitable<void> close_with(Tcp::socket& socket, std::string last_words);

// Closes at once: the peer sees "connection reset".
void reset(Tcp::socket& socket);

// Whether the peer has neither sent what nobody has read, nor ended.
bool is_quiet(Tcp::socket& socket);

// Two connections that become one. Shared by its two directions: the last to end destroys it.
struct Joined {
  // `ends_with` is destroyed with it.
  Joined(Tcp::socket client_side, Tcp::socket upstream_side, std::chrono::milliseconds idle_limit,
         std::shared_ptr<void> ends_with);

  void reset_both();

  Tcp::socket client;
  Tcp::socket upstream;
  std::shared_ptr<void> kept;  // opaque, of the caller's
  // Asked before bytes go up; where it says no both are reset. Empty: all may, and are not looked
  // at.
  std::function<bool(std::string_view)> may_send;
  Watchdog idle;
};

// Sends `head`, then what comes from `from`, to `to`, both of `joined`, and counts it as `way`, as
// fast as `meter` allows. The end of the stream is passed on as such; after an error, the idle
// limit or the last byte that `meter` allows both are reset.
asio::awaitable<void> pump(std::shared_ptr<Joined> joined, Way way, std::string head, Meter& meter);

// The same from the client for one request: `head`, and then `body`, whose beginning may be in
// `rest`. What the client sends behind it goes nowhere.
asio::awaitable<void> pump_request(std::shared_ptr<Joined> joined, std::string head,
                                   std::string rest, RequestBody body, Meter& meter);

}  // namespace cellar::net
