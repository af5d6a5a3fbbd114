#pragma once

#include <cstdint>

namespace cellar::sys {

// Lets this process, and what it starts, have `count` open files, or as many as the kernel allows.
// Needs CAP_SYS_RESOURCE to go above the hard limit; gives what there is where it may not.
void raise_open_files(std::uint64_t count);

// This process, with the threads that it starts from now on, keeps to disk quotas as its users do:
// without CAP_SYS_RESOURCE. Programs that it starts as root have that right again. Throws Error.
void keep_to_disk_quotas();

// This process's user, and each user that it or what it starts becomes, has no more than `count`
// processes; root of the machine is not concerned. Throws Error.
void limit_processes(std::uint64_t count);

}  // namespace cellar::sys
