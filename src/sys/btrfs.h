#pragma once

#include <cstdint>
#include <string>

// Subvolumes of btrfs and the quota groups that limit several of them together. A group is named by
// the number of a subvolume, which no other one ever gets. Blocking. All throw Error, for a file
// system without quotas, or another than btrfs, too.
namespace cellar::sys::btrfs {

// A new empty one, which must not be there; the mode is 0755 without the umask's bits.
void make_subvolume(const std::string& path);
// Whether `path` is a subvolume's own folder.
bool is_subvolume(const std::string& path);
std::uint64_t subvolume_number(const std::string& path);
// With all in it. Throws Error where others are in it, or it is none.
void remove_subvolume(const std::string& path);

// `place` is a folder of the file system that is not in the group itself.
void make_group(const std::string& place, std::uint64_t group);
void add_to_group(const std::string& subvolume, std::uint64_t group);
void take_from_group(const std::string& subvolume, std::uint64_t group);
void remove_group(const std::string& place, std::uint64_t group);
// At most so many bytes, as many as there are for 0.
void limit_group(const std::string& place, std::uint64_t group, std::uint64_t bytes);

}  // namespace cellar::sys::btrfs
