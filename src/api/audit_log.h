#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <vector>

#include "async/pool.h"
#include "async/serial.h"
#include "async/task_group.h"
#include "audit/trail.h"

namespace cellar::api {

namespace asio = boost::asio;

// Who changed what, and who was refused: noted at once in memory, on the disk within a second, or
// once flush() or close() has returned. What waits when the daemon is killed is lost.
//
// Loop thread only; the files are the pool's.
class AuditLog {
 public:
  // Entries that wait for the disk; with more nothing may change any more.
  static constexpr std::size_t kPendingMax = 10'000;
  // Of refusals, which cost whoever makes them nothing; more are counted only.
  static constexpr std::size_t kRefusalsPerSecondMax = 20;
  // Of those without a key so many at once, and then so many a second: some 10 MB a day.
  static constexpr double kStrangersPerSecond = 0.2;

  // `pool` must outlive it. Reads what is there: blocks for a moment. Throws Error.
  AuditLog(asio::any_io_executor executor, async::Pool& pool, const std::string& dir,
           audit::Trail::Options options);

  // Of its files, from the next look at them on.
  void set_limits(std::chrono::seconds retention, std::uint64_t bytes_max) {
    limits_ = {.retention = retention, .bytes_max = bytes_max};
  }
  // Writes what was noted, each second from now on.
  void start();
  void note(audit::Entry entry);
  // Before something changes. Throws Error `unavailable`, reason `audit_unavailable`.
  void require_room() const;
  // All that was noted before is durable when this returns. Throws Error where the disk fails: it
  // is tried again.
  asio::awaitable<void> flush();
  // With all that was noted before.
  asio::awaitable<audit::Trail::Page> read(audit::Seq after, std::size_t limit);
  asio::awaitable<void> close();

 private:
  asio::awaitable<void> keep();
  asio::awaitable<void> try_flush();
  bool is_one_too_many(const audit::Entry& entry);
  // With those that may come back from a disk that fails.
  std::size_t waiting_count() const noexcept { return pending_.size() + on_its_way_count_; }

  async::Pool& pool_;
  std::shared_ptr<audit::Trail> trail_;  // with the jobs that use it
  async::Serial turns_;
  std::vector<audit::Entry> pending_;
  std::size_t on_its_way_count_ = 0;  // that a job writes now
  std::size_t refusal_count_ = 0;     // of keys, in this second
  double stranger_room_ = kRefusalsPerSecondMax;
  std::uint64_t left_out_ = 0;  // the same
  std::uint64_t lost_ = 0;      // that were no refusals, since the last line
  audit::Trail::Limits limits_;
  async::TaskGroup tasks_;
};

}  // namespace cellar::api
