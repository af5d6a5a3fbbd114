#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <string>

#include "sandbox/cgroup.h"

// Acts on the groups of a cell. The calls are quick writes to the kernel; those that wait for it
// are coroutines. All throw Error.
namespace cellar::cell {

namespace asio = boost::asio;

// Kills what is in it, waits until it is gone, and removes the group with those below it.
asio::awaitable<void> end_group(std::string folder);

// Waits until every process of the group stands still, or goes on. Where one does not stand still
// within `limit`, all go on again.
inline constexpr std::chrono::seconds kFreezeLimit{5};
asio::awaitable<void> freeze(std::string folder, std::chrono::milliseconds limit = kFreezeLimit);
asio::awaitable<void> thaw(std::string folder);
bool is_frozen(const std::string& folder);
// Of a freeze that was begun, and ended before all stood still: all go on again. Blocking for a
// moment. Throws Error.
void undo_half_freeze(const std::string& folder);

// Waits until the killed processes are gone and removes the cell's groups, in every hierarchy.
asio::awaitable<void> remove(sandbox::CgroupPlan plan);
// The same, tried again for half a minute, and not canceled from there on: for groups that nobody
// else looks after, also where this daemon has no descriptor left for a moment.
asio::awaitable<void> remove_surely(sandbox::CgroupPlan plan);

// Whether the processes that this folder counts may be moved to swap. v1 has no such switch, and
// where the group is gone nothing happens. Never throws.
enum class Swap : std::uint8_t { never, allowed };
void set_swap(const std::string& memory_folder, Swap swap) noexcept;

// Processor time that the group's processes have used; 0 where there is no such group.
std::chrono::microseconds cpu_used(const std::string& folder);

// How often the kernel has killed a process of the group, whose memory that folder counts, for want
// of memory.
std::uint64_t oom_kills(const std::string& memory_folder);

}  // namespace cellar::cell
