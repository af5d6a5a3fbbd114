#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace cellar::async {

namespace asio = boost::asio;

// Something to be done once, by whatever thread. run() must not throw.
class Job {
 public:
  template <typename Work>
  explicit Job(Work work) : held_(std::make_unique<Held<Work>>(std::move(work))) {}
  void run() { held_->run(); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual void run() = 0;
  };
  template <typename Work>
  struct Held final : Base {
    explicit Held(Work given) : work(std::move(given)) {}
    void run() override { work(); }
    Work work;
  };
  std::unique_ptr<Base> held_;
};

// The threads for what blocks: file system, SQLite, hashing, walks. Jobs begin in the order in
// which they were posted. Of the threads that wait for one, the last to have worked takes the next:
// it is still warm. In turns, as a `thread_pool` of Asio's has it, each of a run's durable steps
// was written by another thread and took a seventh longer (bench/README.md).
class Pool {
 public:
  explicit Pool(unsigned thread_count);
  ~Pool();  // waits for jobs, those that jobs post among them
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Any thread. `work` must not throw, and is gone once it is done.
  template <typename Work>
  void post(Work work) {
    add(Job(std::move(work)));
  }

 private:
  struct Worker {
    std::thread thread;
    std::condition_variable called;
    bool is_called = false;
  };
  void add(Job job);
  void work(Worker& self);
  void end() noexcept;

  std::mutex mutex_;  // of what follows
  std::deque<Job> jobs_;
  std::vector<Worker*> idle_;  // the last one was at work last
  bool is_ending_ = false;
  std::deque<Worker> workers_;  // which stay where they are
};

namespace detail {

// What a job gave, on its way from a thread of the pool to the caller's executor.
template <typename T>
struct JobResult {
  std::exception_ptr failure;
  std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
};

// `job` is gone afterwards: nothing of the caller's is touched once the caller goes on.
template <typename T, typename Work>
void run_into(std::shared_ptr<JobResult<T>> result, Work job) {
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
template <typename Work>
asio::awaitable<std::invoke_result_t<Work&>> offload(Pool& pool, Work job) {
  using T = std::invoke_result_t<Work&>;
  auto result = std::make_shared<detail::JobResult<T>>();
  auto begin = [&pool, result, job = std::move(job)](auto handler) mutable {
    // The loop does not end while a job is under way.
    auto work = asio::make_work_guard(asio::get_associated_executor(handler));
    pool.post([result = std::move(result), job = std::move(job), handler = std::move(handler),
               work = std::move(work)]() mutable {
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
