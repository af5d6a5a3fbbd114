#pragma once

#include <optional>
#include <string>

#include "sys/fd.h"

namespace cellar::sys {

// Locks the file at `path`, made where it is missing, against every other call for the same file in
// this or another process, until the descriptor is closed. nullopt where somebody else holds it.
// Throws Error.
std::optional<Fd> try_lock_file(const std::string& path);

}  // namespace cellar::sys
