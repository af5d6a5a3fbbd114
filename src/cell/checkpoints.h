#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/pool.h"
#include "async/serial.h"
#include "async/task_group.h"
#include "cell/left_out.h"
#include "checkpoint/comparison.h"
#include "checkpoint/store.h"
#include "checkpoint/taker.h"
#include "sys/beneath.h"

namespace cellar::cell {

namespace asio = boost::asio;

struct CheckpointRequest {
  std::string name;     // may be empty
  std::string message;  // the same
};

// A name of a checkpoint as a request has it: 1 to 64 letters, digits, '.', '_' and '-'; neither
// "now" nor what an id looks like. Throws Error `invalid_argument`, reason `invalid_field`.
std::string checked_checkpoint_name(std::string name);

inline constexpr std::string_view kPresent = "now";

struct DiffRequest {
  std::string from;          // a checkpoint's id or name; empty: the newest
  std::string to{kPresent};  // the same, or what there is now
  std::string path = ".";    // only what is there, or below
  WorkScope scope = WorkScope::searched;
  checkpoint::Patches patches = checkpoint::Patches::made;
  checkpoint::DiffLimits limits;
};

struct DiffAnswer {
  checkpoint::Head from;
  std::optional<checkpoint::Head> to;  // nullopt: now
  checkpoint::Differences differences;
};

// The checkpoints of a cell in the daemon's loop: made and deleted one at a time, in slices on the
// pool. Loop thread only.
class Checkpoints {
 public:
  // All must outlive it. Removes what an earlier daemon did not finish: blocks.
  Checkpoints(const asio::any_io_executor& executor, async::Pool& pool, const sys::BeneathDir& work,
              const std::string& dir);

  // What the cell itself gives to a checkpoint.
  struct Parts {
    std::uint64_t stored_bytes_max = 0;
    std::function<std::uint64_t()> event_seq;
    // Copies the database to the new file `path`; false where the cell has none.
    std::function<asio::awaitable<bool>(std::string path)> copy_database;
  };
  // Durable when it returns. A caller that is canceled leaves nothing. Throws Error as Store and
  // Taker do.
  asio::awaitable<checkpoint::Head> make(CheckpointRequest request, Parts parts);
  // Oldest first.
  asio::awaitable<std::vector<checkpoint::Head>> list();
  // By id or name. Throws Error `not_found`, reason `checkpoint_not_found`.
  asio::awaitable<checkpoint::Head> get(std::string wanted);
  // Durable when it returns; ends whether its caller stays or not. Throws as get().
  asio::awaitable<void> remove(std::string wanted);
  // A few of a cell at a time.
  asio::awaitable<DiffAnswer> diff(DiffRequest request);
  // Gives up what is being made.
  asio::awaitable<void> close() { return tasks_.close(); }

 private:
  // Of diff(). Throws Error `unavailable` beyond.
  static constexpr async::SerialLimits kComparing{.at_once = 2, .waiters_max = 100};
  static constexpr async::SerialLimits kChanging{.at_once = 1, .waiters_max = 100};

  using Stop = std::shared_ptr<std::atomic<bool>>;
  asio::awaitable<checkpoint::Head> make_now(CheckpointRequest request, Parts parts, Stop stop);
  asio::awaitable<void> take(checkpoint::Head& head, const Parts& parts, Stop stop);
  asio::awaitable<void> remove_now(std::string wanted);

  async::Pool& pool_;
  const sys::BeneathDir& work_;
  checkpoint::Store store_;
  async::Serial changes_;
  async::Serial comparing_;
  async::TaskGroup tasks_;
};

}  // namespace cellar::cell
