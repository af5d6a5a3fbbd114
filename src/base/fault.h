#pragma once

#include <atomic>
#include <string>

// Named places in the code at which a test lets the program end, stop, wait or fail
// (docs/adr/0015-crash-tests-use-the-shipped-program.md). Where arm_faults() was not called, one is
// a load and a branch that is never taken.
//
// The state is global, against the house rule: a fault point is one line anywhere, also where
// nothing could be passed down to.
namespace cellar {

namespace detail {
extern std::atomic<bool> faults_armed;
void reach_fault_point(const char* name);
}  // namespace detail

// Does what the plan says for this place. Any thread. Throws Error only where the plan says so.
inline void fault_point(const char* name) {
  if (detail::faults_armed.load(std::memory_order_relaxed)) detail::reach_fault_point(name);
}

// From now on `plan_file` says what happens, in one line
//
//   NAME OCCURRENCE ACTION      e.g. journal.before_sync 3 kill
//
// for the OCCURRENCE-th time that the point NAME is reached since the file has this content; it is
// read again at every point, and may be empty or absent. Actions:
//
//   kill       SIGKILL to this process
//   stop       SIGSTOP to this process, so that a test can do something else at this very moment
//   errno=N    throws the Error of errno N, as a system call would that follows here
//   delay=MS   waits
//
// The name of each point that is reached is appended to `plan_file`.hits. To be called once, before
// other threads are started. Throws Error.
void arm_faults(const std::string& plan_file);

}  // namespace cellar
