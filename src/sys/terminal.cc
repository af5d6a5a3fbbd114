#include "sys/terminal.h"

#include <unistd.h>

namespace cellar::sys {

bool is_terminal(int fd) noexcept { return ::isatty(fd) == 1; }

}  // namespace cellar::sys
