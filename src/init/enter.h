#pragma once

#include "init/spawn.h"

namespace cellar::init {

// What cell-init inherits from the spawner, at these numbers.
inline constexpr int kListenerFd = 3;  // the domain's listening control socket
inline constexpr int kUserFd = 4;      // the domain's user namespace
inline constexpr int kFilterFd = 5;    // the commands' BPF program: struct sock_filter, one by one
inline constexpr int kReportFd = 6;  // takes the text of a failure, and is closed when all is well

// The last steps into the sandbox: the program runs already, so that its memory belongs to the
// host's user namespace and nothing in the cell can trace or read it, root there included. Joins
// the user namespace, becomes its root, keeps only the capabilities that commands may have, can
// gain no more, and is restricted by Landlock with all that it will start. Returns the commands'
// filter. Throws Error; the caller must exit then.
CommandFilter enter_domain();

}  // namespace cellar::init
