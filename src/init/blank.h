#pragma once

#include "init/enter.h"

namespace cellar::init {

// What cell-init inherits from the spawner, at these numbers.
inline constexpr int kSpawnerFd = 3;  // the spawner's end is closed when nobody needs a blank
inline constexpr int kFilterFd = 4;   // the commands' BPF program: struct sock_filter, one by one

// Becomes a blank, and then a domain, as the spawner says (sandbox/spawn_protocol.h); tells it how
// each went. The program is executed before it joins the domain's user namespace: its memory
// belongs to the host's, so that nothing in the cell can trace or read it, root there included.
// Throws Error, which the spawner was told already, or where the spawner has gone; the caller must
// exit then.
Entered become_domain();

}  // namespace cellar::init
