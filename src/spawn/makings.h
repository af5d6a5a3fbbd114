#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "spawn/blank.h"

namespace cellar::spawn {

// The domains that are being made: each by its own cell-init, so that several processors are at
// work. Single-threaded; never waits.
class Makings {
 public:
  using Clock = std::chrono::steady_clock;
  // A blank that was told what to become.
  struct Making {
    std::uint32_t number = 0;  // of the request
    std::string cell_dir;      // empty where it is no cell's yet
    std::string slot;
    bool is_slot_given = false;  // by the daemon, which looks after it
    Blank blank;
  };
  // How long a cell-init may take.
  explicit Makings(std::chrono::milliseconds limit) : limit_(limit) {}

  // Throws Error `exhausted` where so many are being made that there is room for no other.
  void require_room() const;
  void add(Making making);
  bool is_empty() const noexcept { return all_.empty(); }
  // The slot of the domain of this cell that is being made; empty where there is none.
  std::string slot_of(const std::string& cell_dir) const;
  bool has_slot(const std::string& slot) const;

  // What to wait for, and how long at most.
  std::vector<int> sockets() const;
  std::chrono::milliseconds wait_limit() const;
  struct Ended {
    Making making;
    std::optional<Error> failure;
  };
  // Takes out those whose cell-init has said how it went, or nothing until the limit.
  std::vector<Ended> take_ended();
  std::vector<Making> take_all();

 private:
  struct UnderWay {
    Making making;
    Clock::time_point give_up;
  };
  std::chrono::milliseconds limit_;
  std::vector<UnderWay> all_;
};

}  // namespace cellar::spawn
