#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/disk_use.h"

namespace cellar::sys {

// Who holds some folders together to a part of the disk: nobody in the kernel (`counted`), ext4 or
// xfs by a project, with bytes and inodes; or btrfs by a quota group over subvolumes, with bytes,
// those of inodes included.
enum class DiskEnforcer : std::uint8_t { counted, project, qgroup };
std::string_view name_of(DiskEnforcer enforcer) noexcept;

// Which of them works in the folder `place`. It makes folders there, with a limit, and looks
// whether that does hold; nothing is changed in how the file system is set up. Blocking.
DiskEnforcer try_disk_limit(const std::string& place);

// Makes new folders, mode 0700, that `enforcer` can limit together. Blocking. Throws Error.
void make_limited(DiskEnforcer enforcer, const std::vector<std::string>& folders);

// By whom these folders can be limited together: what their making left on the disk. Others, a copy
// of such folders for one, are `counted`. Blocking.
DiskEnforcer enforcer_of(const std::vector<std::string>& folders);

// Sets the limit of folders that are not `counted`. Blocking. Throws Error.
void limit_disk(DiskEnforcer enforcer, const std::vector<std::string>& folders, DiskUse most);
// What they have where the file system tells at once.
std::optional<DiskUse> limited_use(DiskEnforcer enforcer, const std::vector<std::string>& folders);

// Removes the folders with all in them, and their limit. What is not there is passed over. As long
// as `go_on` says, and false where it said no, as in remove_tree_while(). Blocking. Throws Error.
bool remove_limited(const std::vector<std::string>& folders, const std::function<bool()>& go_on);

}  // namespace cellar::sys
