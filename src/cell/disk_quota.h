#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "async/pool.h"
#include "async/serial.h"
#include "async/task_group.h"
#include "cell/disk_ledger.h"

namespace cellar::cell {

namespace asio = boost::asio;

// Holds a cell to its part of the disk where the file system has no quotas of its own: it counts.
// While something runs in the cell it looks every kLook at what the file system has left, and
// measures the cell where that could matter; a cell that has too much loses what runs in it. Until
// then it can have written for a moment longer. Loop thread only.
class DiskQuota {
 public:
  static constexpr std::chrono::milliseconds kLook{100};

  // `folders` are counted together; `end_programs` ends what runs in the cell.
  DiskQuota(const asio::any_io_executor& executor, async::Pool& pool,
            std::vector<std::string> folders, std::function<void()> end_programs);
  ~DiskQuota();
  DiskQuota(const DiskQuota&) = delete;
  DiskQuota& operator=(const DiskQuota&) = delete;

  void set_limits(sys::DiskUse limits) { ledger_.set_limits(limits); }
  const DiskLedger& ledger() const noexcept { return ledger_; }

  // Something may write to the disk while this object lives.
  using Use = std::shared_ptr<void>;
  Use begin_use();
  // How often what ran was ended.
  std::uint64_t end_count() const noexcept { return end_count_; }

  // Before the daemon writes a file for the cell. Throws Error `exhausted`, reason `disk_quota`.
  asio::awaitable<void> require_room(std::uint64_t bytes);
  asio::awaitable<void> measure();
  asio::awaitable<void> close();

 private:
  asio::awaitable<void> watch();

  async::Pool& pool_;
  std::vector<std::string> folders_;
  std::function<void()> end_programs_;
  DiskLedger ledger_;
  std::weak_ptr<void> users_;
  bool watching_ = false;
  std::uint64_t end_count_ = 0;
  std::chrono::steady_clock::time_point rest_until_;
  async::Serial turns_;
  async::TaskGroup tasks_;
};

}  // namespace cellar::cell
