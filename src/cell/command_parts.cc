#include "cell/command_parts.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "async/sleep.h"
#include "base/error.h"
#include "sandbox/groups.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

// How often it is asked for lack of memory.
constexpr std::chrono::milliseconds kOomPause{50};
// Of ends of pipes: each is a descriptor of the daemon's, or three.
constexpr std::size_t kClosingsMax = 1024;

constexpr std::pair<const char*, const char*> kEnvironment[] = {
    {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    {"HOME", "/root"},
    {"USER", "root"},
    {"SHELL", "/bin/bash"},
    {"LANG", "C.UTF-8"}};

std::vector<std::string> environment_of(const CommandRequest& request, Terminal terminal) {
  std::map<std::string, std::string> all(request.env);
  for (const auto& [name, value] : kEnvironment) all.emplace(name, value);
  all.emplace("TERM", terminal == Terminal::yes ? "xterm-256color" : "dumb");
  std::vector<std::string> list;
  for (const auto& [name, value] : all) list.push_back(name + "=" + value);
  return list;
}

// Without a cgroup it is something in the domain that kills; where it does not, the domain ends.
asio::awaitable<void> kill_surely(const CommandPlace& place) {
  kill(place);
  if (!place.end_domain) co_return;
  co_await async::sleep_for(kKillLimit);
  place.end_domain();
}

enum class ProgramDoes : std::uint8_t { read, write };

sys::Pipe make_program_pipe(std::uint32_t uid, ProgramDoes does) {
  const bool reads = does == ProgramDoes::read;
  sys::Pipe pipe = sys::make_pipe();
  sys::give_to(reads ? pipe.read_end.get() : pipe.write_end.get(), uid);
  return pipe;
}

}  // namespace

std::vector<sys::Fd> ProgramPipes::take_theirs() {
  std::vector<sys::Fd> ends;
  ends.push_back(std::move(in.read_end));
  ends.push_back(std::move(out.write_end));
  ends.push_back(std::move(err.write_end));
  return ends;
}

ProgramPipes make_program_pipes(const CommandPlace& place, TakesInput takes_input) {
  if (place.pipes.posted_count() > kClosingsMax) {
    throw Error(ErrorCode::unavailable, "pipes_stuck",
                "programs of the cell hold up the output of those that have ended",
                "end them: they are amidst writing for very long");
  }
  const std::uint32_t uid = place.uid;
  ProgramPipes pipes;
  if (takes_input == TakesInput::yes) {
    pipes.in = make_program_pipe(uid, ProgramDoes::read);
  } else {
    pipes.in.read_end = sys::open_file("/dev/null", O_RDONLY);
  }
  pipes.out = make_program_pipe(uid, ProgramDoes::write);
  pipes.err = make_program_pipe(uid, ProgramDoes::write);
  return pipes;
}

asio::awaitable<std::uint32_t> start_program(const CommandPlace& place,
                                             const CommandRequest& request, std::vector<int> stdio,
                                             Terminal terminal, std::vector<int> kept) {
  wire::SpawnRequest spawn;
  spawn.argv = request.argv;
  spawn.env = environment_of(request, terminal);
  spawn.cwd = request.cwd;
  spawn.id = place.id;
  spawn.has_terminal = terminal == Terminal::yes;
  spawn.in_cgroup = !place.group.empty();
  spawn.open_files_max = request.open_files_max;
  spawn.file_bytes_max = request.file_bytes_max;
  std::vector<int> fds = std::move(stdio);
  std::vector<sys::Fd> groups;
  if (spawn.in_cgroup) {
    for (const std::string& folder : place.join) {
      groups.push_back(sys::open_file(folder + "/cgroup.procs", O_WRONLY));
    }
    spawn.join_count = static_cast<std::uint32_t>(groups.size());
    groups.push_back(sys::open_file(place.group, O_PATH | O_DIRECTORY));
  }
  for (const sys::Fd& group : groups) fds.push_back(group.get());
  spawn.keep_count = static_cast<std::uint32_t>(kept.size());
  fds.insert(fds.end(), kept.begin(), kept.end());
  const std::uint32_t pid = co_await place.domain->start(std::move(spawn), std::move(fds));
  if (*place.was_killed) kill(place);  // Meanwhile.
  co_return pid;
}

sys::PseudoTerminal make_terminal_in(const std::optional<sys::ProcessId>& init) {
  if (!init) {
    throw Error(ErrorCode::invalid_argument, "not_in_gvisor",
                "programs in gVisor have no terminals",
                "leave out \"terminal\", or use a cell whose runtime is native");
  }
  const sys::Fd root =
      sys::open_file("/proc/" + std::to_string(init->pid) + "/root", O_PATH | O_DIRECTORY);
  if (!sys::open_process(*init)) {  // Then it may have been another's.
    throw Error(ErrorCode::unavailable, "domain_lost", "the cell's processes have ended");
  }
  return sys::make_terminal(root.get());
}

asio::awaitable<void> kill_at(const CommandPlace& place, std::chrono::milliseconds timeout,
                              bool& timed_out) {
  co_await async::sleep_for(timeout);
  timed_out = true;
  co_await kill_surely(place);
}

asio::awaitable<void> kill_at_oom(const CommandPlace& place) {
  const std::uint64_t before = place.count_oom_kills();
  while (place.count_oom_kills() == before) co_await async::sleep_for(kOomPause);
  co_await kill_surely(place);
}

ProgramStatus status_of(const DomainLink::Exit& exit) {
  ProgramStatus status;
  if (exit.lost) {
    status.signal = SIGKILL;
  } else if (WIFSIGNALED(exit.wait_status)) {
    status.signal = WTERMSIG(exit.wait_status);
  }
  status.exit_code = status.signal ? 128 + *status.signal : WEXITSTATUS(exit.wait_status);
  return status;
}

void kill(const CommandPlace& place) noexcept {
  *place.was_killed = true;
  try {
    if (place.group.empty()) {
      place.domain->signal(place.id, SIGKILL);
    } else {
      sandbox::kill_group(place.group);
      // A group that is gone takes nothing in: what is not there yet does not begin.
      if (place.domain->is_starting(place.id)) sandbox::try_remove_group(place.group);
    }
  } catch (const Error&) {
    // The cell was deleted meanwhile, and its processes with it.
  }
}

}  // namespace cellar::cell
