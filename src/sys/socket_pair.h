#pragma once

#include <utility>

#include "sys/fd.h"

namespace cellar::sys {

// Two connected stream sockets, close-on-exec: the first non-blocking, the second blocking. Throws
// Error.
std::pair<Fd, Fd> stream_pair();

}  // namespace cellar::sys
