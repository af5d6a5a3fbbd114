#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>

#include "async/event.h"

namespace cellar::async {

struct SerialLimits {
  std::size_t at_once = 1;
  std::size_t waiters_max = 10'000;
};

// Lets one coroutine at a time pass, or `at_once` of them, in the order in which they came: a cell
// changes its state in one place at a time. Loop thread only; outlives every Turn.
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

  explicit Serial(asio::any_io_executor executor, SerialLimits limits = {})
      : executor_(std::move(executor)), limits_(limits) {}

  // Throws Error `unavailable` where too many wait already.
  asio::awaitable<Turn> turn();
  // Nothing where it did not come within `limit`.
  asio::awaitable<std::optional<Turn>> turn_within(std::chrono::milliseconds limit);

 private:
  void next();

  asio::any_io_executor executor_;
  SerialLimits limits_;
  std::size_t taken_count_ = 0;
  std::deque<std::shared_ptr<Event>> waiting_;  // shared with the coroutine that waits
};

}  // namespace cellar::async
