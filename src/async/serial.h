#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <deque>
#include <memory>

#include "async/event.h"

namespace cellar::async {

// Lets one coroutine at a time pass, in the order in which they came: a cell changes its state in
// one place at a time. Loop thread only; outlives every Turn.
class Serial {
 public:
  // Ends the turn when destroyed.
  class Turn {
   public:
    explicit Turn(Serial& serial) noexcept : serial_(&serial) {}
    Turn(Turn&& other) noexcept : serial_(std::exchange(other.serial_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (serial_ != nullptr) serial_->next();
    }

   private:
    Serial* serial_;
  };

  explicit Serial(asio::any_io_executor executor, std::size_t waiters_max = 10'000)
      : executor_(std::move(executor)), waiters_max_(waiters_max) {}

  // Throws Error `unavailable` where too many wait already.
  asio::awaitable<Turn> turn();

 private:
  void next();

  asio::any_io_executor executor_;
  std::size_t waiters_max_;
  bool taken_ = false;
  std::deque<std::shared_ptr<Event>> waiting_;  // shared with the coroutine that waits
};

}  // namespace cellar::async
