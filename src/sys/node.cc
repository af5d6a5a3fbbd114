#include "sys/node.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "sys/fd.h"
#include "sys/file.h"

namespace cellar::sys {

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

bool is_folder(int fd) {
  struct stat state{};
  if (::fstat(fd, &state) == -1) throw_errno("fstat");
  return S_ISDIR(state.st_mode);
}

void make_file_at(int folder, const std::string& name) {
  const int fd = ::openat(folder, name.c_str(), O_CREAT | O_CLOEXEC | O_WRONLY | O_NOFOLLOW, 0644);
  if (fd == -1) throw_errno("create", name);
  Fd(fd).reset();
}

bool has_folder_at(int folder, const std::string& name) {
  struct stat state{};
  return ::fstatat(folder, name.c_str(), &state, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISDIR(state.st_mode);
}

void make_folder_at(int folder, const std::string& name) {
  if (has_folder_at(folder, name)) return;
  if (::unlinkat(folder, name.c_str(), 0) == -1 && errno != ENOENT) throw_errno("unlink", name);
  if (::mkdirat(folder, name.c_str(), 0755) == -1 && errno != EEXIST) throw_errno("mkdir", name);
}

void make_link_at(int folder, const std::string& name, const std::string& target) {
  if (::symlinkat(target.c_str(), folder, name.c_str()) == -1) throw_errno("symlink", name);
}

void give_place_to(int fd, unsigned id) {
  if (::fchownat(fd, "", id, id, AT_EMPTY_PATH) == -1) throw_errno("fchownat");
}

void copy_rights(const std::string& from, const std::string& to) {
  constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  const Fd source = open_file(from, kFolder);
  const Fd target = open_file(to, kFolder);
  struct stat state{};
  if (::fstat(source.get(), &state) == -1) throw_errno("fstat", from);
  const bool may_give = ::geteuid() == 0;
  if (may_give && ::fchown(target.get(), state.st_uid, state.st_gid) == -1) {
    throw_errno("fchown", to);
  }
  if (::fchmod(target.get(), state.st_mode & 07777) == -1) throw_errno("fchmod", to);
  const struct timespec times[] = {state.st_atim, state.st_mtim};
  if (::futimens(target.get(), times) == -1) throw_errno("futimens", to);
}

}  // namespace cellar::sys
