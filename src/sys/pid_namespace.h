#pragma once

#include <chrono>
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

// Stops `init` and all others, and waits until they stand still. Throws Error `unavailable` where
// some do not within 5 s.
void stop_members(const ProcessId& init);
void continue_members(const ProcessId& init);
// Whether `init` stands still.
bool is_stopped(const ProcessId& init);

// Ends `init`, and by that all others.
void end_members(const ProcessId& init);

}  // namespace cellar::sys
