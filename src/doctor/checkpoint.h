#pragma once

#include <string>

#include "doctor/finding.h"

// Whether processes can be written to disk here and be brought back. Nothing of a cell depends on
// it: docs/adr/0022 says why not.
namespace cellar::doctor {

// runsc on this platform, tried with a program that listens, at which old ones panic. For some
// seconds.
Finding examine_gvisor_checkpoint(const std::string& place, const std::string& platform);

// CRIU's own check.
Finding examine_criu();

}  // namespace cellar::doctor
