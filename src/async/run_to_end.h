#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "async/event.h"
#include "async/task_group.h"
#include "base/error.h"

namespace cellar::async {

namespace detail {

template <typename T>
struct Outcome {
  explicit Outcome(const asio::any_io_executor& executor) : ended(executor) {}
  Event ended;
  std::exception_ptr failure;
  std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
};

template <typename T>
asio::awaitable<void> run_into(std::shared_ptr<Outcome<T>> outcome, asio::awaitable<T> work) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(work);
      outcome->value = true;
    } else {
      outcome->value = co_await std::move(work);
    }
  } catch (...) {
    outcome->failure = std::current_exception();
  }
  outcome->ended.set();
}

}  // namespace detail

// Runs `work` in the group and waits for it. A caller that is canceled leaves; `work` goes on to
// its end all the same: for what must not stop half-way because a client has gone. `work` must own,
// or outlive with the group, all that it touches. Throws Error `canceled` where the group is closed
// already: nobody would ever end the wait.
template <typename T>
asio::awaitable<T> run_to_end(TaskGroup& group, asio::awaitable<T> work) {
  if (group.is_closed()) throw Error(ErrorCode::canceled, "what does this is closed");
  // Shared: either side may be gone first.
  const auto outcome = std::make_shared<detail::Outcome<T>>(co_await asio::this_coro::executor);
  group.spawn(detail::run_into<T>(outcome, std::move(work)));
  co_await outcome->ended.wait();
  if (outcome->failure) std::rethrow_exception(outcome->failure);
  if constexpr (!std::is_void_v<T>) co_return std::move(*outcome->value);
}

}  // namespace cellar::async
