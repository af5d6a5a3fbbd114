#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "sys/listening_ports.h"

// Which ports of a cell somebody listens on: pure.
namespace cellar::cell {

struct OpenPort {
  std::uint16_t port = 0;
  WallTime since;  // when it was first seen
  bool operator==(const OpenPort&) const = default;
};

// Without the listeners that the daemon itself has in the cell's namespace, which are the way out
// and not the cell's to show: a host's root made them. And without those at other addresses than
// loopback ones or all: what is sent there is on its way out, too.
std::vector<sys::ListeningPort> servers_of_cell(std::vector<sys::ListeningPort> all);

// Where a preview goes: to `wanted`; else to `configured`; else to the lowest port from 1024 on.
// IPv4 before IPv6. nullopt where nobody listens there.
std::optional<sys::ListeningPort> choose_port(const std::vector<sys::ListeningPort>& listening,
                                              std::optional<std::uint16_t> wanted,
                                              std::optional<std::uint16_t> configured);

// The ports that are open, and since when.
class PortTable {
 public:
  static constexpr std::size_t kCountMax = 256;  // the lowest of them

  struct Change {
    std::uint16_t port = 0;
    bool is_open = false;
    bool operator==(const Change&) const = default;
  };
  // Takes what listens at `now`; says what changed since the last time, by port.
  std::vector<Change> update(const std::vector<sys::ListeningPort>& listening, WallTime now);
  std::vector<OpenPort> list() const;
  bool empty() const noexcept { return since_.empty(); }

 private:
  std::map<std::uint16_t, WallTime> since_;
};

}  // namespace cellar::cell
