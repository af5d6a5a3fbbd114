#include "sys/probe.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/error.h"
#include "sys/call.h"
#include "sys/file.h"

// <sys/mount.h> and <linux/mount.h> exclude each other in Debian 12's headers.
extern "C" int mount(const char*, const char*, const char*, unsigned long, const void*);

namespace cellar::sys {
namespace {

constexpr std::chrono::milliseconds kAnswerLimit{5000};
constexpr unsigned long kPrivateBelow = 16384 | 1 << 18;  // MS_REC | MS_PRIVATE

bool is_readable_within(int fd, std::chrono::milliseconds limit) {
  pollfd wait{fd, POLLIN, 0};
  return retry_on_signal([&] { return ::poll(&wait, 1, static_cast<int>(limit.count())); }) == 1;
}

void end(pid_t pid) {
  ::kill(pid, SIGKILL);
  retry_on_signal([pid] { return ::waitpid(pid, nullptr, 0); });
}

// `attempt` makes system calls only: the child has no memory of its own to be sure of.
template <typename Attempt>
int in_child(Attempt attempt) {
  Pipe answer = make_pipe();
  const pid_t pid = ::fork();
  if (pid == -1) throw_errno("fork");
  if (pid == 0) {
    const int error = attempt();
    (void)!::write(answer.write_end.get(), &error, sizeof error);
    ::_exit(0);
  }
  answer.write_end.reset();
  int error = ETIME;
  if (is_readable_within(answer.read_end.get(), kAnswerLimit)) {
    const ssize_t size = ::read(answer.read_end.get(), &error, sizeof error);
    if (size != sizeof error) error = ECHILD;  // It was killed.
  }
  end(pid);
  return error;
}

int flag_of(NamespaceKind kind) {
  switch (kind) {
    case NamespaceKind::user:
      return CLONE_NEWUSER;
    case NamespaceKind::mount:
      return CLONE_NEWNS;
    case NamespaceKind::pid:
      return CLONE_NEWPID;
    case NamespaceKind::net:
      return CLONE_NEWNET;
    case NamespaceKind::ipc:
      return CLONE_NEWIPC;
    case NamespaceKind::uts:
      return CLONE_NEWUTS;
    case NamespaceKind::cgroup:
      return CLONE_NEWCGROUP;
  }
  return 0;
}

int error_of(long result) { return result == -1 ? errno : 0; }

// Into /proc/self/NAME; for children.
int write_own(const char* path, const std::string& text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file == -1) return errno;
  const int error = error_of(::write(file, text.data(), text.size()));
  ::close(file);
  return error;
}

}  // namespace

int try_namespace(NamespaceKind kind) {
  return in_child([kind] {
    if (kind == NamespaceKind::user || ::geteuid() != 0) {
      if (const int error = error_of(::unshare(CLONE_NEWUSER))) return error;
    }
    return error_of(::unshare(kind == NamespaceKind::user ? CLONE_NEWUTS : flag_of(kind)));
  });
}

int try_no_new_privileges() {
  return in_child([] {
    if (const int error = error_of(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))) return error;
    return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : EPERM;
  });
}

int try_filter(const std::string& program) {
  sock_fprog filter{};
  filter.len = static_cast<unsigned short>(program.size() / sizeof(sock_filter));
  filter.filter = reinterpret_cast<sock_filter*>(const_cast<char*>(program.data()));
  return in_child([filter] {
    if (const int error = error_of(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))) return error;
    if (const int error = error_of(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter))) {
      return error;
    }
    if (::syscall(SYS_getpid) <= 0) return ENOSYS;
    return ::unshare(0) == -1 && errno == EPERM ? 0 : ENOTSUP;  // Without a filter it succeeds.
  });
}

int try_vsock() {
  const Fd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return socket ? 0 : errno;
}

int try_overlay(const std::string& lower, const std::string& upper, const std::string& work) {
  const bool is_rootless = !is_root();
  const std::string options = "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work +
                              (is_rootless || !has_all_ids() ? ",userxattr" : "");
  const std::string user_map = "0 " + std::to_string(::geteuid()) + " 1\n";
  const std::string group_map = "0 " + std::to_string(::getegid()) + " 1\n";
  const std::string deny = "deny";
  return in_child([&] {
    if (is_rootless) {
      if (const int error = error_of(::unshare(CLONE_NEWUSER))) return error;
      if (const int error = write_own("/proc/self/setgroups", deny)) return error;
      if (const int error = write_own("/proc/self/uid_map", user_map)) return error;
      if (const int error = write_own("/proc/self/gid_map", group_map)) return error;
    }
    if (const int error = error_of(::unshare(CLONE_NEWNS))) return error;
    if (const int error = error_of(::mount("none", "/", nullptr, kPrivateBelow, nullptr))) {
      return error;
    }
    return error_of(::mount("overlay", lower.c_str(), "overlay", 0, options.c_str()));
  });
}

int try_overlay_of_descriptors(const std::string& lower) {
  const Fd layer = open_file(lower, O_PATH | O_DIRECTORY);
  return in_child([&layer] {
    if (::geteuid() != 0) {
      if (const int error = error_of(::unshare(CLONE_NEWUSER | CLONE_NEWNS))) return error;
    }
    const long context = ::syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
    if (context == -1) return errno;
    return error_of(
        ::syscall(SYS_fsconfig, context, FSCONFIG_SET_FD, "lowerdir+", nullptr, layer.get()));
  });
}

int try_new_mounts() {
  return in_child([] {
    if (::geteuid() != 0) {
      if (const int error = error_of(::unshare(CLONE_NEWUSER | CLONE_NEWNS))) return error;
    }
    const long context = ::syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    if (context == -1) return errno;
    if (const int error =
            error_of(::syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0))) {
      return error;
    }
    const long mount = ::syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
    if (mount == -1) return errno;
    mount_attr change{};
    change.attr_set = MOUNT_ATTR_RDONLY;
    return error_of(::syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &change, sizeof change));
  });
}

WaitingProcess::WaitingProcess(int group) {
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  if (group != -1) {
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(group);
  }
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == -1) throw_errno("clone3");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    for (;;) ::pause();
  }
  pid_ = static_cast<pid_t>(pid);
  process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!process_) {
    const int error = errno;
    end(pid_);
    throw_errno_value(error, "pidfd_open");
  }
}

WaitingProcess::~WaitingProcess() { end(pid_); }

bool WaitingProcess::ends_within(std::chrono::milliseconds limit) const {
  return is_readable_within(process_.get(), limit);
}

KernelName kernel_name() {
  utsname name{};
  ::uname(&name);
  return {name.release, name.machine};
}

bool is_root() noexcept { return ::geteuid() == 0; }

bool has_all_ids() noexcept {
  unsigned inside = 1, outside = 1, count = 0;
  std::FILE* map = std::fopen("/proc/self/uid_map", "re");
  if (map == nullptr) return true;  // A kernel without user namespaces.
  const int fields = std::fscanf(map, "%u %u %u", &inside, &outside, &count);
  std::fclose(map);
  return fields == 3 && inside == 0 && outside == 0 && count == UINT32_MAX;
}

unsigned user_id() noexcept { return ::geteuid(); }

FileSystem file_system_of(const std::string& path) {
  struct statfs status{};
  if (::statfs(path.c_str(), &status) == -1) throw_errno("statfs", path);
  FileSystem result;
  result.free_bytes = status.f_bavail * static_cast<std::uint64_t>(status.f_bsize);
  switch (static_cast<std::uint32_t>(status.f_type)) {
    case 0xef53:
      result.type = "ext4";
      break;
    case 0x58465342:
      result.type = "xfs";
      break;
    case 0x9123683e:
      result.type = "btrfs";
      break;
    case 0x01021994:
      result.type = "tmpfs";
      break;
    case 0x794c7630:
      result.type = "overlay";
      break;
    case 0x6969:
      result.type = "nfs";
      break;
    case 0x2fc12fc1:
      result.type = "zfs";
      break;
    default:
      result.type = "file system " + std::to_string(status.f_type);
  }
  return result;
}

}  // namespace cellar::sys
