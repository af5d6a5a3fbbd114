#include "sys/mounts.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

// <sys/mount.h> and <linux/mount.h> exclude each other in Debian 12's headers.
extern "C" int mount(const char*, const char*, const char*, unsigned long, const void*);
extern "C" int umount2(const char*, int);

namespace cellar::sys {
namespace {

constexpr unsigned long kRecursive = 16384;  // MS_REC
constexpr unsigned long kPrivate = 1 << 18;  // MS_PRIVATE
constexpr int kDetach = 2;                   // MNT_DETACH

int fsconfig(int context, unsigned command, const char* key, const void* value, int number) {
  return static_cast<int>(::syscall(SYS_fsconfig, context, command, key, value, number));
}

// What the kernel says of a refused option or mount is read from the context itself.
[[noreturn]] void throw_context(int context, const std::string& call, const std::string& subject) {
  const int error = errno;
  char text[512];
  std::string why = subject;
  const ssize_t size = ::read(context, text, sizeof text - 1);
  if (size > 0) why += " (" + std::string(text, static_cast<std::size_t>(size)) + ")";
  throw_errno_value(error, call, why);
}

Fd open_context(const std::string& type, const MountOptions& options) {
  Fd context(static_cast<int>(::syscall(SYS_fsopen, type.c_str(), FSOPEN_CLOEXEC)));
  if (!context) throw_errno("fsopen", type);
  for (const auto& [key, value] : options) {
    const unsigned command = value.empty() ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    const void* argument = value.empty() ? nullptr : value.c_str();
    if (fsconfig(context.get(), command, key.c_str(), argument, 0) == -1) {
      throw_context(context.get(), "fsconfig", type + " " + key + "=" + value);
    }
  }
  return context;
}

Fd mount_of(const Fd& context, const std::string& type, std::uint64_t attributes) {
  Fd mount(static_cast<int>(
      ::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes))));
  if (!mount) throw_context(context.get(), "fsmount", type);
  return mount;
}

void create(const Fd& context, const std::string& type) {
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == -1) {
    throw_context(context.get(), "mount", type);
  }
}

}  // namespace

Fd clone_tree(const std::string& path) {
  Fd tree(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!tree) throw_errno("open_tree", path);
  return tree;
}

Fd clone_tree(int fd) {
  Fd tree(static_cast<int>(
      ::syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)));
  if (!tree) throw_errno("open_tree");
  return tree;
}

void set_mount(int mount, std::uint64_t attributes, int user_namespace) {
  mount_attr change{};
  change.attr_set = attributes;
  if (user_namespace != -1) {
    change.attr_set |= MOUNT_ATTR_IDMAP;
    change.userns_fd = static_cast<std::uint64_t>(user_namespace);
  }
  if (::syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &change, sizeof change) == -1) {
    throw_errno("mount_setattr");
  }
}

Fd make_mount(const std::string& type, const MountOptions& options, std::uint64_t attributes) {
  const Fd context = open_context(type, options);
  create(context, type);
  return mount_of(context, type, attributes);
}

FileOwner::FileOwner(std::uint32_t id) : bits_(::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0)) {
  if (bits_ == -1 || ::prctl(PR_SET_SECUREBITS, bits_ | SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == -1) {
    throw_errno("prctl PR_SET_SECUREBITS");
  }
  ::setfsuid(id);
  ::setfsgid(id);
}

FileOwner::~FileOwner() {
  ::setfsuid(0);
  ::setfsgid(0);
  ::prctl(PR_SET_SECUREBITS, bits_, 0, 0, 0);
}

void attach_mount(int mount, int target) {
  if (::syscall(SYS_move_mount, mount, "", target, "",
                MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == -1) {
    throw_errno("move_mount");
  }
}

Fd open_target(int root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  Fd target(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
  if (!target && errno != ENOENT && errno != ELOOP && errno != ENOTDIR) {
    throw_errno("openat2", path);
  }
  return target;
}

bool is_mount_root(int fd) {
  struct statx state{};
  if (::statx(fd, "", AT_EMPTY_PATH, 0, &state) == -1) throw_errno("statx");
  return (state.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

void make_mounts_private() {
  if (::mount("none", "/", nullptr, kRecursive | kPrivate, nullptr) == -1) {
    throw_errno("mount", "/ private");
  }
}

void pivot_into(int root) {
  if (::fchdir(root) == -1) throw_errno("fchdir", "new root");
  if (::syscall(SYS_pivot_root, ".", ".") == -1) throw_errno("pivot_root");
  if (::umount2(".", kDetach) == -1) throw_errno("umount", "old root");
  if (::chdir("/") == -1) throw_errno("chdir", "/");
}

}  // namespace cellar::sys
