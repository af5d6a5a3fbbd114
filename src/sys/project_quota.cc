#include "sys/project_quota.h"

#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/call.h"
#include "sys/file.h"

namespace cellar::sys::project {
namespace {

constexpr std::uint32_t kFirst = 0x43000000;  // ours; /etc/projid numbers are small
constexpr std::uint32_t kCount = 0x1000000;
constexpr int kTriesMax = 1000;

Fd open_folder(const std::string& path) {
  return open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

void quota(const std::string& place, unsigned command, std::uint32_t number, void* argument) {
  const Fd fd = open_folder(place);
  const long result =
      ::syscall(SYS_quotactl_fd, fd.get(), QCMD(command, PRJQUOTA), number, argument);
  if (result == -1) throw_errno("quotactl_fd", place);
}

fsxattr attributes_of(const Fd& folder, const std::string& path) {
  fsxattr attributes{};
  if (::ioctl(folder.get(), FS_IOC_FSGETXATTR, &attributes) == -1) {
    throw_errno("FS_IOC_FSGETXATTR", path);
  }
  return attributes;
}

bool is_unused(const std::string& place, std::uint32_t number) {
  if_dqblk known{};
  try {
    quota(place, Q_GETQUOTA, number, &known);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return true;  // xfs has no record of it.
    throw;
  }
  return known.dqb_curspace == 0 && known.dqb_curinodes == 0 && known.dqb_bhardlimit == 0 &&
         known.dqb_ihardlimit == 0;
}

}  // namespace

std::uint32_t unused_number(const std::string& place) {
  const Fd folder = open_folder(place);
  struct stat state{};
  if (::fstat(folder.get(), &state) == -1) throw_errno("fstat", place);
  // Folders that are there at the same time begin at different ones.
  const auto begin = static_cast<std::uint32_t>(state.st_ino % kCount);
  for (std::uint32_t i = 0; i < kTriesMax; ++i) {
    const std::uint32_t number = kFirst + (begin + i) % kCount;
    if (is_unused(place, number)) return number;
  }
  throw Error(ErrorCode::exhausted, "no project number is free near " + std::to_string(begin));
}

std::uint32_t number_of(const std::string& path) {
  const Fd folder = open_folder(path);
  fsxattr attributes{};
  if (::ioctl(folder.get(), FS_IOC_FSGETXATTR, &attributes) == -1) return 0;
  return (attributes.fsx_xflags & FS_XFLAG_PROJINHERIT) != 0 ? attributes.fsx_projid : 0;
}

void set_number(const std::string& path, std::uint32_t number) {
  const Fd folder = open_folder(path);
  fsxattr attributes = attributes_of(folder, path);
  attributes.fsx_projid = number;
  attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  if (::ioctl(folder.get(), FS_IOC_FSSETXATTR, &attributes) == -1) {
    throw_errno("FS_IOC_FSSETXATTR", path);
  }
}

void require_enforced(const std::string& place) {
  fs_quota_statv state{};
  state.qs_version = FS_QSTATV_VERSION1;
  quota(place, Q_XGETQSTATV, 0, &state);
  if ((state.qs_flags & FS_QUOTA_PDQ_ENFD) == 0) throw_errno_value(ENOTSUP, "quotactl_fd", place);
}

void limit(const std::string& place, std::uint32_t number, DiskUse most) {
  constexpr std::uint64_t kUnit = 1024;  // QIF_DQBLKSIZE
  if_dqblk block{};
  block.dqb_bhardlimit = (most.bytes + kUnit - 1) / kUnit;
  block.dqb_ihardlimit = most.inodes;
  block.dqb_valid = QIF_LIMITS;
  quota(place, Q_SETQUOTA, number, &block);
}

DiskUse use_of(const std::string& place, std::uint32_t number) {
  if_dqblk block{};
  quota(place, Q_GETQUOTA, number, &block);
  return {block.dqb_curspace, block.dqb_curinodes};
}

}  // namespace cellar::sys::project
