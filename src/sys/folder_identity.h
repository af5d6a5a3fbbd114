#pragma once

#include <string>

namespace cellar::sys {

// Which folder of this machine it is, since that was started: a copy of it has another one, and so
// has it in a snapshot; it keeps it where it is moved within its file system. Throws Error.
std::string folder_identity(const std::string& path);

}  // namespace cellar::sys
