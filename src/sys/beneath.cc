#include "sys/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "sys/call.h"
#include "sys/dir.h"
#include "sys/file.h"

namespace cellar::sys {
namespace {

// What write_atomic is still writing; not shown in lists. The name says whose it is should a crash
// leave one behind.
constexpr std::string_view kTemporaryPrefix = ".cellar-tmp-";
constexpr std::uint64_t kBeneath = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
// Below folders that we hold open: one name at a time, no link at all.
constexpr std::uint64_t kOneName = kBeneath | RESOLVE_NO_SYMLINKS;

[[noreturn]] void throw_path(std::string_view reason, std::string_view path,
                             std::string_view what) {
  // A NUL or a megabyte of path must not end up in a log line.
  std::string shown(path.substr(0, 200));
  std::replace(shown.begin(), shown.end(), '\0', '?');
  throw Error(ErrorCode::invalid_argument, std::string(reason),
              "path '" + shown + "' " + std::string(what));
}

[[noreturn]] void throw_resolution(int error, const std::string& path) {
  switch (error) {
    case EXDEV:
      throw_path("path_escapes", path, "leads outside of the cell's files");
    case ELOOP:
      throw_path("symlink_loop", path, "goes through too many symbolic links");
    case ENOTDIR:
      throw_path("not_a_directory", path, "goes through something that is not a folder");
    case ENXIO:  // A socket, or a pipe without a reader.
    case ENODEV:
    case EISDIR:
      throw_path("not_a_file", path, "is not a regular file");
    case ENAMETOOLONG:
      throw_path("invalid_path", path, "is too long");
    case EAGAIN:
      throw Error(ErrorCode::unavailable, "path_busy",
                  "path '" + path + "' is being changed or held by the cell");
    default:
      throw_errno_value(error, "open", path);
  }
}

// -1 and errno on failure. EAGAIN is the kernel's word for "something was renamed on the way, I
// cannot tell whether it led outside", and for a lease that a process of the cell holds.
int open_beneath(int dir, const char* path, int flags, std::uint64_t resolve, mode_t mode = 0) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = resolve;
  for (int attempt = 1;; ++attempt) {
    const auto fd =
        retry_on_signal([&] { return ::syscall(SYS_openat2, dir, path, &how, sizeof how); });
    if (fd != -1 || errno != EAGAIN || attempt == BeneathDir::kResolveAttemptsMax) {
      return static_cast<int>(fd);
    }
  }
}

FileStat to_stat(const struct stat& raw) {
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  FileStat out;
  out.kind = S_ISREG(raw.st_mode)   ? FileKind::file
             : S_ISDIR(raw.st_mode) ? FileKind::directory
             : S_ISLNK(raw.st_mode) ? FileKind::symlink
                                    : FileKind::special;
  out.mode = raw.st_mode & 07777;
  out.size_bytes = static_cast<std::uint64_t>(raw.st_size);
  out.inode = raw.st_ino;
  out.link_count = raw.st_nlink;
  out.mtime_ns = raw.st_mtim.tv_sec * kNsPerSecond + raw.st_mtim.tv_nsec;
  out.ctime_ns = raw.st_ctim.tv_sec * kNsPerSecond + raw.st_ctim.tv_nsec;
  return out;
}

struct stat stat_fd(int fd, std::string_view path) {
  struct stat raw{};
  if (::fstat(fd, &raw) == -1) throw_errno("fstat", path);
  return raw;
}

// Of one name in an open folder, not following a link; nullopt where there is none.
std::optional<struct stat> stat_name(int dir, const std::string& name, const std::string& path) {
  struct stat raw{};
  if (::fstatat(dir, name.c_str(), &raw, AT_SYMLINK_NOFOLLOW) == 0) return raw;
  if (errno == ENOENT) return std::nullopt;
  throw_resolution(errno, path);
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

void sync_folder(int dir, const std::string& path) {
  if (retry_on_signal([&] { return ::fsync(dir); }) == -1) throw_errno("fsync", path);
}

Dir read_folder(Fd fd, const std::string& path) {
  Dir dir(::fdopendir(fd.get()));
  if (!dir) throw_errno("fdopendir", path);
  (void)fd.release();
  return dir;
}

// The next entry but "." and ".."; nullptr at the end.
const dirent* next_entry(DIR* dir, const std::string& path) {
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir);
    if (entry == nullptr && errno != 0) throw_errno("readdir", path);
    if (entry == nullptr) return nullptr;
    const std::string_view name(entry->d_name);
    if (name != "." && name != "..") return entry;
  }
}

// Names in one folder, at most `limit`, sorted; sets `more` when there are others.
std::vector<std::string> names_in(DIR* dir, const std::string& path, std::size_t limit,
                                  bool& more) {
  std::vector<std::string> names;
  while (const dirent* entry = next_entry(dir, path)) {
    const std::string_view name(entry->d_name);
    if (name.starts_with(kTemporaryPrefix)) continue;
    if (names.size() == limit) {
      more = true;
      break;
    }
    names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Walks the tree below the open folder `start` without recursion, without holding more than one
// other folder open and without "..": each folder is resolved again from `start`. Paths are given
// to the callbacks as they are below `prefix`, the path of `start`. Returns false when it stopped
// at `limit` names.
bool walk(int start, const std::string& prefix, std::size_t limit,
          const std::function<Walk(const std::string&)>& enter,
          const std::function<void(int, const std::string&)>& opened,
          const std::function<void(DirEntry&)>& each) {
  const auto full_path = [&](const std::string& path) {
    return prefix == "." ? path : path == "." ? prefix : prefix + "/" + path;
  };
  std::vector<std::string> pending = {"."};
  bool more = false;
  while (!pending.empty() && !more) {
    const std::string folder = std::move(pending.back());
    pending.pop_back();
    const std::string folder_path = full_path(folder);
    if (enter(folder_path) == Walk::skip) continue;
    Fd fd(open_beneath(start, folder.c_str(), O_RDONLY | O_DIRECTORY, kOneName));
    if (!fd && code_of_errno(errno) == ErrorCode::exhausted) throw_resolution(errno, folder_path);
    if (!fd) continue;  // Vanished, or swapped for a link, since its name was read.
    if (opened) opened(fd.get(), folder_path);
    const Dir dir = read_folder(std::move(fd), folder_path);
    const auto names = names_in(dir.get(), folder_path, limit, more);
    limit -= names.size();
    const auto first_child = static_cast<std::ptrdiff_t>(pending.size());
    for (const auto& name : names) {
      const std::string path = folder == "." ? name : folder + "/" + name;
      DirEntry entry;
      entry.path = full_path(path);
      struct stat raw{};
      if (entry.path.size() > BeneathDir::kPathBytesMax) continue;
      if (::fstatat(::dirfd(dir.get()), name.c_str(), &raw, AT_SYMLINK_NOFOLLOW) == -1) continue;
      entry.stat = to_stat(raw);
      if (entry.stat.kind == FileKind::directory) pending.push_back(path);
      each(entry);
    }
    std::reverse(pending.begin() + first_child, pending.end());
  }
  return !more;
}

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
      const dirent* entry = next_entry(levels_.back().dir.get(), path_);
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
    const std::string moved = std::string(kTemporaryPrefix) + random_hex(8);
    const int top = ::dirfd(levels_.front().dir.get());
    if (::renameat(dir, name.c_str(), top, moved.c_str()) == 0) return count();
    if (errno != ENOENT) throw_errno("rename", path_ + "/…/" + name);
  }

  void push(int dir, const std::string& name) {
    Fd fd(open_beneath(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, kOneName));
    if (fd) {
      levels_.push_back({name, read_folder(std::move(fd), path_)});
    } else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
      throw_resolution(errno, path_);
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

// Removes the temporary file unless it became the real one.
struct Temporary {
  int dir;
  std::string name = std::string(kTemporaryPrefix) + random_hex(8);
  bool renamed = false;
  ~Temporary() {
    if (!renamed) ::unlinkat(dir, name.c_str(), 0);
  }
};

}  // namespace

std::string normalize_path(std::string_view path) {
  if (path.empty()) throw_path("invalid_path", path, "is empty");
  if (path.size() > BeneathDir::kPathBytesMax) throw_path("invalid_path", path, "is too long");
  if (path.find('\0') != path.npos) throw_path("invalid_path", path, "holds a NUL byte");
  if (path.front() == '/') throw_path("invalid_path", path, "is absolute");
  std::vector<std::string_view> names;
  for (const std::string_view name : split(path, '/')) {
    if (name.empty() || name == ".") continue;
    if (name.size() > BeneathDir::kNameBytesMax) {
      throw_path("invalid_path", path, "has a name that is too long");
    }
    if (name != "..") {
      names.push_back(name);
    } else if (names.empty()) {
      throw_path("invalid_path", path, "leads above the cell's files");
    } else {
      names.pop_back();
    }
  }
  std::string out;
  for (const auto name : names) out.append(out.empty() ? "" : "/").append(name);
  return out.empty() ? "." : out;
}

BeneathDir::BeneathDir(const std::string& path, std::uint32_t root)
    : root_(open_file(path, O_PATH | O_DIRECTORY | O_NOFOLLOW)), owner_(root) {}

std::optional<OpenFile> BeneathDir::open_read(std::string_view request) const {
  const std::string path = normalize_path(request);
  // O_NONBLOCK: a pipe without a writer opens at once and is refused below; a lease is not awaited.
  Fd fd(open_beneath(root_.get(), path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY, kBeneath));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) throw_resolution(errno, path);
  const auto stat = to_stat(stat_fd(fd.get(), path));
  if (stat.kind != FileKind::file) throw_path("not_a_file", path, "is not a regular file");
  return OpenFile{std::move(fd), stat};
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
  const Fd fd(open_beneath(root_.get(), path.c_str(), O_PATH, kBeneath));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) throw_resolution(errno, path);
  return to_stat(stat_fd(fd.get(), path));
}

std::optional<FileStat> BeneathDir::stat_entry(std::string_view request) const {
  const std::string path = normalize_path(request);
  if (name_of(path).starts_with(kTemporaryPrefix)) return std::nullopt;
  const Fd parent(
      open_beneath(root_.get(), parent_of(path).c_str(), O_PATH | O_DIRECTORY, kOneName));
  const bool absent = !parent && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP);
  if (absent) return std::nullopt;
  if (!parent) throw_resolution(errno, path);
  const auto raw = stat_name(parent.get(), name_of(path), path);
  return raw ? std::optional(to_stat(*raw)) : std::nullopt;
}

Fd BeneathDir::open_parent_of(const std::string& path) const {
  return Fd(open_beneath(root_.get(), parent_of(path).c_str(), O_RDONLY | O_DIRECTORY, kBeneath));
}

// Name by name from the root, so that a path of n names costs n steps. A link on the way makes the
// kernel resolve the whole path so far again: what it leads to may lie beside, not beneath, `here`.
Fd BeneathDir::make_parent_of(const std::string& path) const {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY;
  const std::string parent = parent_of(path);
  Fd here(open_beneath(root_.get(), ".", kFlags, kOneName));
  if (!here) throw_resolution(errno, path);
  std::string so_far;
  for (const auto piece : split(parent, '/')) {
    const std::string name(piece);
    so_far.append(so_far.empty() ? "" : "/").append(name);
    Fd next(open_beneath(here.get(), name.c_str(), kFlags, kOneName));
    if (!next && errno == ENOENT) {
      const bool made = ::mkdirat(here.get(), name.c_str(), 0755) == 0;
      if (!made && errno != EEXIST) throw_resolution(errno, path);
      next.reset(open_beneath(here.get(), name.c_str(), kFlags, kOneName));
      if (made && next) {
        // Neither our umask nor a set-group-id folder of the cell shall decide.
        if (::fchmod(next.get(), 0755) == -1) throw_errno("fchmod", so_far);
        if (::geteuid() == 0) give_to(next.get(), owner_);
        sync_folder(here.get(), so_far);
      }
    }
    if (!next && errno == ELOOP) {
      next.reset(open_beneath(root_.get(), so_far.c_str(), kFlags, kBeneath));
    }
    if (!next) throw_resolution(errno, path);
    here = std::move(next);
  }
  return here;
}

void BeneathDir::write_atomic(std::string_view request, std::string_view bytes, mode_t mode) const {
  const std::string path = normalize_path(request);
  if (path == ".") throw_path("not_a_file", path, "is not a regular file");
  Fd parent = open_parent_of(path);
  if (!parent && errno == ENOENT) parent = make_parent_of(path);
  if (!parent) throw_resolution(errno, path);

  const std::string name = name_of(path);
  uid_t uid = owner_;
  gid_t gid = owner_;
  if (const auto old = stat_name(parent.get(), name, path)) {
    if (!S_ISREG(old->st_mode) && !S_ISLNK(old->st_mode)) {
      throw_path("not_a_file", path, "is not a regular file");
    }
    if (S_ISREG(old->st_mode)) {
      mode = old->st_mode;
      uid = old->st_uid;
      gid = old->st_gid;
    }
  }

  Temporary temporary{parent.get()};
  const Fd fd(open_beneath(parent.get(), temporary.name.c_str(), O_WRONLY | O_CREAT | O_EXCL,
                           kOneName, 0600));
  if (!fd) throw_resolution(errno, path);
  write_all(fd.get(), bytes, path);
  if (::geteuid() == 0 && ::fchown(fd.get(), uid, gid) == -1) throw_errno("fchown", path);
  if (::fchmod(fd.get(), mode & 0777) == -1) throw_errno("fchmod", path);
  if (retry_on_signal([&] { return ::fsync(fd.get()); }) == -1) throw_errno("fsync", path);
  if (::renameat(parent.get(), temporary.name.c_str(), parent.get(), name.c_str()) == -1) {
    throw_resolution(errno, path);
  }
  temporary.renamed = true;
  sync_folder(parent.get(), path);
}

bool BeneathDir::remove(std::string_view request) const {
  const std::string path = normalize_path(request);
  if (path == ".") throw_path("invalid_path", path, "is the whole folder");
  const Fd parent = open_parent_of(path);
  if (!parent && errno == ENOENT) return false;
  if (!parent) throw_resolution(errno, path);
  const std::string name = name_of(path);
  const bool found = TreeRemoval(parent.get(), name, path).run();
  if (found) sync_folder(parent.get(), path);
  return found;
}

Listing BeneathDir::list(std::string_view request, Depth depth, std::size_t limit) const {
  const std::string start = normalize_path(request);
  Listing listing;
  const auto enter = [&](const std::string& folder) {
    return depth == Depth::all || folder == start ? Walk::go_on : Walk::skip;
  };
  const auto each = [&](DirEntry& entry) { listing.entries.push_back(entry); };
  const Fd folder(open_beneath(root_.get(), start.c_str(), O_RDONLY | O_DIRECTORY, kBeneath));
  if (!folder) throw_resolution(errno, start);
  listing.truncated = !walk(folder.get(), start, std::min(limit, kWalkEntriesMax), enter, {}, each);
  std::sort(listing.entries.begin(), listing.entries.end(),
            [](const DirEntry& a, const DirEntry& b) { return a.path < b.path; });
  return listing;
}

bool BeneathDir::for_each_file(std::string_view request, const Visitor& visitor) const {
  const std::string start = normalize_path(request);
  const Fd folder(open_beneath(root_.get(), start.c_str(), O_PATH | O_DIRECTORY, kOneName));
  if (!folder && code_of_errno(errno) == ErrorCode::exhausted) throw_resolution(errno, start);
  if (!folder) return true;
  const auto each = [&](DirEntry& entry) {
    if (entry.stat.kind == FileKind::file) visitor.visit(entry);
  };
  return walk(folder.get(), start, kWalkEntriesMax, visitor.enter, visitor.opened, each);
}

}  // namespace cellar::sys
