#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>

#include "async/event.h"
#include "async/pool.h"

namespace cellar::async {

// One job at a time on a pool, in the order in which they came: one that is stuck holds up a single
// thread, and what comes after it here. A copy is the same lane; one made by default is none. The
// pool must outlive it.
class Lane {
 public:
  Lane() = default;
  explicit Lane(Pool& pool) : state_(std::make_shared<State>(pool)) {}

  // Soon, with nobody who waits for it. `job` must not throw.
  template <typename Work>
  void post(Work job) const {
    ++state_->posted_count;
    begin([state = state_, job = std::move(job)]() mutable {
      job();
      --state->posted_count;
    });
  }
  // How many of those are not done yet.
  std::size_t posted_count() const noexcept { return state_->posted_count; }

  // The same for who is told of its end in another way: run_in().
  template <typename Work>
  void begin(Work job) const {
    state_->add(Job(std::move(job)));
  }

 private:
  struct State : std::enable_shared_from_this<State> {
    explicit State(Pool& where) : pool(where) {}
    void add(Job job);
    void run_first();

    Pool& pool;
    std::atomic<std::size_t> posted_count = 0;
    std::mutex mutex;      // of what follows
    std::deque<Job> jobs;  // the first one is under way
  };
  std::shared_ptr<State> state_;  // shared by the copies, and by jobs that outlive them
};

namespace detail {

template <typename T>
struct AwaitedResult {
  explicit AwaitedResult(const asio::any_io_executor& executor) : ended(executor) {}
  JobResult<T> result;
  Event ended;
};

}  // namespace detail

// Runs `job` in the lane and gives its result, or its exception, on the caller's executor. A caller
// that is canceled does not wait for it, but gets Error `canceled`: so `job` must own all that it
// touches, and may be destroyed on the lane's thread. Name it first, as for offload().
template <typename Work>
asio::awaitable<std::invoke_result_t<Work&>> run_in(Lane lane, Work job) {
  using T = std::invoke_result_t<Work&>;
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  // Shared: either side may be gone first.
  const auto awaited = std::make_shared<detail::AwaitedResult<T>>(here);
  // The loop does not end while a job is under way.
  lane.begin([awaited, job = std::move(job), work = asio::make_work_guard(here)]() mutable {
    const std::shared_ptr<detail::JobResult<T>> result(awaited, &awaited->result);
    detail::run_into(result, std::move(job));
    asio::post(work.get_executor(), [awaited = std::move(awaited)] { awaited->ended.set(); });
  });
  co_await awaited->ended.wait();
  if (awaited->result.failure) std::rethrow_exception(awaited->result.failure);
  if constexpr (!std::is_void_v<T>) co_return std::move(*awaited->result.value);
}

}  // namespace cellar::async
