#include "net/watchdog.h"

#include <boost/asio/steady_timer.hpp>

namespace cellar::net {

using Clock = std::chrono::steady_clock;

struct Watchdog::State : std::enable_shared_from_this<State> {
  State(const asio::any_io_executor& executor, std::chrono::milliseconds after,
        std::function<void()> what)
      : timer(executor), limit(after), touched(Clock::now()), bite(std::move(what)) {}

  void arm() {
    timer.expires_at(touched + limit);
    timer.async_wait([state = shared_from_this()](const boost::system::error_code&) {
      if (!state->bite) return;
      if (Clock::now() < state->touched + state->limit) return state->arm();
      const auto bite = std::exchange(state->bite, nullptr);
      bite();
    });
  }

  asio::steady_timer timer;
  std::chrono::milliseconds limit;
  Clock::time_point touched;
  std::function<void()> bite;  // null once it has bitten or must not any more
};

Watchdog::Watchdog(const asio::any_io_executor& executor, std::chrono::milliseconds limit,
                   std::function<void()> bite)
    : state_(std::make_shared<State>(executor, limit, std::move(bite))) {
  state_->arm();
}

Watchdog::~Watchdog() {
  state_->bite = nullptr;
  state_->timer.cancel();
}

void Watchdog::touch() noexcept { state_->touched = Clock::now(); }

}  // namespace cellar::net
