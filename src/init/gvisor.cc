#include "init/gvisor.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

#include "base/error.h"
#include "init/clone.h"
#include "sys/call.h"

namespace cellar::init {
namespace {

bool give_up_administration() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0) == -1) return false;
  if (::syscall(SYS_capget, &header, sets.data()) == -1) return false;
  const std::uint32_t others = ~(1U << CAP_SYS_ADMIN);
  sets[0].effective &= others;
  sets[0].permitted &= others;
  sets[0].inheritable &= others;
  return ::syscall(SYS_capset, &header, sets.data()) == 0;
}

// Until the program has ended.
[[noreturn]] void watch_sandbox(pid_t program, int status_pipe) noexcept {
  sigset_t all;
  sigfillset(&all);
  for (;;) {
    const int signal = ::sigwaitinfo(&all, nullptr);
    if (signal != SIGCHLD && signal > 0) ::kill(-program, signal);
    for (;;) {
      int status = 0;
      const pid_t pid = ::waitpid(-1, &status, WNOHANG);
      if (pid <= 0) break;
      if (pid != program) continue;  // An orphan that became ours.
      (void)!::write(status_pipe, &status, sizeof status);
      ::_exit(0);
    }
  }
}

int tell(const char* what) {
  const std::string text = std::string(what) + ": " + std::strerror(errno);
  (void)!::write(STDERR_FILENO, text.data(), text.size());
  return 1;
}

}  // namespace

Entered enter_gvisor() {
  Entered entered;
  entered.listener = sys::duplicate(0);
  entered.filter = read_filter(sys::duplicate(1));
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1) throw_errno("prctl PR_SET_DUMPABLE");
  return entered;
}

bool contain(int status_pipe) noexcept {
  sigset_t all;
  sigfillset(&all);
  if (::sigprocmask(SIG_SETMASK, &all, nullptr) == -1) return false;
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == -1) {
    return false;
  }
  if (!give_up_administration()) return false;
  return fork_program(status_pipe, watch_sandbox);
}

std::optional<int> contained_status(int status_pipe) noexcept {
  int status = 0;
  const ssize_t size =
      sys::retry_on_signal([&] { return ::read(status_pipe, &status, sizeof status); });
  if (size != sizeof status) return std::nullopt;
  return status;
}

int probe_gvisor() {
  struct statx unused{};
  if (::statx(AT_FDCWD, "/", AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &unused) == -1) {
    return tell("this runsc is too old, ls(1) fails in it, statx AT_NO_AUTOMOUNT");
  }
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.flags = CLONE_NEWPID | CLONE_NEWNS;
  sys::Pipe status = sys::make_pipe();
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == -1) return tell("clone3 with new pid and mount namespaces");
  if (pid == 0) {
    if (!contain(status.write_end.get())) ::_exit(tell("a pid namespace with its /proc"));
    ::_exit(7);
  }
  status.write_end.reset();
  int ended = 0;
  if (::waitpid(static_cast<pid_t>(pid), &ended, 0) == -1) return tell("waitpid");
  ended = contained_status(status.read_end.get()).value_or(ended);
  if (WIFEXITED(ended) && WEXITSTATUS(ended) == 7) return 0;
  errno = 0;
  return tell("a contained program did not end as it should");
}

}  // namespace cellar::init
