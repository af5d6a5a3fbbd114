#include "sys/disk_use.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/dir.h"

namespace cellar::sys {
namespace {

constexpr std::uint64_t kBlockBytes = 512;  // the unit of st_blocks, whatever the disk's is

Dir open_dir(int parent, const char* name) {
  const int fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return Dir(fd == -1 ? nullptr : ::fdopendir(fd));
}

}  // namespace

DiskUse disk_use(const std::string& path, const DiskWalk& walk) {
  std::vector<Dir> open;
  open.push_back(open_dir(AT_FDCWD, path.c_str()));
  if (!open.back()) throw_errno("opendir", path);
  struct stat root{};
  if (::fstat(::dirfd(open.back().get()), &root) == -1) throw_errno("fstat", path);

  DiskUse use{static_cast<std::uint64_t>(root.st_blocks) * kBlockBytes, 1};
  std::set<ino_t> seen;  // of those with several names
  while (!open.empty() && use.inodes < walk.inodes_max) {
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
    if (!is_folder) continue;
    Dir below = open.size() < kDepthMax ? open_dir(folder, entry->d_name) : Dir();
    if (below) {
      open.push_back(std::move(below));
    } else if (open.size() >= kDepthMax || errno == EMFILE || errno == ENFILE) {
      use.inodes = std::max(use.inodes, walk.deep_inodes);
      break;
    }
  }
  return use;
}

DiskUse unlinked_use(const std::vector<pid_t>& processes, const UnlinkedWalk& walk) {
  DiskUse use;
  std::uint64_t open_count = 0;
  std::set<std::pair<dev_t, ino_t>> seen;
  for (const pid_t process : processes) {
    for (const char* kind : {"fd", "map_files"}) {
      const std::string path = "/proc/" + std::to_string(process) + "/" + kind;
      const Dir dir = open_dir(AT_FDCWD, path.c_str());
      if (!dir) continue;
      while (const dirent* entry = ::readdir(dir.get())) {
        if (entry->d_name[0] == '.') continue;
        if (++open_count > walk.open_max) {
          use.inodes = std::max(use.inodes, walk.unseen_inodes);
          return use;
        }
        struct stat file{};
        if (::fstatat(::dirfd(dir.get()), entry->d_name, &file, 0) == -1) continue;
        if (!S_ISREG(file.st_mode) || file.st_nlink != 0) continue;
        struct statfs state{};
        if (::statfs((path + "/" + entry->d_name).c_str(), &state) == -1) continue;
        if (state.f_type == TMPFS_MAGIC || !seen.emplace(file.st_dev, file.st_ino).second) continue;
        use += DiskUse{static_cast<std::uint64_t>(file.st_blocks) * kBlockBytes, 1};
      }
    }
  }
  return use;
}

DiskUse disk_free(const std::string& path) {
  struct statvfs state{};
  if (::statvfs(path.c_str(), &state) == -1) throw_errno("statvfs", path);
  return {std::uint64_t{state.f_bfree} * state.f_frsize, state.f_ffree};
}

DiskUse disk_size(const std::string& path) {
  struct statvfs state{};
  if (::statvfs(path.c_str(), &state) == -1) throw_errno("statvfs", path);
  return {std::uint64_t{state.f_blocks} * state.f_frsize, state.f_files};
}

}  // namespace cellar::sys
