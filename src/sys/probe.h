#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "sys/fd.h"

// Trying what the kernel lets this process do, each in a child or on a descriptor of its own, so
// that nothing of it is left. What "tries" gives 0, or the errno of what refused; ETIME where the
// kernel did not answer in time.
namespace cellar::sys {

enum class NamespaceKind : std::uint8_t { user, mount, pid, net, ipc, uts, cgroup };

// A new namespace of that kind, with the rights over it that one expects: as another user than root
// inside of a new user namespace. Linux with AppArmor's rule on those makes them, but without
// rights.
int try_namespace(NamespaceKind kind);

int try_no_new_privileges();
// Whether the filter (struct sock_filter, one by one), which must refuse unshare() with EPERM and
// allow getpid(), is taken and does so.
int try_filter(const std::string& program);
// A socket to the hypervisor.
int try_vsock();
// An overlay over three folders that this user may write to, in a mount namespace of its own; as
// another user than root in a user namespace. In one of those it is with the option "userxattr".
int try_overlay(const std::string& lower, const std::string& upper, const std::string& work);
// A mount by the calls of Linux 5.2 to 5.12, as another user than root in a user namespace.
int try_new_mounts();
// Whether an overlay takes its layers as descriptors (Linux 6.13).
int try_overlay_of_descriptors(const std::string& lower);

// A process that only waits, in the cgroup that `group` is open for where that is not -1; killed
// and reaped by the destructor. Throws Error where it cannot be started.
class WaitingProcess {
 public:
  explicit WaitingProcess(int group = -1);
  ~WaitingProcess();
  WaitingProcess(const WaitingProcess&) = delete;
  WaitingProcess& operator=(const WaitingProcess&) = delete;

  pid_t pid() const noexcept { return pid_; }
  // Whether it ends within `limit`.
  bool ends_within(std::chrono::milliseconds limit) const;

 private:
  pid_t pid_ = -1;
  Fd process_;
};

struct KernelName {
  std::string release;       // "6.12.9-amd64"
  std::string architecture;  // "x86_64"
};
KernelName kernel_name();

bool is_root() noexcept;      // of the user namespace that this process is in
bool has_all_ids() noexcept;  // that is the machine's own
unsigned user_id() noexcept;

struct FileSystem {
  std::string type;  // "ext4", "btrfs", …; a number where it has no name here
  std::uint64_t free_bytes = 0;
};
// Of the folder `path`. Throws Error.
FileSystem file_system_of(const std::string& path);

}  // namespace cellar::sys
