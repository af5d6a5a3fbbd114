#pragma once

#include <optional>

#include "init/enter.h"

// cell-init in gVisor. The sandbox around it is runsc's; what it inherits is 0 the domain's
// rendezvous (sys/seqpacket.h), 1 the commands' filter, 2 the report.
//
// There are no cgroups in there: each program gets a pid namespace of its own, with a /proc that
// shows it, so that one SIGKILL ends all that it started, at once and whatever it does about it.
// For that cell-init keeps CAP_SYS_ADMIN, over gVisor's kernel only; no program has it.
namespace cellar::init {

// Takes the first two; what is thrown the caller tells at the third. Throws Error.
Entered enter_gvisor();

// In the first process of new pid and mount namespaces: gives up what only cell-init may do, and
// forks. The child returns true and becomes the program; this process passes signals on to its
// group and, when it ends, writes its wait status and ends, and all else in the namespace with it.
// False where that failed, errno says why. Allocates nothing and never throws.
bool contain(int status_pipe) noexcept;

// How a contained program ended: what is in its status pipe; nullopt where the process around it
// was killed before it could say so.
std::optional<int> contained_status(int status_pipe) noexcept;

// Tries what contain() needs, and what older releases of gVisor lack; tells failures at 2 and
// returns the exit code.
int probe_gvisor();

}  // namespace cellar::init
