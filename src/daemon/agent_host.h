#pragma once

#include <string>

namespace cellar::daemon {

// Writes the agent hosts' files, which are part of this program, into a folder of the state folder
// that is named by their content, and returns it. Cells that run keep the version they have.
// Blocking. Throws Error.
std::string install_agent_host(const std::string& state_dir);

}  // namespace cellar::daemon
