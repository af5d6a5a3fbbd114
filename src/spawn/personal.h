#pragma once

#include "sandbox/spawn_protocol.h"

namespace cellar::spawn {

// Makes a warm domain that runs a cell's own: a child of this process performs plan_personal() in
// its mount and uts namespaces. `user_namespace` is the domain's. Waits until that is done. Throws
// Error, with what failed; the domain is of no use then.
void personalize(const sandbox::Personalize& request, int user_namespace);

}  // namespace cellar::spawn
