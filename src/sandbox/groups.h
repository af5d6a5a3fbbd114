#pragma once

#include <string>

#include "sandbox/cgroup.h"

// Acts on cgroups. Quick writes to the kernel. All throw Error.
namespace cellar::sandbox {

// Makes the folders that are not there, and writes all settings.
void apply(const CgroupPlan& plan);

// Makes a program's folders with their limits. Its cell-init, whose root is the host's `uid`, may
// start processes in the group; it joins the others through descriptors.
void apply(const ProgramPlan& plan, std::uint32_t uid);

// False where there is still something in it.
bool try_remove_group(const std::string& folder);
// With all groups below it.
bool try_remove_tree(const std::string& folder);

// Kills all that is in the group and below it. Nothing happens where there is no such group.
//
// A group that was killed once starts no process in a group made later: Linux 6.12 to 6.18 compare
// the kill counts of both (kernel/cgroup/cgroup.c, cgroup_post_fork) and kill the child. So a
// domain's groups are removed after they were killed, and made anew.
void kill_group(const std::string& folder);

// Whether a process is in the group or below it that has not ended. False where there is none.
bool is_populated(const std::string& folder);

// Removes all of a plan's groups that no other cell is in; false where something is left.
bool try_remove(const CgroupPlan& plan);

// Removes the groups that all cells of a daemon share, where no cell is left in them: whoever ends
// last, the daemon or a spawner of one that was killed.
void remove_daemon_group(const CgroupHost& host, const std::string& daemon_group);

}  // namespace cellar::sandbox
