#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "sandbox/cgroup.h"

// The cgroups of a daemon without root: the part of cgroup v2 that it was started in, where systemd
// (Delegate=yes) or an operator has given that to its user (ADR 0014).
namespace cellar::sandbox {

// The daemon's own group in that part: where cells have groups, a group has no processes itself.
inline constexpr const char* kDaemonFolder = "cellar-daemon";

// The part that this process is in, of the machine whose /proc is below `root`. Throws Error
// `unavailable`, reason `no_cgroup`, where cgroup v2 is not mounted.
std::string find_own_part(const std::string& root = {});
// What there is to limit cells with, memory and processes at least; nothing is changed. Throws
// Error `unavailable`, reason `no_cgroup`, saying what is missing, or that it is somebody else's.
CgroupHost find_delegated(const std::string& folder);
// Whether a daemon that is started there could take it: it must be alone, or its own group be made.
// Throws Error as above.
void require_alone(const CgroupHost& host);

// Takes it for the daemon whose groups are in `daemon_group`: this process moves to a group of its
// own, and controllers are handed on to what is beside it. Where a domain of an earlier daemon
// lives, `living`, it is the part that this one is in. For programs that have one thread. Throws
// Error as above; nothing has changed then.
CgroupHost take_delegated(const std::string& daemon_group, std::optional<pid_t> living);

}  // namespace cellar::sandbox
