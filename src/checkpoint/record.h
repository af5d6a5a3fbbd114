#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "sys/beneath.h"

namespace cellar::checkpoint {

// One name below a cell's folder, as it was.
struct File {
  std::string path;
  sys::FileKind kind = sys::FileKind::file;  // never `special`
  mode_t mode = 0;                           // permission bits
  std::uint64_t size_bytes = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;  // with the inode: whether a file is the same still
  std::uint64_t inode = 0;
  std::string
      digest;  // SHA-256 of the bytes, 64 digits; empty: they are not kept, or not known yet
  std::string target;  // of a link, as it says
};

// What a checkpoint says of itself.
struct Head {
  std::string id;    // "cp_…"
  std::string name;  // may be empty; no two of a cell have the same
  std::string message;
  WallTime created_at;
  std::uint64_t event_seq = 0;  // the newest event of the cell's journal
  std::uint64_t file_count = 0;
  std::uint64_t bytes = 0;      // of all files that are kept
  std::string database_digest;  // empty: the cell had none
  std::uint64_t database_bytes = 0;
  std::uint64_t special_count = 0;    // pipes, sockets, devices: left out
  std::uint64_t too_large_count = 0;  // named, without their bytes
  std::uint64_t unsteady_count = 0;   // changed each time that they were read
  // Why nothing of it can be used, where its record cannot be read: then only `id` is known. Not in
  // the record.
  std::string damage;
};

// In the order of a tree: what is in a folder comes right behind it.
bool is_before(std::string_view path, std::string_view other) noexcept;
inline bool is_before(const File& file, const File& other) noexcept {
  return is_before(file.path, other.path);
}

// The file `files` of a checkpoint: "CELLCKP1"; for each name kind (1 byte: 0 file, 1 folder, 2
// link), mode (2), size, mtime, ctime, inode (8 each), digest (1 byte for its size, 0 or 64, and
// so many), path and target (2 bytes for the size each); at last the CRC-32C of all that (4). All
// numbers are little-endian. Decoding throws Error `corrupt`.
std::string encode(const std::vector<File>& files);
std::vector<File> decode_files(std::string_view bytes);

// The file `head.json`. Decoding throws Error `corrupt`.
std::string encode(const Head& head);
Head decode_head(const std::string& text);

}  // namespace cellar::checkpoint
