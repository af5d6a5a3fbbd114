#pragma once

#include <dirent.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sys/beneath.h"
#include "sys/dir.h"

// What the sources of BeneathDir share, and nobody else sees.
namespace cellar::sys::beneath {

// What is still being written; not shown in lists. The name says whose it is should a crash leave
// one behind.
inline constexpr std::string_view kTemporaryPrefix = ".cellar-tmp-";
inline constexpr std::uint64_t kBeneath = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
// Below folders that we hold open: one name at a time, no link at all.
inline constexpr std::uint64_t kOneName = kBeneath | RESOLVE_NO_SYMLINKS;

[[noreturn]] void throw_path(std::string_view reason, std::string_view path, std::string_view what);
[[noreturn]] void throw_resolution(int error, const std::string& path);

// -1 and errno on failure. EAGAIN is the kernel's word for "something was renamed on the way, I
// cannot tell whether it led outside", and for a lease that a process of the cell holds.
int open_at(int dir, const char* path, int flags, std::uint64_t resolve, mode_t mode = 0);

FileStat to_stat(const struct stat& raw);
struct stat stat_fd(int fd, std::string_view path);
// Of one name in an open folder, not following a link; nullopt where there is none.
std::optional<struct stat> stat_name(int dir, const std::string& name, const std::string& path);
// What a link says; empty where there is none.
std::string link_target(int dir, const std::string& name);

void sync_folder(int dir, const std::string& path);
Dir read_folder(Fd fd, const std::string& path);
// The next entry but "." and ".."; nullptr at the end.
const dirent* next_entry(DIR* dir, const std::string& path);

}  // namespace cellar::sys::beneath
