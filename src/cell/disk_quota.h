#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/pool.h"
#include "async/serial.h"
#include "async/task_group.h"
#include "cell/disk_ledger.h"

namespace cellar::cell {

namespace asio = boost::asio;

// The reason of an Error `exhausted` where the disk itself is full, and a cell cannot wake up.
inline constexpr std::string_view kDiskFull = "disk_full";

// Holds a cell to its part of the disk: lets the file system do it where that can
// (sys/disk_limit.h), and counts the rest. While something runs in the cell it looks every kLook at
// what the file system has lost, and measures the cell where that could matter, and now and then in
// any case, as others may have deleted meanwhile (DiskLedger::walk_pause); a cell that has too much
// loses what runs in it. After a walk it rests as long as that took, up to kRestMax, so a cell can
// have written for some tenths of a second longer, and for twice the time of a walk over many
// files. Loop thread only.
class DiskQuota {
 public:
  static constexpr std::chrono::milliseconds kLook{100};
  static constexpr std::chrono::seconds kRestMax{10};
  static constexpr sys::DiskUse kMaking{8 << 20, 64};  // what the making of a domain may take

  // `folders` are counted together, with what `processes()` (called on the pool) have open of
  // deleted files; `end_programs` ends what runs in the cell.
  using Processes = std::function<std::vector<pid_t>()>;
  DiskQuota(const asio::any_io_executor& executor, async::Pool& pool,
            std::vector<std::string> folders, std::function<Processes()> processes,
            std::function<void()> end_programs);
  ~DiskQuota();
  DiskQuota(const DiskQuota&) = delete;
  DiskQuota& operator=(const DiskQuota&) = delete;

  void set_limits(sys::DiskUse limits) { ledger_.set_limits(limits); }
  // Tells the file system the limits where it made the folders such that it can hold them. Throws
  // nothing for one that cannot any more: it is counted then, and the log says so.
  asio::awaitable<void> enforce();
  // Gives a full cell what the making of a domain takes: without it the overlay of its root would
  // be read-only, and the cell could not be emptied. enforce() comes after it.
  asio::awaitable<void> loosen();
  const DiskLedger& ledger() const noexcept { return ledger_; }

  // Something may write to the disk while this object lives.
  using Use = std::shared_ptr<void>;
  Use begin_use();
  // While a cell stands still nothing is watched; it goes on where something may write by then.
  void stop_watching() noexcept { stands_still_ = true; }
  void go_on();
  bool is_watching() const noexcept { return watching_; }
  // How often what ran was ended.
  std::uint64_t end_count() const noexcept { return end_count_; }

  // Before the daemon writes so many files for the cell. Throws Error `exhausted`, reason
  // `disk_quota`.
  asio::awaitable<void> require_room(std::uint64_t bytes, std::uint64_t files = 1);
  asio::awaitable<void> close();

 private:
  // Whether a walk may end where it is known that there is too much.
  enum class Walk : std::uint8_t { whole, until_too_much };
  asio::awaitable<void> measure(Walk kind);
  void start_watching();
  void expect_change();
  asio::awaitable<void> watch();
  asio::awaitable<void> look();

  async::Pool& pool_;
  std::vector<std::string> folders_;
  std::function<Processes()> processes_;
  std::function<void()> end_programs_;
  DiskLedger ledger_;
  std::weak_ptr<void> users_;
  bool watching_ = false;
  bool stands_still_ = false;
  std::uint64_t end_count_ = 0;
  std::chrono::steady_clock::time_point rest_until_;
  std::chrono::steady_clock::time_point walk_at_;
  async::Serial turns_;
  async::TaskGroup tasks_;
};

}  // namespace cellar::cell
