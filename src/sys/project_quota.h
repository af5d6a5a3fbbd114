#pragma once

#include <cstdint>
#include <string>

#include "sys/disk_use.h"

// Projects of ext4 and xfs: a folder's number counts all that is made below it, whoever makes it,
// and may have a limit. Blocking. All throw Error, where the file system does not count, too.
namespace cellar::sys::project {

// A number that nobody uses, from the range that is ours.
std::uint32_t unused_number(const std::string& place);
// 0 where the folder has none that is handed down.
std::uint32_t number_of(const std::string& folder);
// For what is made in the folder from now on.
void set_number(const std::string& folder, std::uint32_t number);

// Throws Error where limits are not enforced.
void require_enforced(const std::string& place);
void limit(const std::string& place, std::uint32_t number, DiskUse most);
DiskUse use_of(const std::string& place, std::uint32_t number);

}  // namespace cellar::sys::project
