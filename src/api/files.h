#pragma once

#include <string>
#include <vector>

#include "api/call.h"
#include "sys/beneath.h"

// What the files_*.cc share. Paths are those of /work; "." is /work itself.
namespace cellar::api {

// {path, type, size, mtime, mode, target?}.
json::Value entry_json(const sys::DirEntry& entry);
// {files, truncated?}.
json::Value entries_json(const std::vector<sys::DirEntry>& entries, bool is_truncated);
std::string_view file_type(sys::FileKind kind) noexcept;

// Permission bits as octal digits, "755" or "0644". Throws Error `invalid_argument`, `reason`.
mode_t parse_mode(const std::string& text, const std::string& reason);

Error no_such_file_in_work(const std::string& path);

asio::awaitable<void> send_tar(const Call& call, std::string path);  // files_tar.cc
asio::awaitable<void> take_tar(const Call& call, std::string path);
asio::awaitable<void> watch_files(const Call& call, std::string path);  // files_watch.cc

// POST …/files/rename, mkdir, chmod, glob and grep. files_calls.cc
asio::awaitable<void> rename_file(const Call& call);
asio::awaitable<void> make_folder(const Call& call);
asio::awaitable<void> set_file_mode(const Call& call);
asio::awaitable<void> glob_files(const Call& call);
asio::awaitable<void> grep_files(const Call& call);

}  // namespace cellar::api
