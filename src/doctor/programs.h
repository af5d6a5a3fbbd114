#pragma once

#include <string>

#include "doctor/examine.h"

namespace cellar::doctor {

// Node.js and Python of the host, gVisor's runsc and CRIU: whether they are there, and what they
// can do here, by running them.
Findings examine_programs(const std::string& place);

// The images of the state folder, and the tools that make them.
Findings examine_images(const std::string& state);

}  // namespace cellar::doctor
