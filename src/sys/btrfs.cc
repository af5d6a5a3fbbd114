#include "sys/btrfs.h"

#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "sys/call.h"
#include "sys/file.h"

namespace cellar::sys::btrfs {
namespace {

// Groups of level 0 are of one subvolume each, made by the kernel; ours are one above them.
constexpr std::uint64_t kLevel = std::uint64_t{1} << 48;

// `folder` pays for what the kernel notes: where it is full, nothing could be changed through it.
void control(const std::string& folder, unsigned long request, void* argument, const char* name) {
  const Fd fd = open_file(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (retry_on_signal([&] { return ::ioctl(fd.get(), request, argument); }) == -1) {
    throw_errno(name, folder);
  }
}

// What creates and destroys acts on a name in a folder.
void control_name(const std::string& path, unsigned long request, const char* name) {
  const std::filesystem::path whole(path);
  const std::string last = whole.filename().string();
  btrfs_ioctl_vol_args arguments{};
  if (last.size() >= sizeof arguments.name) throw_errno_value(ENAMETOOLONG, name, path);
  std::memcpy(arguments.name, last.data(), last.size());
  control(whole.parent_path().string(), request, &arguments, name);
}

void assign(const std::string& subvolume, std::uint64_t group, bool is_member) {
  btrfs_ioctl_qgroup_assign_args arguments{};
  arguments.assign = is_member ? 1 : 0;
  arguments.src = subvolume_number(subvolume);
  arguments.dst = kLevel | group;
  control(std::filesystem::path(subvolume).parent_path().string(), BTRFS_IOC_QGROUP_ASSIGN,
          &arguments, "BTRFS_IOC_QGROUP_ASSIGN");
}

void create(const std::string& place, std::uint64_t group, bool is_there) {
  btrfs_ioctl_qgroup_create_args arguments{};
  arguments.create = is_there ? 1 : 0;
  arguments.qgroupid = kLevel | group;
  control(place, BTRFS_IOC_QGROUP_CREATE, &arguments, "BTRFS_IOC_QGROUP_CREATE");
}

}  // namespace

void make_subvolume(const std::string& path) {
  control_name(path, BTRFS_IOC_SUBVOL_CREATE, "BTRFS_IOC_SUBVOL_CREATE");
}

bool is_subvolume(const std::string& path) {
  struct stat folder{};
  struct statfs system{};
  return ::lstat(path.c_str(), &folder) == 0 && S_ISDIR(folder.st_mode) &&
         folder.st_ino == BTRFS_FIRST_FREE_OBJECTID && ::statfs(path.c_str(), &system) == 0 &&
         system.f_type == BTRFS_SUPER_MAGIC;
}

std::uint64_t subvolume_number(const std::string& path) {
  btrfs_ioctl_ino_lookup_args arguments{};
  arguments.objectid = BTRFS_FIRST_FREE_OBJECTID;
  control(path, BTRFS_IOC_INO_LOOKUP, &arguments, "BTRFS_IOC_INO_LOOKUP");
  return arguments.treeid;
}

void remove_subvolume(const std::string& path) {
  control_name(path, BTRFS_IOC_SNAP_DESTROY, "BTRFS_IOC_SNAP_DESTROY");
}

void make_group(const std::string& place, std::uint64_t group) { create(place, group, true); }
void remove_group(const std::string& place, std::uint64_t group) { create(place, group, false); }
void add_to_group(const std::string& subvolume, std::uint64_t group) {
  assign(subvolume, group, true);
}
void take_from_group(const std::string& subvolume, std::uint64_t group) {
  assign(subvolume, group, false);
}

void limit_group(const std::string& place, std::uint64_t group, std::uint64_t bytes) {
  btrfs_ioctl_qgroup_limit_args arguments{};
  arguments.qgroupid = kLevel | group;
  arguments.lim.flags = BTRFS_QGROUP_LIMIT_MAX_RFER;
  arguments.lim.max_rfer = bytes == 0 ? ~std::uint64_t{0} : bytes;  // all ones: no limit
  control(place, BTRFS_IOC_QGROUP_LIMIT, &arguments, "BTRFS_IOC_QGROUP_LIMIT");
}

}  // namespace cellar::sys::btrfs
