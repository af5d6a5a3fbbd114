#pragma once

#include <string>

// Single names in a folder that is open already, where a path is not said. All throw Error.
namespace cellar::sys {

// What is behind the last '/' of a path.
std::string name_of(const std::string& path);
// What is before it; "." where there is none.
std::string parent_of(const std::string& path);

bool is_folder(int fd);

// An empty file, if there is none.
void make_file_at(int folder, const std::string& name);
// Whether there is a folder of that name, which is not a link to one.
bool has_folder_at(int folder, const std::string& name);
// A folder; a file or link that is there is replaced.
void make_folder_at(int folder, const std::string& name);
void make_link_at(int folder, const std::string& name, const std::string& target);

// Makes what `fd` is open for, be it by O_PATH, belong to the uid and gid `id`.
void give_place_to(int fd, unsigned id);

// Gives the folder `to` the owner, the mode and the times of the folder `from`. No link is followed
// in either's last name. A process that is not root leaves the owner.
void copy_rights(const std::string& from, const std::string& to);

}  // namespace cellar::sys
