#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cell/lifecycle.h"

namespace cellar::cell {

// What keeps a cell awake at the moment, and since when nothing does. Loop thread only.
class ActivityLog {
 public:
  // One thing that goes on, as long as it exists. The log must outlive it.
  class Activity {
   public:
    Activity(ActivityLog& log, std::uint64_t number) : log_(&log), number_(number) {}
    Activity(Activity&& other) noexcept
        : log_(std::exchange(other.log_, nullptr)), number_(other.number_) {}
    Activity& operator=(Activity&&) = delete;
    ~Activity() {
      if (log_ != nullptr) log_->end(number_);
    }

   private:
    ActivityLog* log_;
    std::uint64_t number_;
  };

  [[nodiscard]] Activity begin(std::string kind, std::string detail) {
    going_on_[++last_] = {std::move(kind), std::move(detail), wall_now()};
    return Activity(*this, last_);
  }
  // Something happened and is over already.
  void touch() { quiet_since_ = steady_now(); }
  // Nothing has kept it awake since then, as an earlier daemon has noted.
  void recall(SteadyTime quiet_since) { quiet_since_ = quiet_since; }

  std::vector<Blocker> blockers() const {
    std::vector<Blocker> list;
    for (const auto& [number, blocker] : going_on_) list.push_back(blocker);
    return list;
  }
  SteadyTime quiet_since() const noexcept { return quiet_since_; }

 private:
  void end(std::uint64_t number) {
    going_on_.erase(number);
    touch();
  }

  std::map<std::uint64_t, Blocker> going_on_;
  std::uint64_t last_ = 0;
  SteadyTime quiet_since_ = steady_now();
};

}  // namespace cellar::cell
