#include "sys/namespace.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string_view>

#include "base/error.h"
#include "sys/file.h"
#include "sys/mounts.h"

namespace cellar::sys {
namespace {

Forked fork_with(std::uint64_t namespaces, std::string_view what) {
  clone_args arguments{};
  int process = -1;
  arguments.flags = CLONE_PIDFD | namespaces;
  arguments.pidfd = reinterpret_cast<std::uintptr_t>(&process);
  arguments.exit_signal = SIGCHLD;
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == -1) throw_errno("clone3", what);
  if (pid == 0) return {};
  return {static_cast<pid_t>(pid), Fd(process)};
}

}  // namespace

Forked fork_child() { return fork_with(0, "a child"); }

Forked fork_into_namespaces(ProcessNumbers numbers) {
  std::uint64_t namespaces = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
  if (numbers == ProcessNumbers::own) namespaces |= CLONE_NEWPID;
  return fork_with(namespaces, "new namespaces");
}

void enter_new_mount_namespace() {
  if (::unshare(CLONE_NEWNS) == -1) throw_errno("unshare", "mount namespace");
  make_mounts_private();
}

void enter_new_cgroup_namespace() {
  if (::unshare(CLONE_NEWCGROUP) == -1) throw_errno("unshare", "cgroup namespace");
}

void enter_new_network_namespace() {
  if (::unshare(CLONE_NEWNET) == -1) throw_errno("unshare", "network namespace");
}

void enter_mounts_and_name(int mount_namespace, int uts_namespace) {
  if (::setns(uts_namespace, CLONE_NEWUTS) == -1) throw_errno("setns", "uts namespace");
  if (::setns(mount_namespace, CLONE_NEWNS) == -1) throw_errno("setns", "mount namespace");
}

void set_host_name(const std::string& name) {
  if (::sethostname(name.c_str(), name.size()) == -1) throw_errno("sethostname", name);
}

void set_host_name_of(int process, const std::string& name) {
  const Fd own = open_file("/proc/self/ns/uts", O_RDONLY);
  if (::setns(process, CLONE_NEWUTS) == -1) throw_errno("setns", "uts namespace of a process");
  const int set = ::sethostname(name.c_str(), name.size());
  const int why = errno;
  if (::setns(own.get(), CLONE_NEWUTS) == -1) throw_errno("setns", "own uts namespace");
  errno = why;
  if (set == -1) throw_errno("sethostname", name);
}

}  // namespace cellar::sys
