// What BeneathDir changes; what it reads and removes is in beneath.cc.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "sys/beneath.h"
#include "sys/beneath_parts.h"
#include "sys/call.h"
#include "sys/file.h"
#include "sys/node.h"

namespace cellar::sys {
namespace {

std::string temporary_name() { return std::string(beneath::kTemporaryPrefix) + random_hex(8); }

[[noreturn]] void throw_exists(const std::string& path, std::string_view what) {
  throw Error(ErrorCode::already_exists, "path_exists", "path '" + path + "' " + std::string(what));
}

void set_rights(int fd, mode_t mode, uid_t uid, gid_t gid, const std::string& path) {
  if (::geteuid() == 0 && ::fchown(fd, uid, gid) == -1) throw_errno("fchown", path);
  if (::fchmod(fd, mode & 0777) == -1) throw_errno("fchmod", path);
}

// A new name that replaces what is at `path`, made by `make(name)` under another one first.
template <typename Make>
void replace_name(int parent, const std::string& path, Make make) {
  const std::string temporary = temporary_name();
  if (make(temporary) == -1) beneath::throw_resolution(errno, path);
  const int renamed = ::renameat(parent, temporary.c_str(), parent, name_of(path).c_str());
  const int error = errno;
  // It is there still where both were names of one file.
  ::unlinkat(parent, temporary.c_str(), 0);
  if (renamed == -1) beneath::throw_resolution(error, path);
}

}  // namespace

PendingFile::PendingFile(Fd parent, std::string path, const WriteOptions& options,
                         std::uint32_t owner)
    : parent_(std::move(parent)),
      path_(std::move(path)),
      temporary_(temporary_name()),
      options_(options),
      owner_(owner),
      fd_(beneath::open_at(parent_.get(), temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL,
                           beneath::kOneName, 0600)) {
  if (!fd_) beneath::throw_resolution(errno, path_);
}

PendingFile::PendingFile(PendingFile&& other) noexcept
    : parent_(std::move(other.parent_)),
      path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      options_(other.options_),
      owner_(other.owner_),
      fd_(std::move(other.fd_)),
      rights_(other.rights_) {}

PendingFile::~PendingFile() {
  if (!temporary_.empty()) ::unlinkat(parent_.get(), temporary_.c_str(), 0);
}

void PendingFile::write(std::string_view bytes) { write_all(fd_.get(), bytes, path_); }

bool PendingFile::take_rights() {
  mode_t mode = options_.new_mode;
  uid_t uid = owner_;
  gid_t gid = owner_;
  const auto old = beneath::stat_name(parent_.get(), name_of(path_), path_);
  if (old && S_ISREG(old->st_mode)) {
    mode = old->st_mode;
    uid = old->st_uid;
    gid = old->st_gid;
  }
  const Rights rights{.mode = options_.mode.value_or(mode), .uid = uid, .gid = gid};
  if (rights_ == rights) return false;
  set_rights(fd_.get(), rights.mode, uid, gid, path_);
  rights_ = rights;
  return true;
}

void PendingFile::finish(Durable durable) {
  take_rights();
  if (options_.mtime_ns) {
    constexpr std::int64_t kNsPerSecond = 1'000'000'000;
    const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                               {.tv_sec = *options_.mtime_ns / kNsPerSecond,
                                .tv_nsec = *options_.mtime_ns % kNsPerSecond}};
    if (::futimens(fd_.get(), times) == -1) throw_errno("futimens", path_);
  }
  if (durable == Durable::no) return;
  if (retry_on_signal([&] { return ::fsync(fd_.get()); }) == -1) throw_errno("fsync", path_);
}

void PendingFile::replace(Durable durable) {
  // They may have been changed since finish().
  if (take_rights() && durable == Durable::yes) beneath::sync_folder(fd_.get(), path_);
  if (::renameat(parent_.get(), temporary_.c_str(), parent_.get(), name_of(path_).c_str()) == -1) {
    beneath::throw_resolution(errno, path_);
  }
  temporary_.clear();
  if (durable == Durable::yes) beneath::sync_folder(parent_.get(), path_);
}

FileStat PendingFile::stat() const { return beneath::to_stat(beneath::stat_fd(fd_.get(), path_)); }

// Name by name from the root, so that a path of n names costs n steps. A link on the way makes the
// kernel resolve the whole path so far again: what it leads to may lie beside, not beneath, `here`.
Fd BeneathDir::make_parent_of(const std::string& path, Durable durable,
                              std::size_t& made_count) const {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY;
  const std::string parent = parent_of(path);
  Fd here(beneath::open_at(root_.get(), ".", kFlags, beneath::kOneName));
  if (!here) beneath::throw_resolution(errno, path);
  std::string so_far;
  for (const auto piece : split(parent, '/')) {
    const std::string name(piece);
    so_far.append(so_far.empty() ? "" : "/").append(name);
    Fd next(beneath::open_at(here.get(), name.c_str(), kFlags, beneath::kOneName));
    if (!next && errno == ENOENT) {
      const bool made = ::mkdirat(here.get(), name.c_str(), 0755) == 0;
      if (!made && errno != EEXIST) beneath::throw_resolution(errno, path);
      next.reset(beneath::open_at(here.get(), name.c_str(), kFlags, beneath::kOneName));
      if (made && next) {
        // Neither our umask nor a set-group-id folder of the cell shall decide.
        if (::fchmod(next.get(), 0755) == -1) throw_errno("fchmod", so_far);
        if (::geteuid() == 0) give_to(next.get(), owner_);
        ++made_count;
        if (durable == Durable::yes) beneath::sync_folder(here.get(), so_far);
      }
    }
    if (!next && errno == ELOOP) {
      next.reset(beneath::open_at(root_.get(), so_far.c_str(), kFlags, beneath::kBeneath));
    }
    if (!next) beneath::throw_resolution(errno, path);
    here = std::move(next);
  }
  return here;
}

Fd BeneathDir::parent_for(const std::string& path) const {
  Fd parent = open_parent_of(path);
  if (!parent && errno == ENOENT) {
    std::size_t made_count = 0;
    parent = make_parent_of(path, Durable::yes, made_count);
  }
  if (!parent) beneath::throw_resolution(errno, path);
  return parent;
}

std::size_t BeneathDir::make_folders_above(std::string_view request) const {
  const std::string path = normalize_path(request);
  if (open_parent_of(path)) return 0;
  if (errno != ENOENT) beneath::throw_resolution(errno, path);
  std::size_t made_count = 0;
  make_parent_of(path, Durable::no, made_count);
  return made_count;
}

PendingFile BeneathDir::begin_write(std::string_view request, const WriteOptions& options) const {
  std::string path = normalize_path(request);
  if (path == ".") beneath::throw_path("not_a_file", path, "is not a regular file");
  Fd parent = parent_for(path);
  const auto old = beneath::stat_name(parent.get(), name_of(path), path);
  if (old && !S_ISREG(old->st_mode) && !S_ISLNK(old->st_mode)) {
    beneath::throw_path("not_a_file", path, "is not a regular file");
  }
  return PendingFile(std::move(parent), std::move(path), options, owner_);
}

void BeneathDir::write_atomic(std::string_view path, std::string_view bytes, mode_t mode) const {
  PendingFile file = begin_write(path, {.new_mode = mode, .mode = {}, .mtime_ns = {}});
  file.write(bytes);
  file.finish(Durable::yes);
  file.replace(Durable::yes);
}

void BeneathDir::append(std::string_view request, std::string_view bytes,
                        const WriteOptions& options) const {
  const std::string path = normalize_path(request);
  if (path == ".") beneath::throw_path("not_a_file", path, "is not a regular file");
  const Fd parent = parent_for(path);
  const std::string name = name_of(path);
  constexpr int kFlags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY;
  Fd fd(beneath::open_at(parent.get(), name.c_str(), kFlags, beneath::kOneName));
  const bool is_new = !fd && errno == ENOENT;
  if (is_new) {
    fd.reset(beneath::open_at(parent.get(), name.c_str(), kFlags | O_CREAT | O_EXCL,
                              beneath::kOneName, 0600));
    if (!fd && errno == EEXIST) beneath::throw_resolution(EAGAIN, path);
  }
  if (!fd && errno == ELOOP) {
    beneath::throw_path("not_a_file", path, "is a symbolic link: name what it leads to");
  }
  if (!fd) beneath::throw_resolution(errno, path);
  if (!S_ISREG(beneath::stat_fd(fd.get(), path).st_mode)) {
    beneath::throw_path("not_a_file", path, "is not a regular file");
  }
  if (is_new) {
    set_rights(fd.get(), options.mode.value_or(options.new_mode), owner_, owner_, path);
  } else if (options.mode && ::fchmod(fd.get(), *options.mode & 0777) == -1) {
    throw_errno("fchmod", path);
  }
  write_all(fd.get(), bytes, path);
  if (retry_on_signal([&] { return ::fsync(fd.get()); }) == -1) throw_errno("fsync", path);
  if (is_new) beneath::sync_folder(parent.get(), path);
}

bool BeneathDir::make_folder(std::string_view request, mode_t mode, Durable durable) const {
  const std::string path = normalize_path(request);
  if (path == ".") return false;
  const Fd parent = parent_for(path);
  const std::string name = name_of(path);
  if (::mkdirat(parent.get(), name.c_str(), 0700) == -1) {
    if (errno != EEXIST) beneath::throw_resolution(errno, path);
    const auto there = beneath::stat_name(parent.get(), name, path);
    if (!there || !S_ISDIR(there->st_mode)) throw_exists(path, "is there, and is no folder");
    return false;
  }
  const Fd made(
      beneath::open_at(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY, beneath::kOneName));
  if (!made) beneath::throw_resolution(errno == ENOENT ? EAGAIN : errno, path);
  set_rights(made.get(), mode, owner_, owner_, path);
  if (durable == Durable::yes) beneath::sync_folder(parent.get(), path);
  return true;
}

bool BeneathDir::rename(std::string_view from_request, std::string_view to_request,
                        Existing existing) const {
  const std::string from = normalize_path(from_request);
  const std::string to = normalize_path(to_request);
  for (const std::string& path : {from, to}) {
    if (path == ".") beneath::throw_path("invalid_path", path, "is the whole folder");
  }
  if (to.starts_with(from + "/")) {
    beneath::throw_path("invalid_path", to, "lies in what is to be moved there");
  }
  const Fd from_parent = open_parent_of(from);
  if (!from_parent && errno == ENOENT) return false;
  if (!from_parent) beneath::throw_resolution(errno, from);
  if (!beneath::stat_name(from_parent.get(), name_of(from), from)) return false;
  const Fd to_parent = parent_for(to);
  const unsigned flags = existing == Existing::keep ? RENAME_NOREPLACE : 0;
  if (::renameat2(from_parent.get(), name_of(from).c_str(), to_parent.get(), name_of(to).c_str(),
                  flags) == -1) {
    if (errno == ENOENT) return false;
    if (errno == EEXIST && existing == Existing::keep) throw_exists(to, "is there already");
    if (errno == EEXIST || errno == ENOTEMPTY) throw_exists(to, "is a folder that is not empty");
    if (errno == EISDIR) throw_exists(to, "is a folder, and what is to be moved is none");
    if (errno == ENOTDIR) throw_exists(to, "is no folder, and what is to be moved is one");
    throw_errno("rename", to);
  }
  beneath::sync_folder(to_parent.get(), to);
  beneath::sync_folder(from_parent.get(), from);
  return true;
}

bool BeneathDir::set_mode(std::string_view request, mode_t mode) const {
  const std::string path = normalize_path(request);
  const Fd place(
      beneath::open_at(root_.get(), path.c_str(), O_PATH | O_NOFOLLOW, beneath::kBeneath));
  if (!place && errno == ENOENT) return false;
  if (!place) beneath::throw_resolution(errno, path);
  const auto raw = beneath::stat_fd(place.get(), path);
  if (!S_ISREG(raw.st_mode) && !S_ISDIR(raw.st_mode)) {
    beneath::throw_path("not_a_file", path, "is neither a file nor a folder");
  }
  // There is no call that takes such a descriptor; what it is cannot change any more.
  const std::string link = "/proc/self/fd/" + std::to_string(place.get());
  if (::chmod(link.c_str(), mode & 0777) == -1) throw_errno("chmod", path);
  const Fd open(::open(link.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (open) beneath::sync_folder(open.get(), path);
  return true;
}

void BeneathDir::make_link(std::string_view request, const std::string& target) const {
  const std::string path = normalize_path(request);
  const Fd parent = parent_for(path);
  replace_name(parent.get(), path, [&](const std::string& name) {
    if (::symlinkat(target.c_str(), parent.get(), name.c_str()) == -1) return -1;
    return ::geteuid() == 0
               ? ::fchownat(parent.get(), name.c_str(), owner_, owner_, AT_SYMLINK_NOFOLLOW)
               : 0;
  });
}

void BeneathDir::make_name(std::string_view request, std::string_view file) const {
  const std::string path = normalize_path(request);
  const std::string known = normalize_path(file);
  const Fd from = open_parent_of(known);
  if (!from) beneath::throw_resolution(errno, known);
  const auto raw = beneath::stat_name(from.get(), name_of(known), known);
  if (!raw)
    beneath::throw_path("invalid_path", known, "is not there, and cannot get one more name");
  if (!S_ISREG(raw->st_mode)) beneath::throw_path("not_a_file", known, "is not a regular file");
  const Fd parent = parent_for(path);
  replace_name(parent.get(), path, [&](const std::string& name) {
    return ::linkat(from.get(), name_of(known).c_str(), parent.get(), name.c_str(), 0);
  });
}

void BeneathDir::sync_all() const {
  const Fd root(beneath::open_at(root_.get(), ".", O_RDONLY | O_DIRECTORY, beneath::kOneName));
  if (!root) beneath::throw_resolution(errno, ".");
  if (::syncfs(root.get()) == -1) throw_errno("syncfs");
}

}  // namespace cellar::sys
