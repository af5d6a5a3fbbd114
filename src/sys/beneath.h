#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.h"

namespace cellar::sys {

enum class FileKind : std::uint8_t { file, directory, symlink, special };

struct FileStat {
  FileKind kind = FileKind::file;
  mode_t mode = 0;  // Permission bits only.
  std::uint64_t size_bytes = 0;
  std::uint64_t inode = 0;
  std::int64_t mtime_ns = 0;  // Since 1970.
  std::int64_t ctime_ns = 0;
  std::uint64_t link_count = 1;
};

struct DirEntry {
  std::string path;  // Relative to the BeneathDir.
  FileStat stat;     // Of the entry itself: a link is never followed.
};

struct Listing {
  std::vector<DirEntry> entries;  // Sorted by path.
  bool truncated = false;         // There are more than the limit.
};

struct OpenFile {
  Fd fd;
  FileStat stat;
};

enum class Depth : std::uint8_t { one, all };
enum class Walk : std::uint8_t { go_on, skip };

// A path of a request as the plain relative one that it means: "./a//b/../c" is "a/c", and the
// folder itself is ".". Throws Error `invalid_argument`, reason `invalid_path`, naming the path,
// where it is empty, absolute, leads above its start by "..", holds a NUL byte, is longer than
// BeneathDir::kPathBytesMax or has a name longer than BeneathDir::kNameBytesMax.
std::string normalize_path(std::string_view path);

// The files below one folder of a cell, reached in such a way that nothing which the cell does to
// them, before or meanwhile, leads outside: the kernel resolves each path with RESOLVE_BENEATH and
// RESOLVE_NO_MAGICLINKS. Links that stay inside are followed by `read`, `open_read`, `stat` and in
// the folders of a path, but never in the last name of a path that is written or removed.
//
// Every path goes through `normalize_path()`. Besides its Error every call throws Error:
//   `invalid_argument`, `path_escapes`   the path leads outside, through a link
//   `invalid_argument`, `symlink_loop`   too many links on the way
//   `invalid_argument`, `not_a_file`     a folder, pipe, socket or device where a file is meant
//   `invalid_argument`, `not_a_directory`
//   `unavailable`                        the cell keeps changing the path, or holds a lease on it
//   the code of the errno                everything else
//
// Blocking. Immutable after construction, so threads may share one. Pipes and devices are never
// opened in a way that could wait for the cell.
class BeneathDir {
 public:
  static constexpr std::size_t kPathBytesMax = 4095;  // The kernel's, without the final NUL.
  static constexpr std::size_t kNameBytesMax = 255;
  // How often one resolution is tried again while the cell renames what lies on its way.
  static constexpr int kResolveAttemptsMax = 100;
  // How many names one walk looks at, and how many one `remove` removes, before it gives up.
  static constexpr std::size_t kWalkEntriesMax = 2'000'000;
  static constexpr std::size_t kRemoveEntriesMax = 20'000'000;

  // `path` is the host's own (trusted) path of the folder; `root` is the id on disk of the cell's
  // root.
  explicit BeneathDir(const std::string& path, std::uint32_t root = 0);

  // The contents, or nullopt where there is nothing. `too_large` above `max_bytes`.
  std::optional<std::string> read(std::string_view path, std::size_t max_bytes) const;
  // The regular file, open for reading, with what fstat says of it; nullopt where there is none.
  std::optional<OpenFile> open_read(std::string_view path) const;
  // What is at `path`, links followed; nullopt where there is nothing.
  std::optional<FileStat> stat(std::string_view path) const;

  // Replaces the file (or the link) at `path` so that it holds the old or the new bytes after a
  // crash at any moment; durable when this returns. Makes missing folders, mode 0755. An existing
  // file keeps its mode and owner; a new one gets `mode` and belongs to the root of the cell (where
  // this process may say so).
  void write_atomic(std::string_view path, std::string_view bytes, mode_t mode = 0644) const;

  // Removes a file, a link or a whole tree, of any depth. False where there is nothing.
  bool remove(std::string_view path) const;

  // What the folder at `path` holds (at `Depth::all`: and its folders, links not followed), at most
  // `limit` entries. Throws `not_found` where there is no such folder.
  Listing list(std::string_view path, Depth depth, std::size_t limit) const;

  // What is at `path`, no link followed; nullopt where there is nothing, or where a link leads.
  std::optional<FileStat> stat_entry(std::string_view path) const;

  struct Visitor {
    std::function<Walk(const std::string& folder)> enter;  // On `skip` the folder is left out.
    // The folder is open, its names come next. May be null.
    std::function<void(int fd, const std::string& folder)> opened;
    std::function<void(const DirEntry& file)> visit;
  };
  // Calls `enter` for each folder, the one at `start` first, then `opened`, and then `visit` for
  // each regular file in it, sorted by name. Folders come after their parents. Returns false if it
  // stopped at kWalkEntriesMax. What vanishes meanwhile is left out, and so is what lies deeper
  // than kPathBytesMax. Exceptions of the callbacks reach the caller unchanged.
  bool for_each_file(std::string_view start, const Visitor& visitor) const;

 private:
  Fd open_parent_of(const std::string& path) const;
  Fd make_parent_of(const std::string& path) const;

  Fd root_;
  std::uint32_t owner_;
};

}  // namespace cellar::sys
