#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sys/fd.h"

namespace cellar::sys {

// Opens with O_CLOEXEC added. Throws Error ("open PATH: …"); the second returns nullopt for ENOENT.
Fd open_file(const std::string& path, int flags, mode_t mode = 0600);
std::optional<Fd> open_file_if_exists(const std::string& path, int flags);

// Everything from the current offset to the end. Throws Error `too_large` above `max_bytes`.
std::string read_all(int fd, std::size_t max_bytes, std::string_view name);
// The contents of the file at `path`; nullopt where there is none.
std::optional<std::string> read_file(const std::string& path, std::size_t max_bytes = 64 << 20);

// The next bytes at the current offset, at most `max_bytes`; empty at the end. Throws Error.
std::string read_some(int fd, std::size_t max_bytes, std::string_view name);

// Writes all of `bytes`, at the current offset or at `offset`. Throws Error.
void write_all(int fd, std::string_view bytes, std::string_view name);
void write_all_at(int fd, std::string_view bytes, std::uint64_t offset, std::string_view name);

// Writes a value to a file that the kernel has (of a cgroup, below /proc/sys), which must be there.
// Throws Error.
void write_setting(const std::string& path, std::string_view value);

// Makes the file's data (and the metadata needed to read it) durable. Never call it again on the
// same descriptor after it threw: the kernel reports a lost page only once.
void sync_data(int fd, std::string_view name);
// Makes the entries of a directory durable.
void sync_dir(const std::string& path);

// Makes all that was ever written to the file system of `path` durable.
void sync_file_system(const std::string& path);

// Leaves the first `size_bytes` of a file, durably; needs no room. Throws Error.
void cut_file(const std::string& path, std::uint64_t size_bytes);

// Whether something must survive the machine's end, or only this process's.
enum class Durable : std::uint8_t { yes, no };

// Replaces `path` by `bytes` so that after a crash at any moment it holds the old or the new
// contents; durable when this returns, where that is asked for. Throws Error.
void replace_file(const std::string& path, std::string_view bytes, mode_t mode = 0600,
                  Durable durable = Durable::yes);

// Makes `path` a symbolic link to `target`, whatever file or link was there; durable when this
// returns. Throws Error.
void replace_link(const std::string& path, const std::string& target);

// Makes `path` and its missing parents, mode `mode`. Existing folders are left alone.
void make_dirs(const std::string& path, mode_t mode = 0700);
// The folder that a path is in: "." for a mere name.
std::string folder_of(const std::string& path);

bool exists(const std::string& path);
// Removes a file; nothing happens where there is none.
void remove_file(const std::string& path);
// As remove_tree_while() (sys/tree_removal.h), and all of it.
void remove_tree(const std::string& path);

}  // namespace cellar::sys
