#include "sys/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/text.h"
#include "sys/argv.h"
#include "sys/call.h"
#include "sys/file.h"

namespace cellar::sys {
namespace {

constexpr std::size_t kProgramBytesMax = 64 << 20;
// Above every descriptor that a program is given.
constexpr int kAside = 200;

}  // namespace

std::optional<ProcessId> identify(pid_t pid) {
  std::optional<std::string> stat;
  try {
    stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  } catch (const Error&) {
    return std::nullopt;  // It ended while it was read.
  }
  // The name, in parentheses, may hold anything; behind it come state and 18 numbers.
  const std::size_t name_end = stat ? stat->rfind(") ") : std::string::npos;
  if (name_end == std::string::npos) return std::nullopt;
  const auto fields = split(std::string_view(*stat).substr(name_end + 2), ' ');
  if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X") return std::nullopt;
  const auto start = parse_int(fields[19]);
  if (!start) return std::nullopt;
  return ProcessId{pid, static_cast<std::uint64_t>(*start)};
}

Fd open_process(const ProcessId& process) {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!fd && errno != ESRCH && errno != EINVAL) throw_errno("pidfd_open");
  // The number may have been given away between: what is open now must be what was meant.
  if (fd && identify(process.pid) != process) fd.reset();
  return fd;
}

bool has_ended(int process) {
  pollfd wait{process, POLLIN, 0};
  return retry_on_signal([&] { return ::poll(&wait, 1, 0); }) == 1;
}

void kill_process(int process) { ::syscall(SYS_pidfd_send_signal, process, SIGKILL, nullptr, 0); }

pid_t start_program(const std::string& program, const std::vector<std::string>& arguments,
                    const std::vector<int>& fds) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  std::vector<Fd> aside;  // A target number may be one of the sources.
  for (std::size_t i = 0; i < fds.size(); ++i) {
    aside.emplace_back(::fcntl(fds[i], F_DUPFD_CLOEXEC, kAside));
    if (!aside.back()) throw_errno("fcntl F_DUPFD_CLOEXEC");
    posix_spawn_file_actions_adddup2(&actions, aside.back().get(), 3 + static_cast<int>(i));
  }
  std::vector<char*> argv = argv_of(program, arguments);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // A terminal's Ctrl-C is for the daemon, which then ends its programs in order.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error =
      ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), ::environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw_errno_value(error, "posix_spawn", program);
  return pid;
}

int wait_program(pid_t pid) {
  int status = 0;
  if (retry_on_signal([&] { return ::waitpid(pid, &status, 0); }) == -1) throw_errno("waitpid");
  return status;
}

bool has_program(const std::string& name) {
  const char* path = ::getenv("PATH");
  for (const std::string_view folder : split(path == nullptr ? "/usr/bin:/bin" : path, ':')) {
    if (::access((std::string(folder) + "/" + name).c_str(), X_OK) == 0) return true;
  }
  return false;
}

void run_program(const std::string& name, const std::vector<std::string>& arguments) {
  if (!has_program(name)) {
    throw Error(ErrorCode::unavailable, "program_missing", name + " is not installed",
                "apt-get install " + name);
  }
  std::vector<char*> argv = argv_of(name, arguments);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, name.c_str(), &actions, nullptr, argv.data(), ::environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw_errno_value(error, "posix_spawn", name);
  const int status = wait_program(pid);
  if (status == 0) return;
  throw Error(ErrorCode::internal,
              name + " failed" +
                  (WIFEXITED(status) ? " with exit code " + std::to_string(WEXITSTATUS(status))
                                     : ", ended by signal " + std::to_string(WTERMSIG(status))));
}

Fd sealed_bytes(const std::string& name, const std::string& bytes) {
  Fd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) throw_errno("memfd_create", name);
  write_all(fd.get(), bytes, name);
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) ==
      -1) {
    throw_errno("fcntl F_ADD_SEALS", name);
  }
  if (::lseek(fd.get(), 0, SEEK_SET) == -1) throw_errno("lseek", name);
  return fd;
}

Fd sealed_copy(const std::string& path) {
  const auto bytes = read_file(path, kProgramBytesMax);
  if (!bytes) throw Error(ErrorCode::not_found, path + " is not there");
  return sealed_bytes(path.substr(path.rfind('/') + 1), *bytes);
}

std::string boot_id() {
  const auto text = read_file("/proc/sys/kernel/random/boot_id");
  return std::string(trim(text.value_or("")));
}

}  // namespace cellar::sys
