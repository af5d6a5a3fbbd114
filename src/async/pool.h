#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace cellar::async {

namespace asio = boost::asio;

// The threads for what blocks: file system, SQLite, hashing, walks. The destructor waits for jobs.
class Pool {
 public:
  explicit Pool(unsigned thread_count) : threads_(thread_count) {}
  ~Pool() { threads_.join(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  asio::thread_pool::executor_type executor() { return threads_.get_executor(); }

 private:
  asio::thread_pool threads_;
};

namespace detail {

// What a job gave, on its way from a thread of the pool to the caller's executor.
template <typename T>
struct JobResult {
  std::exception_ptr failure;
  std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
};

// `job` is gone afterwards: nothing of the caller's is touched once the caller goes on.
template <typename T, typename Job>
void run_into(std::shared_ptr<JobResult<T>> result, Job job) {
  try {
    if constexpr (std::is_void_v<T>) {
      job();
    } else {
      result->value.emplace(job());
    }
  } catch (...) {
    result->failure = std::current_exception();
  }
}

}  // namespace detail

// Runs `job` on the pool and gives its result, or its exception, on the caller's executor. `job`
// must own, or outlive with, all that it touches: it is not interrupted when the caller is
// canceled, who waits for it all the same. Name the job first (docs/adr/0004): `auto job = [..]
// {..}; co_await offload(pool, job);`
//
// One hand-over there and one back: a durable step is waiting for them.
template <typename Job>
asio::awaitable<std::invoke_result_t<Job&>> offload(Pool& pool, Job job) {
  using T = std::invoke_result_t<Job&>;
  auto result = std::make_shared<detail::JobResult<T>>();
  auto begin = [&pool, result, job = std::move(job)](auto handler) mutable {
    // The loop does not end while a job is under way.
    auto work = asio::make_work_guard(asio::get_associated_executor(handler));
    asio::post(pool.executor(), [result = std::move(result), job = std::move(job),
                                 handler = std::move(handler), work = std::move(work)]() mutable {
      detail::run_into(std::move(result), std::move(job));
      asio::post(work.get_executor(), std::move(handler));
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(std::move(begin),
                                                                       asio::use_awaitable);
  if (result->failure) std::rethrow_exception(result->failure);
  if constexpr (!std::is_void_v<T>) co_return std::move(*result->value);
}

}  // namespace cellar::async
