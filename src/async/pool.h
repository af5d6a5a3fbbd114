#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
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

template <typename Job>
asio::awaitable<std::invoke_result_t<Job&>> run(Job job) {
  co_return job();
}

}  // namespace detail

// Runs `job` on the pool and gives its result, or its exception, on the caller's executor. `job`
// must own, or outlive with, all that it touches: it is not interrupted when the caller is
// canceled. Name the job first (docs/adr/0004): `auto job = [..] {..}; co_await offload(pool,
// job);`
template <typename Job>
asio::awaitable<std::invoke_result_t<Job&>> offload(Pool& pool, Job job) {
  auto work = detail::run<Job>(std::move(job));
  co_return co_await asio::co_spawn(pool.executor(), std::move(work), asio::use_awaitable);
}

}  // namespace cellar::async
