#pragma once

#include <chrono>

namespace cellar::cli {

// How long to go on with something that goes on at the daemon, too, while the daemon is away: it
// may be restarting. Belongs to one thread.
class Patience {
 public:
  static constexpr std::chrono::milliseconds kPauseMax{5'000};

  // The daemon answered; and what it said was something new.
  void heard();
  void progressed() { pause_ = kFirstPause; }

  // Whether another try makes sense: it was there once, and has not been away for too long.
  bool is_left() const;

  // Sleeps, longer each time in a row, and at least for `at_least`.
  void wait(std::chrono::milliseconds at_least = std::chrono::milliseconds(0));

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kFirstPause{200};
  static constexpr std::chrono::milliseconds kAwayMax{120'000};

  bool was_heard_ = false;
  Clock::time_point last_heard_ = Clock::now();
  std::chrono::milliseconds pause_ = kFirstPause;
};

}  // namespace cellar::cli
