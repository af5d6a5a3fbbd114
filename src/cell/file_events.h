#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "async/pool.h"
#include "async/readable.h"
#include "async/serial.h"
#include "async/task_group.h"
#include "cell/file_batch.h"
#include "cell/work_watch.h"
#include "net/pace.h"

namespace cellar::cell {

namespace asio = boost::asio;

// Tells what happens to a cell's files, whoever does it, in events of the cell: for as long as it
// exists nothing is left out without saying so. While nothing happens it does nothing: the kernel
// wakes it. Loop thread only; what blocks goes to the pool.
class FileEvents {
 public:
  // Puts the data of an event into the cell's sequence; false where there is no room for it now.
  using Tell = std::function<asio::awaitable<bool>(json::Value data)>;

  struct Options {
    std::chrono::milliseconds quiet{100};     // no change for so long ends an event
    std::chrono::milliseconds longest{1000};  // so does this, from the first change on
    int burst = 60;                           // events at once, then
    std::chrono::milliseconds each{5000};     // one in so long, of what happened in that time
    std::chrono::milliseconds try_again{std::chrono::minutes(5)};  // to watch, where that failed
    std::chrono::milliseconds room_again{1000};                    // to tell, where there was none
    WorkWatch::Limits limits;
  };

  // `work` must outlive it.
  FileEvents(const asio::any_io_executor& executor, async::Pool& pool, const sys::BeneathDir& work,
             Tell tell, const Options& options);
  FileEvents(const asio::any_io_executor& executor, async::Pool& pool, const sys::BeneathDir& work,
             Tell tell)
      : FileEvents(executor, pool, work, std::move(tell), Options()) {}

  // Tells all that happens once this returns. `unknown_since`: why what happened before is not
  // known, which is told first. What cannot be watched is told, too, and tried again.
  asio::awaitable<void> begin(std::optional<std::string> unknown_since);
  // Tells what has happened so far at once. False where not all of it is known and told.
  asio::awaitable<bool> settle();
  // Comes before its end. What happened since settle() is not told.
  asio::awaitable<void> close();

 private:
  asio::awaitable<void> follow();
  asio::awaitable<void> gather();
  asio::awaitable<void> wait_for_turn();
  asio::awaitable<void> tell_until_told();
  asio::awaitable<void> watch_again();
  asio::awaitable<void> read_rules_again();
  // Whether something has happened since the last look.
  asio::awaitable<bool> look();

  // These are called in a turn.
  asio::awaitable<bool> look_now();
  asio::awaitable<bool> tell_now();
  // False where it cannot be watched, which is to be told.
  asio::awaitable<bool> watch();
  void add(const WorkWatch::Changes& changes);
  void lose(const Error& why);
  void hear();

  const asio::any_io_executor executor_;
  async::Pool& pool_;
  const sys::BeneathDir& work_;
  const Tell tell_;
  const Options options_;
  async::Serial turns_;
  std::shared_ptr<WorkWatch> watch_;    // shared with the pool, where it ends
  async::SharedDescriptor descriptor_;  // readable once the watch has something
  FileBatch batch_;
  bool have_rules_changed_ = false;
  net::Pace pace_;
  async::TaskGroup tasks_;
};

}  // namespace cellar::cell
