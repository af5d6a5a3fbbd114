#pragma once

#include <cstdint>

#include "sys/fd.h"

namespace cellar::sys {

// A new user namespace in which ids 0 to count-1 are the host's `base` and up, and in which nobody
// can make any namespace, whatever its root may do otherwise. It belongs to `base`: what is limited
// for each user of the host (inotify, waiting signals, message queues) counts as that user's, not
// as the caller's. It lives as long as the descriptor, or a process in it. Needs CAP_SYS_ADMIN,
// CAP_SETUID, CAP_SETPCAP and a single-threaded caller. Throws Error.
Fd make_user_namespace(std::uint32_t base, std::uint32_t count);

}  // namespace cellar::sys
