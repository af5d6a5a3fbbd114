#pragma once

#include <string>
#include <vector>

namespace cellar::sys {

// The names of regular files in the folder `path`, in no order. Throws Error.
std::vector<std::string> files_in(const std::string& path);

// The names of folders in it; none where there is no such folder. Throws Error.
std::vector<std::string> folders_in(const std::string& path);

// Removes an empty folder; false where it is not empty, or may not be removed now.
bool try_remove_folder(const std::string& path) noexcept;

// Replaces what `to` was. Throws Error.
void rename_file(const std::string& from, const std::string& to);

}  // namespace cellar::sys
