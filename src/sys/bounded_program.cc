#include "sys/bounded_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "sys/argv.h"
#include "sys/call.h"
#include "sys/fd.h"

namespace cellar::sys {
namespace {

constexpr std::size_t kOutputBytesMax = 64 << 10;
constexpr std::chrono::milliseconds kLookPause{10};  // its output may outlive it

using Clock = std::chrono::steady_clock;

pid_t start(const std::string& name, const std::vector<std::string>& arguments, int output,
            const std::optional<std::vector<std::string>>& environment) {
  std::vector<char*> variables;
  for (std::size_t i = 0; environment && i < environment->size(); ++i) {
    variables.push_back(const_cast<char*>((*environment)[i].c_str()));
  }
  variables.push_back(nullptr);
  std::vector<char*> argv = argv_of(name, arguments);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  char** given = environment ? variables.data() : ::environ;
  const int error = ::posix_spawnp(&pid, name.c_str(), &actions, &attributes, argv.data(), given);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw_errno_value(error, "posix_spawn", name);
  return pid;
}

}  // namespace

ProgramEnd run_bounded(const std::string& name, const std::vector<std::string>& arguments,
                       std::chrono::milliseconds limit, const ProgramOptions& options) {
  Pipe pipe = make_pipe();
  const Clock::time_point deadline = Clock::now() + limit;
  const auto is_over = [&] {
    return Clock::now() >= deadline || (options.is_wanted && !options.is_wanted());
  };
  const pid_t pid = start(name, arguments, pipe.write_end.get(), options.environment);
  pipe.write_end.reset();

  ProgramEnd result;
  bool is_open = true;
  int status = 0;
  bool has_ended = false;
  for (;;) {
    const int wait = has_ended ? 0 : static_cast<int>(kLookPause.count());
    pollfd readable{is_open ? pipe.read_end.get() : -1, POLLIN, 0};
    if (::poll(&readable, 1, wait) == 1) {
      char bytes[4096];
      const ssize_t size = ::read(pipe.read_end.get(), bytes, sizeof bytes);
      is_open = size > 0;
      const std::size_t room = kOutputBytesMax - result.output.size();
      if (size > 0) result.output.append(bytes, std::min(room, static_cast<std::size_t>(size)));
      if (!is_over()) continue;
    }
    if (has_ended || is_over()) break;
    has_ended = ::waitpid(pid, &status, WNOHANG) == pid;
  }
  ::kill(-pid, SIGKILL);
  if (!has_ended) {
    result.timed_out = true;
    retry_on_signal([&] { return ::waitpid(pid, &status, 0); });
  }
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  return result;
}

}  // namespace cellar::sys
