#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "sandbox/runtime.h"
#include "sys/fd.h"
#include "wire/init_protocol.h"

namespace cellar::init {

// The BPF program that every command gets before its first instruction; empty in tests.
using CommandFilter = std::vector<sock_filter>;

// What became of a spawn: a process, or the step that failed and its errno.
struct SpawnResult {
  pid_t pid = -1;
  std::string failed_step;
  int error = 0;
  sys::Fd status;  // of a contained program: tells how it ended (init/gvisor.h)
};

// Starts a command; in gVisor, and where it gets no cgroup (init/subtree.h), the process is one of
// ours that contains it. Between clone and exec nothing allocates or throws: all it needs is laid
// out before. Returns once the program runs, or cannot.
SpawnResult spawn(const wire::SpawnRequest& request, const std::vector<sys::Fd>& fds,
                  const CommandFilter& filter, sandbox::Runtime runtime = sandbox::Runtime::native);

}  // namespace cellar::init
