#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.h"
#include "sys/file.h"

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
  std::string path;    // Relative to the BeneathDir.
  FileStat stat;       // Of the entry itself: a link is never followed.
  std::string target;  // of a link, as it says
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
enum class Removed : std::uint8_t { nothing, removed, is_folder };
enum class Existing : std::uint8_t { keep, replace };
enum class Walk : std::uint8_t { go_on, skip };

// A path of a request as the plain relative one that it means: "./a//b/../c" is "a/c", and the
// folder itself is ".". Throws Error `invalid_argument`, reason `invalid_path`, naming the path,
// where it is empty, absolute, leads above its start by "..", holds a NUL byte, is longer than
// BeneathDir::kPathBytesMax or has a name longer than BeneathDir::kNameBytesMax.
std::string normalize_path(std::string_view path);
// Whether a file of that name is one that is still being written, which lists do not show.
bool is_temporary_name(std::string_view name) noexcept;

struct WriteOptions {
  mode_t new_mode = 0644;      // of a file that was not there
  std::optional<mode_t> mode;  // whatever there was
  std::optional<std::int64_t> mtime_ns;
};

class TreeWalk;

// A file that is written piece by piece under a name that nobody is shown, and takes its place when
// it is whole; until then, and if it never does, the old one stays. Blocking. Throws Error. Not
// thread-safe.
class PendingFile {
 public:
  // For BeneathDir. `parent` is the open folder of `path`; new files belong to `owner`.
  PendingFile(Fd parent, std::string path, const WriteOptions& options, std::uint32_t owner);
  PendingFile(PendingFile&& other) noexcept;
  PendingFile& operator=(PendingFile&&) = delete;
  ~PendingFile();

  void write(std::string_view bytes);
  // Nothing is written after that. It has the mode and the owner of what it will replace, which
  // replace() looks at once more.
  void finish(Durable durable);
  // Comes after finish(). A file or a link at the path is replaced.
  void replace(Durable durable);
  FileStat stat() const;

 private:
  struct Rights {
    mode_t mode = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    bool operator==(const Rights&) const = default;
  };
  // Those of what it will replace. False where it has them already.
  bool take_rights();

  Fd parent_;
  std::string path_;
  std::string temporary_;  // its name; empty once it took its place
  WriteOptions options_;
  std::uint32_t owner_;
  Fd fd_;
  std::optional<Rights> rights_;  // those that it has
};

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

  // The same, but that a link at `path` is not followed: what is no regular file is not open.
  std::optional<OpenFile> open_itself(std::string_view path) const;
  // What is at `path` itself; links on the way are followed. nullopt where there is nothing.
  std::optional<DirEntry> entry(std::string_view path) const;
  // The files below one folder of it. Throws `not_found`.
  BeneathDir below(std::string_view path) const;

  // Replaces the file (or the link) at `path` so that it holds the old or the new bytes after a
  // crash at any moment; durable when this returns. Makes missing folders, mode 0755. An existing
  // file keeps its mode and owner; a new one gets `mode` and belongs to the root of the cell (where
  // this process may say so).
  void write_atomic(std::string_view path, std::string_view bytes, mode_t mode = 0644) const;
  // The same piece by piece.
  PendingFile begin_write(std::string_view path, const WriteOptions& options) const;
  // Adds bytes to the file at `path`, which is made where there is none; durable when this returns.
  // Throws `not_a_file` for a link. A crash, or a full disk, may leave a part of them.
  void append(std::string_view path, std::string_view bytes, const WriteOptions& options) const;

  // Makes a folder and those above it; durable when this returns, where that is asked for. False
  // where it was there. Throws `already_exists`, reason `path_exists`, where something else is.
  bool make_folder(std::string_view path, mode_t mode, Durable durable = Durable::yes) const;
  // Makes only those above it, and tells how many. Not durable before sync_all().
  std::size_t make_folders_above(std::string_view path) const;
  // Moves what is at `from`, whatever it is; durable when this returns. The folders of `to` are
  // made. False where nothing is at `from`. Throws `already_exists`, reason `path_exists`, where
  // something is at `to` and is to be kept, or cannot be replaced by that.
  bool rename(std::string_view from, std::string_view to, Existing existing) const;
  // Of a file or folder; `mode` has permission bits only. False where there is nothing. Throws
  // `not_a_file` for what is neither.
  bool set_mode(std::string_view path, mode_t mode) const;
  // A symbolic link that says `target`, or one more name of the file at `file`. A file or link at
  // `path` is replaced. Not durable before sync_all().
  void make_link(std::string_view path, const std::string& target) const;
  void make_name(std::string_view path, std::string_view file) const;
  // Makes all that was written on the file system durable.
  void sync_all() const;

  // Removes a file, a link or a whole tree, of any depth. False where there is nothing.
  bool remove(std::string_view path) const;
  // The same, but that a folder is left alone.
  Removed remove_file(std::string_view path) const;

  // What the folder at `path` holds (at `Depth::all`: and its folders, links not followed), at most
  // `limit` entries. Throws `not_found` where there is no such folder.
  Listing list(std::string_view path, Depth depth, std::size_t limit) const;

  // The folder at `path` and all below it. Throws `not_found`.
  TreeWalk walk(std::string_view path) const;

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
  BeneathDir(Fd root, std::uint32_t owner) : root_(std::move(root)), owner_(owner) {}
  Fd open_parent_of(const std::string& path) const;
  // Makes it where it is missing.
  Fd parent_for(const std::string& path) const;
  Fd make_parent_of(const std::string& path, Durable durable, std::size_t& made_count) const;

  Fd root_;
  std::uint32_t owner_;
};

}  // namespace cellar::sys
