#pragma once

#include <cstdint>
#include <string_view>

namespace cellar::cell {

// Why a program has no end of its own.
enum class LostBy : std::uint8_t {
  domain,      // its domain ended under it: somebody killed cell-init, or gVisor
  daemon,      // the daemon that ran it ended, or the machine was switched off
  hibernated,  // the cell was hibernated, by its timer, for room or because somebody said so
  max_awake,   // the cell was awake for too long
  deleted,     // the cell was
};

// "domain_ended", "daemon_ended", "hibernated", "max_awake", "deleted".
std::string_view name_of(LostBy why) noexcept;
// What name_of() gives; `daemon` for anything else.
LostBy parse_lost_by(std::string_view name) noexcept;

}  // namespace cellar::cell
