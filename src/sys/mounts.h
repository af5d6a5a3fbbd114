#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sys/fd.h"

// Mounts as descriptors, by the mount calls of Linux 5.2 and later: a mount is made detached, gets
// its properties, and is attached to a folder or file that is itself given as a descriptor. No path
// of a cell is ever resolved by a mount. Needs CAP_SYS_ADMIN. All calls throw Error.
namespace cellar::sys {

inline constexpr std::uint64_t kReadOnly = 1;  // the kernel's MOUNT_ATTR_…
inline constexpr std::uint64_t kNoSuid = 2;
inline constexpr std::uint64_t kNoDev = 4;
inline constexpr std::uint64_t kNoExec = 8;

// A detached copy of what is at `path`, a folder or file, without what is mounted below it; in the
// second form of what `fd` is open for.
Fd clone_tree(const std::string& path);
Fd clone_tree(int fd);

// Adds properties to a mount. `user_namespace` (-1 for none) translates owners: id n on disk is
// what that namespace calls n.
void set_mount(int mount, std::uint64_t attributes, int user_namespace = -1);

using MountOptions = std::vector<std::pair<std::string, std::string>>;  // empty value: a flag

// A new detached mount of `type`: "tmpfs", "proc", "overlay", "devpts".
Fd make_mount(const std::string& type, const MountOptions& options, std::uint64_t attributes);

// While it exists, the files that this thread makes belong to the uid and gid `id`, and an overlay
// that it makes acts as this id on its upper layer ever after. All capabilities stay.
class FileOwner {
 public:
  explicit FileOwner(std::uint32_t id);
  ~FileOwner();
  FileOwner(const FileOwner&) = delete;
  FileOwner& operator=(const FileOwner&) = delete;

 private:
  int bits_;
};

// Attaches `mount` over what `target` is open for.
void attach_mount(int mount, int target);

// The folder or file at `path` below `root`, itself the root of every link on the way; the last
// name must be no link. For attach_mount(). An empty Fd where there is none.
Fd open_target(int root, const std::string& path);
// Whether `fd` is open for the root of a mount, not for something in it.
bool is_mount_root(int fd);

// No mount made here is seen elsewhere from now on, nor the other way round.
void make_mounts_private();

// Makes `root`, a mounted folder, the root of this process's mount namespace, and lets go of all
// that was mounted before.
void pivot_into(int root);

}  // namespace cellar::sys
