#pragma once

#include <vector>

#include "sys/seccomp.h"

namespace cellar::sandbox {

// System calls that no command of a cell, and no agent, gets through to the kernel. What a program
// of a developer's machine uses stays; what only serves to take a kernel over goes: namespaces and
// mounts, other programs' memory, keyrings, BPF, io_uring, performance counters, raw and rare
// sockets, the console's input queue. The other walls (user namespace, capabilities) refuse most of
// it a second time.
std::vector<sys::RefusedCall> refused_calls();

}  // namespace cellar::sandbox
