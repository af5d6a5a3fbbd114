#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "net/channel.h"
#include "net/injection.h"
#include "net/meter.h"
#include "net/refusal.h"
#include "net/rules.h"

namespace cellar::net {

// Who says that a request may go to a host: the cell's policy, or, where a rule forwards it, the
// operator.
enum class Leave : std::uint8_t { of_policy, of_operator };

// The server cannot be reached, or is none.
struct Unreachable {};
using Opened = std::variant<std::unique_ptr<Channel>, Refusal, Unreachable>;

// What a session needs of the way out that it belongs to, and which outlives it.
struct SessionHooks {
  std::function<std::shared_ptr<const Injection>()> injection;  // the newest
  std::function<std::shared_ptr<const Rules>()> rules;          // the newest
  std::function<asio::awaitable<Opened>(Destination, Leave)> open;
  // Why the policy of now refuses it: asked for each request, also on a connection that is kept.
  std::function<std::optional<Refusal>(const Destination&)> refusal;
  std::function<void(const Refusal&)> tell;
  std::function<void(asio::awaitable<void>)> spawn;  // ends with the session's own coroutine
  Meter& meter;
  std::chrono::milliseconds idle_limit;
  int requests_max = 10'000;  // then the connection ends
  // How long the end of what came of a stream is kept back for more.
  std::chrono::milliseconds held_limit = std::chrono::milliseconds(50);
  std::shared_ptr<void> kept;  // opaque, of the caller's
};

// Serves the requests that come over `client` for `own`, one after the other: each is read, judged
// by the rules, given its secrets and sent to its server, and the answer comes back as it arrives.
// A request is put together anew; its body and the answer's pass piece by piece, unchanged. What is
// refused is told, and answered with a text for its reader.
asio::awaitable<void> serve_requests(std::unique_ptr<Channel> client, Destination own,
                                     SessionHooks hooks);

}  // namespace cellar::net
