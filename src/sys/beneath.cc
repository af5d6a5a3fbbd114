#include "sys/beneath.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "sys/beneath_parts.h"
#include "sys/dir.h"
#include "sys/file.h"
#include "sys/node.h"
#include "sys/tree_walk.h"

namespace cellar::sys {
namespace {

// Removes what is below `name` in the folder `parent`, one attempt at each name. To hold few
// descriptors in a tree of any depth, and never to use "..", which the cell can turn around by a
// rename, a folder at kOpenMax levels is first moved up into the top.
class TreeRemoval {
 public:
  TreeRemoval(int parent, const std::string& name, const std::string& path)
      : parent_(parent), name_(name), path_(path) {}

  bool run() {
    bool found = false;
    for (;;) {
      if (::unlinkat(parent_, name_.c_str(), 0) == 0) return true;
      if (errno == ENOENT) return found;
      if (errno != EISDIR) throw_errno("unlink", path_);
      found = true;
      const std::size_t before = done_;
      empty_top();
      if (::unlinkat(parent_, name_.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
      const bool changed = errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR;
      if (!changed) throw_errno("rmdir", path_);
      if (done_ == before) {
        throw Error(ErrorCode::unavailable, "path_busy",
                    "remove " + path_ + ": the cell fills it again");
      }
    }
  }

 private:
  static constexpr std::size_t kOpenMax = 32;

  struct Level {
    std::string name;
    Dir dir;
  };

  void empty_top() {
    push(parent_, name_);
    while (!levels_.empty()) {
      const dirent* entry = beneath::next_entry(levels_.back().dir.get(), path_);
      if (entry != nullptr) {
        remove_entry(entry->d_name);
        continue;
      }
      const std::string name = std::move(levels_.back().name);
      levels_.pop_back();
      if (!levels_.empty() && ::unlinkat(top_fd(), name.c_str(), AT_REMOVEDIR) == 0) count();
    }
  }

  void remove_entry(const std::string& name) {
    const int dir = top_fd();
    if (::unlinkat(dir, name.c_str(), 0) == 0) return count();
    if (errno == ENOENT) return;
    if (errno != EISDIR) throw_errno("unlink", path_ + "/…/" + name);
    if (levels_.size() < kOpenMax) return push(dir, name);
    const std::string moved = std::string(beneath::kTemporaryPrefix) + random_hex(8);
    const int top = ::dirfd(levels_.front().dir.get());
    if (::renameat(dir, name.c_str(), top, moved.c_str()) == 0) return count();
    if (errno != ENOENT) throw_errno("rename", path_ + "/…/" + name);
  }

  void push(int dir, const std::string& name) {
    Fd fd(beneath::open_at(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                           beneath::kOneName));
    if (fd) {
      levels_.push_back({name, beneath::read_folder(std::move(fd), path_)});
    } else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
      beneath::throw_resolution(errno, path_);
    }
  }

  void count() {
    if (++done_ > BeneathDir::kRemoveEntriesMax) {
      throw Error(ErrorCode::unavailable, "path_busy",
                  "remove " + path_ + ": more entries than one call removes, call again");
    }
  }

  int top_fd() const { return ::dirfd(levels_.back().dir.get()); }

  int parent_;
  const std::string& name_;
  const std::string& path_;
  std::vector<Level> levels_;
  std::size_t done_ = 0;
};

}  // namespace

std::string normalize_path(std::string_view path) {
  if (path.empty()) beneath::throw_path("invalid_path", path, "is empty");
  if (path.size() > BeneathDir::kPathBytesMax)
    beneath::throw_path("invalid_path", path, "is too long");
  if (path.find('\0') != path.npos) beneath::throw_path("invalid_path", path, "holds a NUL byte");
  if (path.front() == '/') beneath::throw_path("invalid_path", path, "is absolute");
  std::vector<std::string_view> names;
  for (const std::string_view name : split(path, '/')) {
    if (name.empty() || name == ".") continue;
    if (name.size() > BeneathDir::kNameBytesMax) {
      beneath::throw_path("invalid_path", path, "has a name that is too long");
    }
    if (name != "..") {
      names.push_back(name);
    } else if (names.empty()) {
      beneath::throw_path("invalid_path", path, "leads above the cell's files");
    } else {
      names.pop_back();
    }
  }
  std::string out;
  for (const auto name : names) out.append(out.empty() ? "" : "/").append(name);
  return out.empty() ? "." : out;
}

bool is_temporary_name(std::string_view name) noexcept {
  return name.starts_with(beneath::kTemporaryPrefix);
}

BeneathDir::BeneathDir(const std::string& path, std::uint32_t root)
    : root_(open_file(path, O_PATH | O_DIRECTORY | O_NOFOLLOW)), owner_(root) {}

std::optional<OpenFile> BeneathDir::open_read(std::string_view request) const {
  const std::string path = normalize_path(request);
  // O_NONBLOCK: a pipe without a writer opens at once and is refused below; a lease is not awaited.
  Fd fd(beneath::open_at(root_.get(), path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY,
                         beneath::kBeneath));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) beneath::throw_resolution(errno, path);
  const auto stat = beneath::to_stat(beneath::stat_fd(fd.get(), path));
  if (stat.kind != FileKind::file) beneath::throw_path("not_a_file", path, "is not a regular file");
  return OpenFile{std::move(fd), stat};
}

std::optional<OpenFile> BeneathDir::open_itself(std::string_view request) const {
  const std::string path = normalize_path(request);
  const Fd parent = open_parent_of(path);
  if (!parent && errno == ENOENT) return std::nullopt;
  if (!parent) beneath::throw_resolution(errno, path);
  const std::string name = path == "." ? path : name_of(path);
  const auto raw = beneath::stat_name(parent.get(), name, path);
  if (!raw) return std::nullopt;
  if (!S_ISREG(raw->st_mode)) return OpenFile{Fd(), beneath::to_stat(*raw)};
  Fd fd(beneath::open_at(parent.get(), name.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY,
                         beneath::kOneName));
  if (!fd) beneath::throw_resolution(errno == ENOENT ? EAGAIN : errno, path);
  const auto stat = beneath::to_stat(beneath::stat_fd(fd.get(), path));
  if (stat.kind != FileKind::file) return OpenFile{Fd(), stat};
  return OpenFile{std::move(fd), stat};
}

std::optional<DirEntry> BeneathDir::entry(std::string_view request) const {
  const std::string path = normalize_path(request);
  if (is_temporary_name(name_of(path))) return std::nullopt;
  const Fd parent = open_parent_of(path);
  if (!parent && errno == ENOENT) return std::nullopt;
  if (!parent) beneath::throw_resolution(errno, path);
  const auto raw = beneath::stat_name(parent.get(), name_of(path), path);
  if (!raw) return std::nullopt;
  DirEntry entry{.path = path, .stat = beneath::to_stat(*raw), .target = {}};
  if (entry.stat.kind == FileKind::symlink) {
    entry.target = beneath::link_target(parent.get(), name_of(path));
  }
  return entry;
}

BeneathDir BeneathDir::below(std::string_view request) const {
  const std::string path = normalize_path(request);
  Fd folder(beneath::open_at(root_.get(), path.c_str(), O_PATH | O_DIRECTORY, beneath::kBeneath));
  if (!folder) beneath::throw_resolution(errno, path);
  return BeneathDir(std::move(folder), owner_);
}

std::optional<std::string> BeneathDir::read(std::string_view request, std::size_t max_bytes) const {
  const auto file = open_read(request);
  if (!file) return std::nullopt;
  if (file->stat.size_bytes > max_bytes) {
    throw Error(ErrorCode::too_large, "file_too_large",
                "path '" + std::string(request) + "' is larger than " + std::to_string(max_bytes) +
                    " bytes");
  }
  return read_all(file->fd.get(), max_bytes, request);
}

std::optional<FileStat> BeneathDir::stat(std::string_view request) const {
  const std::string path = normalize_path(request);
  const Fd fd(beneath::open_at(root_.get(), path.c_str(), O_PATH, beneath::kBeneath));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) beneath::throw_resolution(errno, path);
  return beneath::to_stat(beneath::stat_fd(fd.get(), path));
}

std::optional<FileStat> BeneathDir::stat_entry(std::string_view request) const {
  const std::string path = normalize_path(request);
  if (is_temporary_name(name_of(path))) return std::nullopt;
  const Fd parent(beneath::open_at(root_.get(), parent_of(path).c_str(), O_PATH | O_DIRECTORY,
                                   beneath::kOneName));
  const bool absent = !parent && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP);
  if (absent) return std::nullopt;
  if (!parent) beneath::throw_resolution(errno, path);
  const auto raw = beneath::stat_name(parent.get(), name_of(path), path);
  return raw ? std::optional(beneath::to_stat(*raw)) : std::nullopt;
}

Fd BeneathDir::open_parent_of(const std::string& path) const {
  return Fd(beneath::open_at(root_.get(), parent_of(path).c_str(), O_RDONLY | O_DIRECTORY,
                             beneath::kBeneath));
}

bool BeneathDir::remove(std::string_view request) const {
  const std::string path = normalize_path(request);
  if (path == ".") beneath::throw_path("invalid_path", path, "is the whole folder");
  const Fd parent = open_parent_of(path);
  if (!parent && errno == ENOENT) return false;
  if (!parent) beneath::throw_resolution(errno, path);
  const std::string name = name_of(path);
  const bool found = TreeRemoval(parent.get(), name, path).run();
  if (found) beneath::sync_folder(parent.get(), path);
  return found;
}

Removed BeneathDir::remove_file(std::string_view request) const {
  const std::string path = normalize_path(request);
  if (path == ".") return Removed::is_folder;
  const Fd parent = open_parent_of(path);
  if (!parent && errno == ENOENT) return Removed::nothing;
  if (!parent) beneath::throw_resolution(errno, path);
  if (::unlinkat(parent.get(), name_of(path).c_str(), 0) == -1) {
    if (errno == ENOENT) return Removed::nothing;
    if (errno == EISDIR) return Removed::is_folder;
    beneath::throw_resolution(errno, path);
  }
  beneath::sync_folder(parent.get(), path);
  return Removed::removed;
}

Listing BeneathDir::list(std::string_view request, Depth depth, std::size_t limit) const {
  const std::string start = normalize_path(request);
  Listing listing;
  TreeWalk::Visitor visitor;
  visitor.enter = [&](const std::string& folder) {
    return depth == Depth::all || folder == start ? Walk::go_on : Walk::skip;
  };
  visitor.each = [&](DirEntry& entry) { listing.entries.push_back(std::move(entry)); };
  Fd folder(
      beneath::open_at(root_.get(), start.c_str(), O_RDONLY | O_DIRECTORY, beneath::kBeneath));
  if (!folder) beneath::throw_resolution(errno, start);
  TreeWalk tree(std::move(folder), start, std::min(limit, kWalkEntriesMax));
  while (tree.step(visitor)) continue;
  listing.truncated = tree.is_cut();
  std::sort(listing.entries.begin(), listing.entries.end(),
            [](const DirEntry& a, const DirEntry& b) { return a.path < b.path; });
  return listing;
}

TreeWalk BeneathDir::walk(std::string_view request) const {
  const std::string start = normalize_path(request);
  Fd folder(beneath::open_at(root_.get(), start.c_str(), O_PATH | O_DIRECTORY, beneath::kBeneath));
  if (!folder) beneath::throw_resolution(errno, start);
  return TreeWalk(std::move(folder), start, kWalkEntriesMax);
}

bool BeneathDir::for_each_file(std::string_view request, const Visitor& visitor) const {
  const std::string start = normalize_path(request);
  Fd folder(beneath::open_at(root_.get(), start.c_str(), O_PATH | O_DIRECTORY, beneath::kOneName));
  if (!folder && code_of_errno(errno) == ErrorCode::exhausted) {
    beneath::throw_resolution(errno, start);
  }
  if (!folder) return true;
  const TreeWalk::Visitor all = TreeWalk::of_files(visitor);
  TreeWalk tree(std::move(folder), start, kWalkEntriesMax);
  while (tree.step(all)) continue;
  return !tree.is_cut();
}

}  // namespace cellar::sys
