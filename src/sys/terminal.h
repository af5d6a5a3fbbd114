#pragma once

#include <cstdint>

#include "sys/fd.h"

namespace cellar::sys {

// Whether a person looks at (or types into) `fd`.
bool is_terminal(int fd) noexcept;

// A pseudo terminal: what is written to `master` is typed, what is read from it is shown. The
// program has `slave`.
struct PseudoTerminal {
  Fd master;  // non-blocking
  Fd slave;
};

struct TerminalSize {
  std::uint16_t columns = 80;
  std::uint16_t rows = 24;
  bool operator==(const TerminalSize&) const = default;
};

// Makes one in the devpts that is mounted at /dev/pts below the folder `root`, whoever may have
// changed the files there: nothing but a terminal's own device is opened, and no link is followed.
// Throws Error: `unavailable`, reason `no_terminals`, where there is none.
PseudoTerminal make_terminal(int root);

// The foreground program is told (SIGWINCH). Throws Error.
void resize_terminal(int master, TerminalSize size);

}  // namespace cellar::sys
