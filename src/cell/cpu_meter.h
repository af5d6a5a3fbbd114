#pragma once

#include <chrono>
#include <deque>

namespace cellar::cell {

// How much of a processor a cell's processes used of late: idle servers use almost none, a build or
// a test suite all of it. A value; fed once a second.
class CpuMeter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kWindow{10};

  // `used` is all that the processes have used by then. Less than before means that they are others
  // now: the meter begins anew.
  void add(Time at, std::chrono::microseconds used);
  void clear() noexcept { samples_.clear(); }

  // Parts of one processor, 1 is all of it and 2 all of two, over the window or the shorter time
  // that is known. 0 with fewer than two samples.
  double share() const noexcept;

 private:
  struct Sample {
    Time at;
    std::chrono::microseconds used;
  };
  std::deque<Sample> samples_;  // one before the window, the others in it
};

}  // namespace cellar::cell
