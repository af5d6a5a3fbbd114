#include "sys/beneath_parts.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "sys/call.h"

namespace cellar::sys::beneath {

void throw_path(std::string_view reason, std::string_view path, std::string_view what) {
  // A NUL or a megabyte of path must not end up in a log line.
  std::string shown(path.substr(0, 200));
  std::replace(shown.begin(), shown.end(), '\0', '?');
  throw Error(ErrorCode::invalid_argument, std::string(reason),
              "path '" + shown + "' " + std::string(what));
}

void throw_resolution(int error, const std::string& path) {
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

int open_at(int dir, const char* path, int flags, std::uint64_t resolve, mode_t mode) {
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

std::optional<struct stat> stat_name(int dir, const std::string& name, const std::string& path) {
  struct stat raw{};
  if (::fstatat(dir, name.c_str(), &raw, AT_SYMLINK_NOFOLLOW) == 0) return raw;
  if (errno == ENOENT) return std::nullopt;
  throw_resolution(errno, path);
}

std::string link_target(int dir, const std::string& name) {
  std::string target(BeneathDir::kPathBytesMax, '\0');
  const ssize_t size = ::readlinkat(dir, name.c_str(), target.data(), target.size());
  target.resize(size == -1 ? 0 : static_cast<std::size_t>(size));
  return target;
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

}  // namespace cellar::sys::beneath
