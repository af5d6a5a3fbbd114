#pragma once

#include <chrono>
#include <cstddef>

namespace cellar::cell {

// Whether a write to the journal is worth a moment's delay, because more comes at once.
//
// An agent that was told of the ends of several steps in one go takes several next ones, one after
// the other: a write for each would be a write for nearly every step. So the next one waits until
// two thirds of those that were told have come back; the last third keeps the agent busy while it
// is under way. It waits only while they keep coming, and never for long: an agent with one step at
// a time, or with steps that take their time, is not delayed.
//
// Pure: it is told what happens, and when.
class Gathering {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // From one that comes to the next, and in all since some were told.
  static constexpr std::chrono::microseconds kPauseMax{250};
  static constexpr std::chrono::microseconds kLengthMax{1000};

  // So many that have waited were told that theirs is on disk.
  void told(std::size_t count, TimePoint now) noexcept {
    if (count == 0) return;
    expected_ = (is_over(now) ? 0 : expected_) + count;
    told_at_ = now;
  }
  // One waits for the next write.
  void came() noexcept {
    if (expected_ > 0) --expected_;
  }
  // None of those that are missing is waited for any more.
  void give_up() noexcept { expected_ = 0; }

  // Whether the next write, for which so many wait, is to begin.
  bool is_enough(std::size_t waiting_count, TimePoint now) const noexcept {
    return waiting_count >= 2 * expected_ || is_over(now);
  }

 private:
  bool is_over(TimePoint now) const noexcept { return now - told_at_ >= kLengthMax; }

  std::size_t expected_ = 0;  // that were told, and have not come back
  TimePoint told_at_;
};

}  // namespace cellar::cell
