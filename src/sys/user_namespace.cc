#include "sys/user_namespace.h"

#include <fcntl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
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

// What the kernel limits for each user counts in a namespace as its owner's, too, which is the
// effective user who makes it. The real one stays root: the kernel would hold the namespace to
// RLIMIT_NPROC otherwise. Returns an errno, or 0.
int unshare_as(uid_t owner) {
  const int bits = ::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
  const bool is_made =
      bits != -1 && ::prctl(PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0 &&
      ::setresuid(static_cast<uid_t>(-1), owner, static_cast<uid_t>(-1)) == 0 &&
      ::unshare(CLONE_NEWUSER) == 0 &&
      ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;  // It was lost, and our /proc/<pid> with it.
  return is_made ? 0 : errno;
}

// Only what needs no memory: the child shares nothing with its parent but copies of its pages.
[[noreturn]] void hold_namespace(uid_t owner, int may_go_on, int done) {
  const int error = unshare_as(owner);
  auto byte = static_cast<std::uint8_t>(error);  // All are below 256.
  if (::write(done, &byte, 1) != 1 || error != 0) ::_exit(1);
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
  const pid_t pid = ::fork();
  if (pid == -1) throw_errno("fork", "new user namespace");
  if (pid == 0) {
    ::close(go.write_end.get());
    hold_namespace(base, go.read_end.get(), done.write_end.get());
  }
  struct Reaper {
    pid_t pid;
    ~Reaper() {
      ::kill(pid, SIGKILL);
      retry_on_signal([this] { return ::waitpid(pid, nullptr, 0); });
    }
  } const reaper{pid};

  done.write_end.reset();
  const auto next = [&done] {
    std::uint8_t byte = 0;
    if (retry_on_signal([&] { return ::read(done.read_end.get(), &byte, 1); }) == 1) return byte;
    throw Error(ErrorCode::internal, "a user namespace could not be limited");
  };
  if (const int error = next()) throw_errno_value(error, "unshare", "new user namespace");
  const std::string process = "/proc/" + std::to_string(pid);
  write_map(process, "uid_map", base, count);
  write_map(process, "gid_map", base, count);
  write_all(go.write_end.get(), "x", "pipe");
  next();
  return open_file(process + "/ns/user", O_RDONLY);
}

}  // namespace cellar::sys
