#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>

namespace cellar::async {

namespace asio = boost::asio;

// A flag that coroutines wait for. Any number may wait; set() wakes them all. Loop thread only. A
// wait may outlive the Event: it then ends with Error `canceled`.
class Event {
 public:
  static constexpr std::chrono::hours kForever{24 * 365 * 10};

  explicit Event(const asio::any_io_executor& executor);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set();
  void reset();
  void pulse();  // wakes those who wait now, and is not set
  bool is_set() const noexcept;

  // Returns at once where it is set. Throws Error `canceled` when the waiting task is canceled.
  asio::awaitable<void> wait();
  // False where `limit` passed first.
  asio::awaitable<bool> wait_for(std::chrono::milliseconds limit);

 private:
  struct State;
  // Shared with the waiters, which may run after the Event is gone.
  std::shared_ptr<State> state_;
};

}  // namespace cellar::async
