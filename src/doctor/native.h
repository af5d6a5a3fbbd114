#pragma once

#include <string>

#include "doctor/finding.h"
#include "doctor/user.h"

namespace cellar::doctor {

// What the native runtime is made of: namespaces, mounts in the folder `place`, cgroups, filters.
// Everything is tried that a daemon with these rights would use, within seconds; nothing of it is
// left.
Findings examine_native(const std::string& place, const User& user);

// Only the cgroups: one is made, limited, frozen, killed and removed.
Findings examine_cgroups(const User& user);

}  // namespace cellar::doctor
