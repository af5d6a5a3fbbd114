#pragma once

#include <algorithm>
#include <chrono>

namespace cellar::net {

// Spreads what a cell may ask of the daemon: `burst_count` at once, then `per_second`, or one each
// `step`. Not thread-safe.
class Pace {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Pace(int per_second, int burst_count)
      : Pace(std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second, burst_count) {}
  Pace(std::chrono::nanoseconds step, int burst_count) : step_(step), burst_(step * burst_count) {}

  // Counts one more, at `now`. How long to wait before it is done: 0 within the burst.
  std::chrono::milliseconds next(Time now) {
    booked_until_ = std::max(booked_until_, now) + step_;
    const auto wait = booked_until_ - now - burst_;
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(wait),
                    std::chrono::milliseconds(0));
  }

 private:
  std::chrono::nanoseconds step_;
  std::chrono::nanoseconds burst_;
  Time booked_until_;
};

}  // namespace cellar::net
