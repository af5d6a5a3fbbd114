#include "cell/command.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "async/sleep.h"
#include "async/task_group.h"
#include "base/error.h"
#include "sandbox/groups.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

using Descriptor = asio::posix::stream_descriptor;
constexpr std::size_t kReadBytes = 64 << 10;
// How long output may still come after everything of a command was killed.
constexpr std::chrono::milliseconds kDrainLimit{2000};
// How often it is asked for lack of memory.
constexpr std::chrono::milliseconds kOomPause{50};

constexpr std::pair<const char*, const char*> kEnvironment[] = {
    {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    {"HOME", "/root"},
    {"USER", "root"},
    {"SHELL", "/bin/bash"},
    {"LANG", "C.UTF-8"},
    {"TERM", "dumb"}};

// What a command writes to, and what has come so far.
struct Output {
  Output(const asio::any_io_executor& executor, std::string name_, std::uint64_t bytes_max_)
      : name(std::move(name_)), bytes_max(bytes_max_), source(executor), ended(executor) {}

  std::string name;
  std::uint64_t bytes_max;
  Descriptor source;
  async::Event ended;
  std::string bytes;
  bool truncated = false;
};

// Bytes at the end that are the beginning of a UTF-8 character, at most three.
std::size_t unfinished_character(std::string_view bytes) noexcept {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, bytes.size()); ++back) {
    const auto byte = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if ((byte & 0xc0) == 0x80) continue;
    const std::size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

asio::awaitable<void> read_output(Output& output, const OnOutput& on_output) {
  std::string buffer(kReadBytes, '\0');
  std::size_t told = 0;
  for (;;) {
    const auto [error, size] = co_await output.source.async_read_some(
        asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
    if (error) break;
    const std::size_t room = output.bytes_max - output.bytes.size();
    const std::string_view kept = std::string_view(buffer).substr(0, std::min(size, room));
    if (kept.size() < size) output.truncated = true;
    if (kept.empty()) continue;  // Read on, so that the command is not held up.
    output.bytes.append(kept);
    const std::string_view untold = std::string_view(output.bytes).substr(told);
    const std::string_view whole = untold.substr(0, untold.size() - unfinished_character(untold));
    told += whole.size();
    if (on_output && !whole.empty()) on_output(output.name, whole);
  }
  const std::string_view rest = std::string_view(output.bytes).substr(told);
  if (on_output && !rest.empty()) on_output(output.name, rest);
  output.ended.set();
}

asio::awaitable<void> write_input(Descriptor& sink, const std::string& bytes) {
  co_await asio::async_write(sink, asio::buffer(bytes), asio::as_tuple(asio::use_awaitable));
  boost::system::error_code ignored;
  sink.close(ignored);
}

std::vector<std::string> environment_of(const CommandRequest& request) {
  std::map<std::string, std::string> all(request.env);
  for (const auto& [name, value] : kEnvironment) all.emplace(name, value);
  std::vector<std::string> list;
  for (const auto& [name, value] : all) list.push_back(name + "=" + value);
  return list;
}

// A pipe whose end for the command belongs to its user, who may open it again as /dev/stdout.
sys::Pipe make_command_pipe(std::uint32_t uid, bool command_reads) {
  sys::Pipe pipe = sys::make_pipe();
  sys::give_to(command_reads ? pipe.read_end.get() : pipe.write_end.get(), uid);
  sys::set_nonblocking(command_reads ? pipe.write_end.get() : pipe.read_end.get());
  return pipe;
}

// The command with all that it started, killed however the coroutine ends.
class Group {
 public:
  explicit Group(const CommandPlace& place) : place_(place) {
    if (!place.group.empty()) fd_ = sys::open_file(place.group, O_PATH | O_DIRECTORY);
  }
  ~Group() { kill(); }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  int fd() const noexcept { return fd_.get(); }  // -1 where there is no cgroup
  void kill() noexcept { cell::kill(place_); }

 private:
  const CommandPlace& place_;
  sys::Fd fd_;
};

CommandResult result_of_failed_start(const Error& error) {
  CommandResult result;
  result.exit_code = error.code() == ErrorCode::not_found ? 127 : 126;
  result.stderr_bytes = std::string(error.what()) + "\n";
  return result;
}

void set_status(CommandResult& result, const DomainLink::Exit& exit) {
  result.lost = exit.lost;
  if (exit.lost) {
    result.signal = SIGKILL;
  } else if (WIFSIGNALED(exit.wait_status)) {
    result.signal = WTERMSIG(exit.wait_status);
  }
  result.exit_code = result.signal ? 128 + *result.signal : WEXITSTATUS(exit.wait_status);
}

// All that is open while a command runs.
struct Running {
  Running(const asio::any_io_executor& executor, const CommandRequest& request)
      : out(executor, "stdout", request.output_bytes_max),
        err(executor, "stderr", request.output_bytes_max),
        input(executor),
        tasks(executor) {}
  Output out;
  Output err;
  Descriptor input;
  async::TaskGroup tasks;
};

asio::awaitable<std::uint32_t> start(const CommandPlace& place, const CommandRequest& request,
                                     const Group& group, Running& running) {
  sys::Pipe out = make_command_pipe(place.uid, false);
  sys::Pipe err = make_command_pipe(place.uid, false);
  sys::Pipe in;
  if (request.stdin_bytes.empty()) {
    in.read_end = sys::open_file("/dev/null", O_RDONLY);
  } else {
    in = make_command_pipe(place.uid, true);
    running.input.assign(in.write_end.release());
  }
  running.out.source.assign(out.read_end.release());
  running.err.source.assign(err.read_end.release());

  wire::SpawnRequest spawn;
  spawn.argv = request.argv;
  spawn.env = environment_of(request);
  spawn.cwd = request.cwd;
  spawn.id = place.id;
  spawn.in_cgroup = group.fd() != -1;
  spawn.open_files_max = request.open_files_max;
  spawn.file_bytes_max = request.file_bytes_max;
  std::vector<int> fds(3);
  fds[0] = in.read_end.get();
  fds[1] = out.write_end.get();
  fds[2] = err.write_end.get();
  std::vector<sys::Fd> joined;
  if (spawn.in_cgroup) {
    for (const std::string& folder : place.join) {
      joined.push_back(sys::open_file(folder + "/cgroup.procs", O_WRONLY));
      fds.push_back(joined.back().get());
    }
    fds.push_back(group.fd());
  }
  spawn.join_count = static_cast<std::uint32_t>(joined.size());
  co_return co_await place.domain->start(std::move(spawn), std::move(fds));
}

// Without a cgroup it is something in the domain that kills; where it does not, the domain ends.
asio::awaitable<void> kill_surely(const CommandPlace& place) {
  kill(place);
  if (!place.end_domain) co_return;
  co_await async::sleep_for(kKillLimit);
  place.end_domain();
}

asio::awaitable<void> kill_at(const CommandPlace& place, std::chrono::milliseconds timeout,
                              bool& timed_out) {
  co_await async::sleep_for(timeout);
  timed_out = true;
  co_await kill_surely(place);
}

// What the machine kills for want of memory is a process that gVisor keeps for a program: the
// program then stands still, for ever. So the commands of the cell end.
asio::awaitable<void> kill_at_oom(const CommandPlace& place) {
  const std::uint64_t before = place.count_oom_kills();
  while (place.count_oom_kills() == before) co_await async::sleep_for(kOomPause);
  co_await kill_surely(place);
}

asio::awaitable<void> drain(Running& running) {
  const bool out_ended = co_await running.out.ended.wait_for(kDrainLimit);
  const bool err_ended = co_await running.err.ended.wait_for(kDrainLimit);
  if (!out_ended) running.out.source.close();
  if (!err_ended) running.err.source.close();
}

asio::awaitable<CommandResult> run_started(const CommandPlace& place, const CommandRequest& request,
                                           Group& group, Running& running,
                                           const OnOutput& on_output) {
  const auto began = std::chrono::steady_clock::now();
  const std::uint64_t oom_before = place.count_oom_kills();
  CommandResult result;
  std::optional<Error> failure;
  try {
    const std::uint32_t pid = co_await start(place, request, group, running);
    place.note_start(pid, request.argv);
  } catch (const Error& error) {
    if (error.reason() != "start_failed") throw;
    failure = error;
  }
  if (failure) co_return result_of_failed_start(*failure);

  running.tasks.spawn(read_output(running.out, on_output));
  running.tasks.spawn(read_output(running.err, on_output));
  if (running.input.is_open()) {
    running.tasks.spawn(write_input(running.input, request.stdin_bytes));
  }
  running.tasks.spawn(kill_at(place, request.timeout, result.timed_out));
  if (place.stalls_at_oom) running.tasks.spawn(kill_at_oom(place));
  const DomainLink::Exit exit = co_await place.domain->wait_exit(place.id);
  group.kill();
  co_await drain(running);

  set_status(result, exit);
  result.stdout_bytes = std::move(running.out.bytes);
  result.stderr_bytes = std::move(running.err.bytes);
  result.truncated = running.out.truncated || running.err.truncated;
  // A shell that lived on tells of its child's end by the same number.
  result.oom = result.exit_code == 128 + SIGKILL && place.count_oom_kills() > oom_before;
  result.duration = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - began);
  co_return result;
}

}  // namespace

void kill(const CommandPlace& place) noexcept {
  try {
    if (place.group.empty()) {
      place.domain->signal(place.id, SIGKILL);
    } else {
      sandbox::kill_group(place.group);
    }
  } catch (const Error&) {
    // The cell was deleted meanwhile, and its processes with it.
  }
}

asio::awaitable<CommandResult> run_command(CommandPlace place, CommandRequest request,
                                           OnOutput on_output) {
  Group group(place);
  Running running(co_await asio::this_coro::executor, request);
  std::exception_ptr failure;
  CommandResult result;
  try {
    result = co_await run_started(place, request, group, running, on_output);
  } catch (...) {
    failure = std::current_exception();
  }
  group.kill();
  // Its tasks refer to this frame: they end before it does, canceled or not.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await running.tasks.close();
  if (failure) std::rethrow_exception(failure);
  co_return result;
}

}  // namespace cellar::cell
