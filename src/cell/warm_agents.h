#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "async/pool.h"
#include "async/task_group.h"
#include "cell/agent_process.h"
#include "cell/capacity.h"
#include "cell/command.h"
#include "cell/spawner.h"
#include "image/store.h"
#include "sys/process.h"

namespace cellar::cell {

// An agent domain and an agent host for JavaScript that runs in it: all of them that no cell is
// needed for (sandbox/spec.h). It has never been a cell's.
struct WarmAgent {
  std::string slot;       // of its groups
  std::string image_dir;  // of its root
  sys::ProcessId init;
  std::string socket_path;
  sys::Fd connection;  // until there is a link
  CommandPlace place;  // of the agent host
  std::shared_ptr<AgentProcess> host;
};

// Ranges of ids for domains that are made before it is known for which cell. They are below those
// of cells, as devpts of Linux 6.1 takes no id above INT_MAX, and one is given again once its
// domain has ended. Belongs to the thread it is made on, and checks that.
class WarmRanges {
 public:
  static constexpr std::uint32_t kBase = 0x0800'0000;
  static constexpr std::uint32_t kCount = 2048;

  // `first`: the number of the range that is given first, modulo kCount.
  explicit WarmRanges(std::uint32_t first) : next_(first % kCount) {}
  // The host's id of root in a range that nobody has; nullopt where all are taken.
  std::optional<std::uint32_t> take();
  void hold(std::uint32_t uid_base);
  void release(std::uint32_t uid_base) noexcept;

 private:
  bool is_on_own_thread() const noexcept { return std::this_thread::get_id() == thread_; }

  const std::thread::id thread_ = std::this_thread::get_id();
  std::uint32_t next_;
  std::set<std::uint32_t> held_;
};

// Agent hosts that run before anybody asks, so that the start of Node.js is not on a cell's way
// back from its disk. Loop thread only.
//
// They are made one after the other, with the least weight, where memory is left above the reserve;
// where it is not, all of them end. What V8 makes of the host's code is kept beside that, by the
// first of them: agents that start later need not compile it.
class WarmAgents {
 public:
  struct Options {
    std::size_t count = 0;  // ahead; 0: none
    std::string state_dir;
    std::string daemon_group;
    sandbox::CgroupHost cgroup_host;
    image::Store images;  // those are made whose cells have the default one
    std::string agent_host_dir;
  };
  // `pool`, `pipes` (Machine::pipes), `spawner` and `capacity` must outlive it.
  WarmAgents(asio::any_io_executor executor, async::Pool& pool, async::Pool& pipes,
             Spawner& spawner, Capacity& capacity, Options options);
  WarmAgents(const WarmAgents&) = delete;
  WarmAgents& operator=(const WarmAgents&) = delete;

  // Begins to make them. Domains of an earlier daemon hold their ranges by then.
  void start();
  // Ends those that nobody has. Nothing may be taken afterwards; comes after the cells were closed,
  // whose links to their domains are served here.
  asio::awaitable<void> close();

  // One with a root of this image, which is the caller's from now on, and its range with it;
  // nullopt where none is ready.
  std::optional<WarmAgent> take(const std::string& image_dir);
  // Ends one that was taken for nothing, some time later.
  void discard(WarmAgent warm);
  WarmRanges& ranges() noexcept { return ranges_; }

 private:
  asio::awaitable<void> make_one();
  asio::awaitable<WarmAgent> make_in(sandbox::DomainSpec spec);
  asio::awaitable<void> start_host(WarmAgent& warm);
  asio::awaitable<void> keep_code(AgentProcess& host, const AgentFrame& hello);
  asio::awaitable<void> end(WarmAgent warm);
  asio::awaitable<void> end_slot(std::string slot, std::string socket_path, std::uint32_t uid_base);
  void end_useless();
  sandbox::CgroupPlan groups_of(const std::string& slot) const;
  std::string image_dir() const;
  bool is_closing() const noexcept { return options_.count == 0; }

  asio::any_io_executor executor_;
  async::Pool& pool_;
  async::Pool& pipes_;
  Spawner& spawner_;
  Capacity& capacity_;
  Options options_;
  WarmRanges ranges_;
  std::uint64_t made_count_ = 0;
  std::deque<WarmAgent> ready_;
  async::TaskGroup links_;    // end with their domains
  async::TaskGroup makings_;  // go on to their end
  async::TaskGroup tasks_;
};

}  // namespace cellar::cell
