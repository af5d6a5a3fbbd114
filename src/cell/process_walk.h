#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "async/pool.h"
#include "async/serial.h"
#include "sys/pid_namespace.h"

namespace cellar::cell {

namespace asio = boost::asio;

// All processes of the machine by their pid namespace, for cells without cgroups: one look at /proc
// serves all cells that ask in the same moment. Loop thread only.
class ProcessWalk {
 public:
  using Found = std::map<std::string, std::vector<sys::Member>>;
  static constexpr std::chrono::milliseconds kFresh{500};

  // `pool` must outlive it.
  ProcessWalk(asio::any_io_executor executor, async::Pool& pool)
      : pool_(pool), turns_(std::move(executor)) {}

  // What was found no longer than kFresh ago. Throws Error.
  asio::awaitable<std::shared_ptr<const Found>> latest();

 private:
  async::Pool& pool_;
  std::shared_ptr<const Found> found_;  // shared with those who still read it
  std::chrono::steady_clock::time_point found_at_;
  async::Serial turns_;
};

}  // namespace cellar::cell
