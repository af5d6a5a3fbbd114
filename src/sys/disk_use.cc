#include "sys/disk_use.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <memory>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/error.h"

namespace cellar::sys {
namespace {

constexpr std::uint64_t kBlockBytes = 512;  // the unit of st_blocks, whatever the disk's is

struct CloseDir {
  void operator()(DIR* dir) const noexcept { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

Dir open_dir(int parent, const char* name) {
  const int fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return Dir(fd == -1 ? nullptr : ::fdopendir(fd));
}

}  // namespace

DiskUse disk_use(const std::string& path, std::uint64_t inodes_max) {
  std::vector<Dir> open;
  open.push_back(open_dir(AT_FDCWD, path.c_str()));
  if (!open.back()) throw_errno("opendir", path);
  struct stat root{};
  if (::fstat(::dirfd(open.back().get()), &root) == -1) throw_errno("fstat", path);

  DiskUse use{static_cast<std::uint64_t>(root.st_blocks) * kBlockBytes, 1};
  std::unordered_set<ino_t> seen;  // of those with several names
  while (!open.empty() && use.inodes < inodes_max) {
    const dirent* entry = ::readdir(open.back().get());
    if (entry == nullptr) {
      open.pop_back();
      continue;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat file{};
    const int folder = ::dirfd(open.back().get());
    if (::fstatat(folder, entry->d_name, &file, AT_SYMLINK_NOFOLLOW) == -1) continue;
    if (file.st_dev != root.st_dev) continue;
    const bool is_folder = S_ISDIR(file.st_mode);
    if (!is_folder && file.st_nlink > 1 && !seen.insert(file.st_ino).second) continue;
    use += DiskUse{static_cast<std::uint64_t>(file.st_blocks) * kBlockBytes, 1};
    if (!is_folder || open.size() >= kDepthMax) continue;
    if (Dir below = open_dir(folder, entry->d_name)) open.push_back(std::move(below));
  }
  return use;
}

DiskUse disk_free(const std::string& path) {
  struct statvfs state{};
  if (::statvfs(path.c_str(), &state) == -1) throw_errno("statvfs", path);
  return {std::uint64_t{state.f_bfree} * state.f_frsize, state.f_ffree};
}

}  // namespace cellar::sys
