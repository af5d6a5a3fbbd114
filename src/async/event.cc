#include "async/event.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>

#include "base/error.h"

namespace cellar::async {

struct Event::State {
  asio::any_io_executor executor;
  bool set = false;
  bool gone = false;
  std::list<asio::steady_timer*> waiters;

  void wake() {
    for (asio::steady_timer* waiter : waiters) waiter->cancel();
  }
};

namespace {

// Takes a waiter's timer out of the list, however the wait ends.
class Waiting {
 public:
  Waiting(std::list<asio::steady_timer*>& list, asio::steady_timer& timer)
      : list_(list), place_(list.insert(list.end(), &timer)) {}
  ~Waiting() { list_.erase(place_); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  std::list<asio::steady_timer*>& list_;
  std::list<asio::steady_timer*>::iterator place_;
};

}  // namespace

Event::Event(const asio::any_io_executor& executor)
    : state_(std::make_shared<State>(State{.executor = executor, .waiters = {}})) {}

Event::~Event() {
  state_->gone = true;
  state_->wake();
}

void Event::set() {
  state_->set = true;
  state_->wake();
}

void Event::reset() { state_->set = false; }
void Event::pulse() { state_->wake(); }
bool Event::is_set() const noexcept { return state_->set; }

asio::awaitable<void> Event::wait() { co_await wait_for(kForever); }

asio::awaitable<bool> Event::wait_for(std::chrono::milliseconds limit) {
  const std::shared_ptr<State> state = state_;
  if (state->set) co_return true;
  asio::steady_timer timer(state->executor, limit);
  const Waiting waiting(state->waiters, timer);
  // A set() that is reset() before we run again still has canceled the timer: that is a wake-up.
  const auto result = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  const bool timed_out = !std::get<0>(result);
  const auto cancellation = co_await asio::this_coro::cancellation_state;
  if (state->gone || cancellation.cancelled() != asio::cancellation_type::none) {
    throw Error(ErrorCode::canceled, "canceled while waiting");
  }
  co_return !timed_out || state->set;
}

}  // namespace cellar::async
