#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>

namespace cellar::async {

namespace asio = boost::asio;

// Owns running coroutines: none outlives the group. The last member of every object that starts
// work, so that what the work touches is still there. Loop thread only.
class TaskGroup {
 public:
  explicit TaskGroup(asio::any_io_executor executor);
  // Aborts where a task still runs: close() comes first.
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Starts `task` soon, not within this call. An Error that leaves it is logged, unless it is
  // `canceled`; so is every other exception. After close() nothing is started any more.
  void spawn(asio::awaitable<void> task);

  // Cancels all tasks and waits until the last has ended.
  asio::awaitable<void> close();
  // Waits until the last has ended by itself.
  asio::awaitable<void> join();

  std::size_t size() const noexcept;
  bool is_closed() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the tasks' completion handlers
};

}  // namespace cellar::async
