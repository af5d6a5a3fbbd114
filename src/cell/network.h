#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "cell/network_spec.h"
#include "json/value.h"
#include "net/meter.h"
#include "net/refusal.h"

namespace cellar::cell {

// What the ways out of a cell's domains have in common: what was used of the limits, and what was
// refused. What was used is kept in a file, written when a connection ends, but not more often than
// every kSavePause, and when a domain ends: a daemon that is killed forgets what is newer. Loop
// thread only.
class Network {
 public:
  static constexpr std::size_t kRefusalsMax = 100;
  static constexpr std::chrono::seconds kSavePause{10};

  struct Refused {
    WallTime at;
    std::string domain;  // "agent", "shell"
    net::Refusal what;
  };

  // `file` need not be there.
  Network(std::string cell_id, std::string file);

  // Reads the file. What does not read is told in the log, and counting begins anew. Blocking for a
  // moment.
  void load();
  // Nothing happens where nothing was used since. Blocking for a moment; never throws.
  void save() noexcept;
  void note_use() noexcept;  // a connection ended

  // Says to everybody whom it concerns that something was refused.
  void tell(std::string_view domain, const net::Refusal& refusal);
  // Calls `hear` for each, on the loop thread; it must not throw.
  void on_refusal(std::function<void(const Refused&)> hear) { hear_ = std::move(hear); }
  // The newest last, kRefusalsMax at most, since the daemon runs.
  const std::deque<Refused>& refusals() const noexcept { return refusals_; }

  net::Meter& meter() noexcept { return meter_; }
  const net::Meter& meter() const noexcept { return meter_; }
  // What was used before the daemon ran.
  const net::Usage& used_before() const noexcept { return loaded_; }

 private:
  std::string cell_id_;
  std::string file_;
  net::Meter meter_;
  net::Usage saved_;  // what is in the file
  net::Usage loaded_;
  std::chrono::steady_clock::time_point saved_at_;
  std::deque<Refused> refusals_;
  std::function<void(const Refused&)> hear_;
};

// {domain, host, port, reason, rule or secret or detail?, remediation?}.
json::Value to_json(const Network::Refused& refused);

// All that a cell shows of its network.
struct NetworkView {
  NetworkSpec spec;
  net::Usage usage;
  net::Usage used_before;  // the daemon ran
  std::size_t open_count = 0;
  std::deque<Network::Refused> refusals;
  // Ports of the policy that a program of the cell had bound before: nothing is reached there.
  std::set<std::uint16_t> taken_ports;
};

}  // namespace cellar::cell
