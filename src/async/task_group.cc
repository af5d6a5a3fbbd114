#include "async/task_group.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/system/system_error.hpp>
#include <list>

#include "async/event.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"

namespace cellar::async {

struct TaskGroup::State {
  explicit State(asio::any_io_executor on) : executor(std::move(on)), empty(executor) {}

  asio::any_io_executor executor;
  std::list<asio::cancellation_signal> signals;  // one a running task
  Event empty;
  bool closed = false;
};

namespace {

void report(const std::exception_ptr& error) {
  if (!error) return;
  try {
    std::rethrow_exception(error);
  } catch (const Error& failure) {
    if (failure.code() != ErrorCode::canceled) log::error("a task failed: {}", failure.what());
  } catch (const boost::system::system_error& failure) {
    if (failure.code() != asio::error::operation_aborted) {
      log::error("a task failed: {}", failure.what());
    }
  } catch (const std::exception& failure) {
    log::error("a task failed: {}", failure.what());
  }
}

}  // namespace

TaskGroup::TaskGroup(asio::any_io_executor executor)
    : state_(std::make_shared<State>(std::move(executor))) {}

TaskGroup::~TaskGroup() { CELLAR_CHECK(state_->signals.empty()); }

void TaskGroup::spawn(asio::awaitable<void> task) {
  if (state_->closed) return;
  const auto signal = state_->signals.emplace(state_->signals.end());
  auto done = [state = state_, signal](const std::exception_ptr& error) {
    state->signals.erase(signal);
    report(error);
    if (state->signals.empty()) state->empty.set();
  };
  asio::co_spawn(state_->executor, std::move(task),
                 asio::bind_cancellation_slot(signal->slot(), std::move(done)));
}

asio::awaitable<void> TaskGroup::close() {
  const std::shared_ptr<State> state = state_;
  state->closed = true;
  // A signal emitted before a task has begun to wait is lost: ask again until the last has ended.
  while (!state->signals.empty()) {
    for (auto at = state->signals.begin(); at != state->signals.end();) {
      (at++)->emit(asio::cancellation_type::terminal);
    }
    if (state->signals.empty()) break;
    state->empty.reset();
    const std::chrono::milliseconds kAskAgain(10);
    co_await state->empty.wait_for(kAskAgain);
  }
}

asio::awaitable<void> TaskGroup::join() {
  const std::shared_ptr<State> state = state_;
  while (!state->signals.empty()) {
    state->empty.reset();
    co_await state->empty.wait();
  }
}

std::size_t TaskGroup::size() const noexcept { return state_->signals.size(); }
bool TaskGroup::is_closed() const noexcept { return state_->closed; }

}  // namespace cellar::async
