#pragma once

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>

#include "sys/disk_limit.h"
#include "sys/disk_use.h"

namespace cellar::cell {

// Decides when a cell's use of the disk must be measured, and whether it is too much. Measuring
// means to walk all its folders; but where nobody deletes, nobody can have written more than the
// whole file system has lost since the last time, and that is one quick call. A value: it measures
// nothing itself.
class DiskLedger {
 public:
  // How much a cell that is over its limit may grow: whoever deletes writes a little, too.
  static constexpr sys::DiskUse kSlack{1 << 20, 100};
  static constexpr std::chrono::seconds kWalkPause{10};
  static constexpr std::chrono::seconds kWalkPauseMax{60};

  explicit DiskLedger(sys::DiskUse limits) : limits_(limits) {}

  void set_limits(sys::DiskUse limits) { limits_ = limits; }
  // What the file system itself keeps below the limit is none of the ledger's business.
  void set_enforcer(sys::DiskEnforcer enforcer) { enforcer_ = enforcer; }
  sys::DiskEnforcer enforcer() const noexcept { return enforcer_; }
  const sys::DiskUse& limits() const noexcept { return limits_; }
  // What was measured last.
  const std::optional<sys::DiskUse>& used() const noexcept { return used_; }

  // `free_before` is what the file system had left when the walk began.
  void measured(sys::DiskUse used, sys::DiskUse free_before) {
    unchanged_count_ = used_ && is_about(used, *used_) && is_far(used) ? unchanged_count_ + 1 : 0;
    used_ = used;
    free_ = free_before;
    written_ = {};
  }
  // After how long it is to be measured in any case, as others may have deleted what it wrote: the
  // longer, the more often there was no change, but for a cell that has more than half of its part.
  std::chrono::seconds walk_pause() const noexcept {
    std::chrono::seconds pause = kWalkPause;
    for (unsigned i = 0; i < unchanged_count_ && pause < kWalkPauseMax; ++i) pause *= 2;
    return std::min(pause, kWalkPauseMax);
  }
  // Something new runs in the cell.
  void expect_change() noexcept { unchanged_count_ = 0; }
  // The daemon itself wrote for the cell.
  void wrote(sys::DiskUse more) { written_ += more; }

  // Whether the cell could have more than it may, by all that is known. Before the first measuring
  // it always could.
  bool may_exceed(sys::DiskUse free_now) const noexcept {
    if (!used_) return true;
    const sys::DiskUse most = allowed();
    return (counts_bytes() && used_->bytes + lost(free_.bytes, free_now.bytes) > most.bytes) ||
           (counts_inodes() && used_->inodes + lost(free_.inodes, free_now.inodes) > most.inodes);
  }
  // Whether it had, when it was measured, more than `most` of an earlier allowed().
  bool exceeds(sys::DiskUse most) const noexcept {
    return used_ && ((counts_bytes() && used_->bytes > most.bytes) ||
                     (counts_inodes() && used_->inodes > most.inodes));
  }
  bool is_over() const noexcept { return exceeds(limits_); }
  bool has_room(sys::DiskUse more) const noexcept {
    return used_ && used_->bytes + written_.bytes + more.bytes <= limits_.bytes &&
           used_->inodes + written_.inodes + more.inodes <= limits_.inodes;
  }
  // What it may have until it is measured again: its limit, or where it is over that, little more
  // than it has.
  sys::DiskUse allowed() const noexcept {
    const sys::DiskUse used = used_.value_or(sys::DiskUse());
    return {used.bytes > limits_.bytes ? used.bytes + kSlack.bytes : limits_.bytes,
            used.inodes > limits_.inodes ? used.inodes + kSlack.inodes : limits_.inodes};
  }
  // How far the files are counted: all of them, where what is found is what a cell may have from
  // then on, or until there are too many. What is hidden too deep is too much each time.
  sys::DiskWalk whole_walk() const noexcept {
    return {std::numeric_limits<std::uint64_t>::max(), 2 * limits_.inodes};
  }
  sys::DiskWalk short_walk() const noexcept { return {2 * allowed().inodes, allowed().inodes + 1}; }

 private:
  bool counts_bytes() const noexcept { return enforcer_ == sys::DiskEnforcer::counted; }
  bool counts_inodes() const noexcept { return enforcer_ != sys::DiskEnforcer::project; }
  static bool is_about(const sys::DiskUse& a, const sys::DiskUse& b) noexcept {
    return std::max(a.bytes, b.bytes) - std::min(a.bytes, b.bytes) <= kSlack.bytes &&
           std::max(a.inodes, b.inodes) - std::min(a.inodes, b.inodes) <= kSlack.inodes;
  }
  bool is_far(const sys::DiskUse& used) const noexcept {
    return used.bytes <= limits_.bytes / 2 && used.inodes <= limits_.inodes / 2;
  }
  static std::uint64_t lost(std::uint64_t before, std::uint64_t now) noexcept {
    return before > now ? before - now : 0;
  }

  sys::DiskUse limits_;
  sys::DiskEnforcer enforcer_ = sys::DiskEnforcer::counted;
  std::optional<sys::DiskUse> used_;
  sys::DiskUse free_;             // when it was measured
  sys::DiskUse written_;          // by the daemon, since
  unsigned unchanged_count_ = 0;  // measurings in a row that found no change, far from the limit
};

}  // namespace cellar::cell
