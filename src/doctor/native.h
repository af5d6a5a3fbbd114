#pragma once

#include <string>

#include "doctor/finding.h"

namespace cellar::doctor {

// What the native runtime is made of: namespaces, mounts in the folder `place`, cgroups, filters.
// Everything is tried, within seconds; nothing of it is left.
Findings examine_native(const std::string& place);

// Only the cgroups: one is made, limited, frozen, killed and removed.
Findings examine_cgroups();

}  // namespace cellar::doctor
