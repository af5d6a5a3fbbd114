#pragma once

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>
#include <utility>

#include "api/call.h"

namespace cellar::api {

// How long a stream may go on to say nothing: kHeartbeat since it said something, whatever happens
// meanwhile that it does not tell. Pure: it is told what time it is.
class Silence {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit Silence(TimePoint now) noexcept : since_(now) {}

  void broken(TimePoint now) noexcept { since_ = now; }
  std::chrono::milliseconds left(TimePoint now) const noexcept {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(since_ + kHeartbeat - now);
    return std::max(left, std::chrono::milliseconds(0));
  }

 private:
  TimePoint since_;
};

// What the loop of a stream of events sends through, so that its client knows that it is there, and
// is told nothing more once its key is over. `call` must outlive it; made when the stream begins.
class Heartbeat {
 public:
  explicit Heartbeat(const Call& call) : call_(call), silence_(now()) {}

  asio::awaitable<void> send(std::string text) {
    co_await call_.exchange.send(std::move(text));
    silence_.broken(now());
  }
  // How long to wait for something to tell.
  std::chrono::milliseconds left() const {
    return std::min(call_.heartbeat(), silence_.left(now()));
  }
  // Whether beat() follows, after such a wait that did or did not bring something.
  bool is_due(bool has_news) const {
    return !has_news || silence_.left(now()).count() == 0 ||
           (call_.may_go_on && !call_.may_go_on());
  }
  // Says that it is still here, or throws as send() does where its key is over.
  asio::awaitable<void> beat() { return send(std::string(kHeartbeatComment)); }

 private:
  static Silence::TimePoint now() noexcept { return std::chrono::steady_clock::now(); }

  const Call& call_;
  Silence silence_;
};

}  // namespace cellar::api
