#include "sys/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/random.h"
#include "sys/call.h"
#include "sys/new_file.h"
#include "sys/tree_removal.h"

namespace cellar::sys {

Fd open_file(const std::string& path, int flags, mode_t mode) {
  const int fd = retry_on_signal([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd == -1) throw_errno("open", path);
  return Fd(fd);
}

std::optional<Fd> open_file_if_exists(const std::string& path, int flags) {
  const int fd = retry_on_signal([&] { return ::open(path.c_str(), flags | O_CLOEXEC); });
  if (fd == -1 && errno == ENOENT) return std::nullopt;
  if (fd == -1) throw_errno("open", path);
  return Fd(fd);
}

std::string read_all(int fd, std::size_t max_bytes, std::string_view name) {
  std::string bytes;
  std::array<char, 32 << 10> part;
  for (;;) {
    const ssize_t got = retry_on_signal([&] { return ::read(fd, part.data(), part.size()); });
    if (got == -1) throw_errno("read", name);
    if (got == 0) return bytes;
    bytes.append(part.data(), static_cast<std::size_t>(got));
    if (bytes.size() > max_bytes) {
      throw Error(ErrorCode::too_large, "file_too_large",
                  std::string(name) + " is larger than " + std::to_string(max_bytes) + " bytes");
    }
  }
}

std::optional<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  const auto fd = open_file_if_exists(path, O_RDONLY);
  if (!fd) return std::nullopt;
  return read_all(fd->get(), max_bytes, path);
}

void write_all(int fd, std::string_view bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t put = retry_on_signal([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (put == -1) throw_errno("write", name);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

void write_all_at(int fd, std::string_view bytes, std::uint64_t offset, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t put = retry_on_signal(
        [&] { return ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (put == -1) throw_errno("pwrite", name);
    bytes.remove_prefix(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
}

void write_setting(const std::string& path, std::string_view value) {
  const Fd file = open_file(path, O_WRONLY);
  write_all(file.get(), value, path);
}

std::string read_some(int fd, std::size_t max_bytes, std::string_view name) {
  std::string bytes(max_bytes, '\0');
  const ssize_t got = retry_on_signal([&] { return ::read(fd, bytes.data(), max_bytes); });
  if (got == -1) throw_errno("read", name);
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

void sync_file_system(const std::string& path) {
  const Fd fd = open_file(path, O_RDONLY);
  if (retry_on_signal([&] { return ::syncfs(fd.get()); }) == -1) throw_errno("syncfs", path);
}

void sync_data(int fd, std::string_view name) {
  if (retry_on_signal([&] { return ::fdatasync(fd); }) == -1) throw_errno("fdatasync", name);
}

void cut_file(const std::string& path, std::uint64_t size_bytes) {
  const Fd file = open_file(path, O_WRONLY);
  const auto cut = [&] { return ::ftruncate(file.get(), static_cast<off_t>(size_bytes)); };
  if (retry_on_signal(cut) == -1) throw_errno("ftruncate", path);
  sync_data(file.get(), path);
}

void sync_dir(const std::string& path) {
  const Fd dir = open_file(path, O_RDONLY | O_DIRECTORY);
  if (retry_on_signal([&] { return ::fsync(dir.get()); }) == -1) throw_errno("fsync", path);
}

void replace_file(const std::string& path, std::string_view bytes, mode_t mode, Durable durable) {
  NewFile file(path, mode);
  file.write(bytes);
  file.replace(durable);
}

void replace_link(const std::string& path, const std::string& target) {
  const std::string temporary = path + ".tmp-" + random_hex(6);
  if (::symlink(target.c_str(), temporary.c_str()) == -1) throw_errno("symlink", temporary);
  if (::rename(temporary.c_str(), path.c_str()) == -1) {
    const int error = errno;
    ::unlink(temporary.c_str());
    throw_errno_value(error, "rename", path);
  }
  sync_dir(folder_of(path));
}

std::string folder_of(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

void make_dirs(const std::string& path, mode_t mode) {
  if (path.empty()) throw_errno_value(ENOENT, "mkdir", path);
  if (::mkdir(path.c_str(), mode) == 0) return;
  if (errno == EEXIST) return;
  if (errno != ENOENT) throw_errno("mkdir", path);
  make_dirs(folder_of(path), mode);
  if (::mkdir(path.c_str(), mode) == -1 && errno != EEXIST) throw_errno("mkdir", path);
}

bool exists(const std::string& path) {
  struct stat unused{};
  return ::lstat(path.c_str(), &unused) == 0;
}

void remove_file(const std::string& path) {
  if (::unlink(path.c_str()) == -1 && errno != ENOENT) throw_errno("unlink", path);
}

void remove_tree(const std::string& path) {
  remove_tree_while(path, [] { return true; });
}

}  // namespace cellar::sys
