#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cellar::init {

// The processes that this pid namespace's /proc shows; a list that was read while it changed.
std::vector<pid_t> all_processes();

// The beginning of one of a process's files there; empty where it has ended.
std::string read_proc(pid_t pid, const char* file);

// The cgroup v2 folder that a process is in, as this namespace names it; empty where it has ended.
std::string group_of(pid_t pid);

}  // namespace cellar::init
