#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sandbox/runtime.h"

namespace cellar::sandbox {

enum class Compare : std::uint8_t { equal, different };

// One argument of a system call: (argument & mask) compared with `value`.
struct ArgumentMatch {
  unsigned index = 0;
  std::uint64_t mask = ~0ULL;
  std::uint64_t value = 0;
  Compare compare = Compare::equal;
};

// A call that is answered with an errno: always, or where all of `when` match.
struct RefusedCall {
  std::string_view name;
  int error = 0;
  std::vector<ArgumentMatch> when;
};

// Which system calls get through to the kernel. A refusal that matches comes first, then what is
// allowed; every other call, also one that no kernel had when this was written, is ENOSYS, so that
// programs do without it.
struct FilterPolicy {
  std::vector<std::string_view> allowed;
  std::vector<RefusedCall> refused;
};

// The system calls of everything that runs in a cell, commands and agents alike. What a program of
// a developer's machine uses is allowed; what mostly serves to take a kernel over is refused by
// name with EPERM: namespaces and mounts, other programs' memory, keyrings, BPF, performance
// counters, file handles, raw and rare sockets, the console's input queue. The other walls (user
// namespace, capabilities, Landlock) refuse most of it a second time.
//
// After the default profile of moby (github.com/moby/profiles), which is wider: it leaves in
// AF_VSOCK's relatives, name_to_handle_at, process_vm_readv and the rare transports.
//
// In gVisor the calls reach its own kernel, and not the machine's; there the filter is a second
// wall. It also hides a fault: gVisor fails the extended attributes of a link itself with EBADF,
// for which `ls -l` and `cp -a` fail, so the calls that do not follow links are ENOTSUP.
FilterPolicy command_filter(Runtime runtime = Runtime::native);

}  // namespace cellar::sandbox
