#include "sys/user_namespace.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "base/error.h"
#include "sys/call.h"
#include "sys/file.h"

namespace cellar::sys {
namespace {

constexpr std::array kForbidden = {"user", "net", "mnt", "pid", "ipc", "uts", "cgroup", "time"};

// Only what needs no memory: the child shares nothing with its parent but copies of its pages.
[[noreturn]] void hold_namespace(int may_go_on, int done) {
  char byte = 0;
  if (::read(may_go_on, &byte, 1) != 1) ::_exit(1);
  for (const char* kind : kForbidden) {
    char path[64] = "/proc/sys/user/max_";
    char* at = path + sizeof "/proc/sys/user/max_" - 1;
    for (const char* from = kind; *from != '\0';) *at++ = *from++;
    for (const char* from = "_namespaces"; *from != '\0';) *at++ = *from++;
    *at = '\0';
    const int file = ::open(path, O_WRONLY | O_CLOEXEC);
    if (file == -1 && errno == ENOENT) continue;  // An older kernel has no such kind.
    if (file == -1 || ::write(file, "0", 1) != 1) ::_exit(1);
  }
  (void)!::write(done, "x", 1);
  (void)!::read(may_go_on, &byte, 1);  // Until the parent has the descriptor.
  ::_exit(0);
}

void write_map(const std::string& process, const char* name, std::uint32_t base,
               std::uint32_t count) {
  const std::string path = process + "/" + name;
  const Fd file = open_file(path, O_WRONLY);
  write_all(file.get(), "0 " + std::to_string(base) + " " + std::to_string(count) + "\n", path);
}

}  // namespace

Fd make_user_namespace(std::uint32_t base, std::uint32_t count) {
  Pipe go = make_pipe();
  Pipe done = make_pipe();
  clone_args arguments{};
  arguments.flags = CLONE_NEWUSER;
  arguments.exit_signal = SIGCHLD;
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == -1) throw_errno("clone3", "new user namespace");
  if (pid == 0) {
    ::close(go.write_end.get());
    hold_namespace(go.read_end.get(), done.write_end.get());
  }
  struct Reaper {
    pid_t pid;
    ~Reaper() {
      ::kill(pid, SIGKILL);
      retry_on_signal([this] { return ::waitpid(pid, nullptr, 0); });
    }
  } const reaper{static_cast<pid_t>(pid)};

  done.write_end.reset();
  const std::string process = "/proc/" + std::to_string(pid);
  write_map(process, "uid_map", base, count);
  write_map(process, "gid_map", base, count);
  write_all(go.write_end.get(), "x", "pipe");
  char byte = 0;
  if (retry_on_signal([&] { return ::read(done.read_end.get(), &byte, 1); }) != 1) {
    throw Error(ErrorCode::internal, "a user namespace could not be limited");
  }
  return open_file(process + "/ns/user", O_RDONLY);
}

}  // namespace cellar::sys
