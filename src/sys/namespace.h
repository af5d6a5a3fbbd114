#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "sys/fd.h"

namespace cellar::sys {

struct Forked {
  pid_t pid = 0;  // 0 in the child
  Fd process;     // becomes readable when it has ended; empty in the child
};
// For single-threaded programs. Throws Error.
Forked fork_child();
// Forks into new mount, ipc, uts and network namespaces, which the caller's user namespace owns.
// The child is process 1 of a pid namespace with `own` process numbers. For single-threaded
// programs. Throws Error.
enum class ProcessNumbers : std::uint8_t { own, shared };
Forked fork_into_namespaces(ProcessNumbers numbers = ProcessNumbers::own);

// Throw Error.
// From here on this process's mounts are its own, and those of the machine are no more followed.
void enter_new_mount_namespace();
void enter_new_cgroup_namespace();
void enter_new_network_namespace();
// Goes into the mount and uts namespaces that these are descriptors of: its root and folder are the
// root there. For single-threaded programs.
void enter_mounts_and_name(int mount_namespace, int uts_namespace);
void set_host_name(const std::string& name);
// That of the uts namespace in which the process is that `process` refers to (a pidfd), which goes
// on meanwhile. For single-threaded programs, which are where they were when it returns.
void set_host_name_of(int process, const std::string& name);

}  // namespace cellar::sys
