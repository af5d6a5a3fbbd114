#pragma once

#include <string_view>

namespace cellar::sys {

// Tells who started this process, as sd_notify(3) says it, how it is: "READY=1", "STOPPING=1".
// Without a manager that listens (NOTIFY_SOCKET) nothing happens, nor where it does not take it:
// then the manager's own limit of time decides.
void tell_service_manager(std::string_view state);

}  // namespace cellar::sys
