#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "cell/layout.h"
#include "sandbox/cgroup.h"

// Which cgroups a running cell has: `run/slot.json`, for the next daemon. It need not survive the
// machine, as processes do not. Quick, but blocking.
namespace cellar::cell {

namespace asio = boost::asio;

// Above all slots of a state folder: "cellar-" and 8 hexadecimal digits of the folder's hash.
std::string daemon_group_of(const std::string& state_dir);

// Empty where the cell has none, had it before the machine was started again, or is a copy.
std::string read_slot(const CellLayout& layout);
// Whether this is a copy of a cell's folder, made while that cell was awake, since the machine was
// started: the slot is the other one's, with all that runs there.
bool is_copy_of_running(const CellLayout& layout);
void write_slot(const CellLayout& layout, const std::string& slot);
void forget_slot(const CellLayout& layout);

// Ends and removes slots that no cell below `cells_dir` has, but for those of this daemon's
// spawner, whose names begin with `run`. An earlier daemon that was killed left them.
asio::awaitable<void> remove_lost_slots(sandbox::CgroupHost host, std::string daemon_group,
                                        std::string cells_dir, std::string run);

}  // namespace cellar::cell
