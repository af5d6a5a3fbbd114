#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>

namespace cellar::net {

namespace asio = boost::asio;

// Calls `bite` once when touch() was not called for `limit`: it closes the socket that a coroutine
// waits for too long. Loop thread only. Destroying it keeps it from biting, so `bite` may refer to
// what was declared before it.
class Watchdog {
 public:
  Watchdog(const asio::any_io_executor& executor, std::chrono::milliseconds limit,
           std::function<void()> bite);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Cheap: arms no timer.
  void touch() noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the timer's handler, which may run later
};

}  // namespace cellar::net
