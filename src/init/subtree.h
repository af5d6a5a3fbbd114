#pragma once

#include <sys/types.h>

#include <set>
#include <string>

// Where a program has no cgroup of its own, what it starts is kept together by a process of ours
// above it, a "subreaper": whatever the program's descendants do, they stay descendants of that
// process. It is itself one of the cell's, and can be killed there: then nobody knows any more what
// was the program's, and all of the domain's programs end (server.cc). A tree that cannot be ended
// in time costs its domain, too (cell/command.cc).
namespace cellar::init {

// In a child with memory of its own: forks. The child returns true and becomes the program; this
// process passes signals on to its group. When the program has ended, or end_subtree() asks for it,
// it kills all that is left below it, writes the program's wait status, and ends. False where that
// failed, errno says why.
bool keep_subtree(int status_pipe) noexcept;

// Asks that process to end the program with all that it started.
void end_subtree(pid_t keeper) noexcept;

// Where programs have cgroups: kills every process of this pid namespace but this one and those in
// the `spared` groups (group_of(), init/proc.h).
void kill_outside(const std::set<std::string>& spared);

}  // namespace cellar::init
