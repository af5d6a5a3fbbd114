#include "async/serial.h"

#include <algorithm>

#include "base/error.h"

namespace cellar::async {
asio::awaitable<Serial::Turn> Serial::turn() {
  auto turn = co_await turn_within(Event::kForever);
  co_return std::move(*turn);
}

asio::awaitable<std::optional<Serial::Turn>> Serial::turn_within(std::chrono::milliseconds limit) {
  if (taken_count_ < limits_.at_once) {
    ++taken_count_;
    co_return Turn(*this);
  }
  if (waiting_.size() >= limits_.waiters_max) {
    throw Error(ErrorCode::unavailable, "too_many_waiting", "too many wait for the same already");
  }
  const auto mine = std::make_shared<Event>(executor_);
  waiting_.push_back(mine);
  try {
    if (!co_await mine->wait_for(limit)) {
      waiting_.erase(std::find(waiting_.begin(), waiting_.end(), mine));
      co_return std::nullopt;
    }
  } catch (...) {
    const auto place = std::find(waiting_.begin(), waiting_.end(), mine);
    if (place != waiting_.end()) {
      waiting_.erase(place);
    } else {
      next();  // The turn had been given to us already.
    }
    throw;
  }
  co_return Turn(*this);
}

void Serial::next() {
  if (waiting_.empty()) {
    --taken_count_;
    return;
  }
  const auto first = waiting_.front();
  waiting_.pop_front();
  first->set();
}

}  // namespace cellar::async
