#pragma once

#include <sys/types.h>

#include <string>

namespace cellar::sys {

// Forks into new mount, pid, ipc, uts and network namespaces, which the caller's user namespace
// owns: 0 in the child, which is process 1 there. For single-threaded programs. Throws Error.
pid_t fork_into_namespaces();

// Throw Error.
// From here on this process's mounts are its own, and those of the machine are no more followed.
void enter_new_mount_namespace();
void enter_new_cgroup_namespace();
void set_host_name(const std::string& name);

}  // namespace cellar::sys
