#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "sys/process.h"

// All processes of a pid namespace, for those who have no cgroup to name them by. `init` is its
// process 1, as this process sees it; where it has ended there is nobody. Reads all of /proc: some
// milliseconds. Needs rights over the namespace's processes.
namespace cellar::sys {

struct Member {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';  // as /proc/PID/stat has it
  std::chrono::microseconds cpu{
      0};  // used by it and by its children that ended and were waited for
};

// All but `init`.
std::vector<Member> members_of(const ProcessId& init);

// The namespace that a process is in, by a name that no other one has as long as it lives; empty
// where the process has ended, or is none of ours.
std::string pid_namespace_of(pid_t pid);
// The processes of all namespaces by that name, but for this process's own: as long as one
// members_of() for all of them. Throws Error.
std::map<std::string, std::vector<Member>> members_by_namespace();

// Stops `init` and all others, and waits until they stand still. Throws Error `unavailable` where
// some do not within 5 s.
void stop_members(const ProcessId& init);
void continue_members(const ProcessId& init);
// Whether `init` stands still.
bool is_stopped(const ProcessId& init);

// Ends `init`, and by that all others.
void end_members(const ProcessId& init);

}  // namespace cellar::sys
