#include "cell/command.h"

#include <signal.h>

#include <algorithm>

#include "async/task_group.h"
#include "base/error.h"
#include "cell/command_parts.h"
#include "cell/output_log.h"
#include "cell/pipe_end.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;

// What a command writes to, and what has come so far.
struct Output {
  Output(const asio::any_io_executor& executor, std::string name_, std::uint64_t bytes_max_,
         OutputRoom::Held& held_)
      : name(std::move(name_)),
        bytes_max(bytes_max_),
        held(held_),
        source(executor),
        ended(executor) {}

  std::string name;
  std::uint64_t bytes_max;
  OutputRoom::Held& held;
  PipeEnd source;
  async::Event ended;
  std::string bytes;
  bool truncated = false;
};

void keep(Output& output, std::string_view bytes) {
  const std::size_t room = output.bytes_max - output.bytes.size();
  const std::size_t taken = output.held.take(std::min(bytes.size(), room));
  if (taken < bytes.size()) output.truncated = true;
  output.bytes.append(bytes.substr(0, taken));
}

asio::awaitable<void> read_output(Output& output, const OnOutput& on_output) {
  std::size_t told = 0;
  bool has_ended = false;
  while (!has_ended) {
    // What finds no room is read all the same, so that the command is not held up.
    const sys::PipeRead read = co_await output.source.read(kReadBytes);
    if (!output.source.is_open()) co_return;  // drain() has given up, the result is made.
    has_ended = read.has_ended;
    keep(output, read.bytes);
    const std::string_view untold = std::string_view(output.bytes).substr(told);
    const std::size_t unfinished = has_ended ? 0 : unfinished_character(untold);
    const std::string_view whole = untold.substr(0, untold.size() - unfinished);
    told += whole.size();
    if (on_output && !whole.empty()) on_output(output.name, whole);
  }
  output.ended.set();
}

asio::awaitable<void> write_input(PipeEnd& sink, std::shared_ptr<const std::string> bytes) {
  std::size_t written_count = 0;
  bool goes_on = true;
  while (goes_on) {
    const sys::PipeWrite written = co_await sink.write(bytes, written_count);
    written_count += written.byte_count;
    if (written.is_broken || written_count == bytes->size()) break;
    goes_on = co_await sink.writable();
  }
  sink.close();
}

CommandResult result_of_failed_start(const Error& error) {
  CommandResult result;
  result.exit_code = error.code() == ErrorCode::not_found ? 127 : 126;
  result.stderr_bytes = std::string(error.what()) + "\n";
  return result;
}

// All that is open while a command runs.
struct Running {
  Running(const asio::any_io_executor& executor, CommandRequest& request, OutputRoom& room)
      : input_bytes(std::make_shared<const std::string>(std::move(request.stdin_bytes))),
        held(std::make_shared<OutputRoom::Held>(room)),
        out(executor, "stdout", request.output_bytes_max, *held),
        err(executor, "stderr", request.output_bytes_max, *held),
        input(executor),
        tasks(executor) {}
  std::shared_ptr<const std::string> input_bytes;  // shared with jobs that may be stuck
  std::shared_ptr<OutputRoom::Held> held;
  Output out;
  Output err;
  PipeEnd input;
  async::TaskGroup tasks;
};

asio::awaitable<std::uint32_t> start(const CommandPlace& place, const CommandRequest& request,
                                     Running& running) {
  const bool takes_input = !running.input_bytes->empty();
  ProgramPipes pipes = make_program_pipes(place, TakesInput(takes_input));
  if (takes_input) running.input.open(place.pipes, std::move(pipes.in.write_end));
  running.out.source.open(place.pipes, std::move(pipes.out.read_end));
  running.err.source.open(place.pipes, std::move(pipes.err.read_end));
  std::vector<int> stdio = pipes.stdio();
  const LentEnds theirs(place.pipes, pipes.take_theirs());
  co_return co_await start_program(place, request, std::move(stdio), Terminal::no);
}

asio::awaitable<void> drain(Running& running) {
  const bool out_ended = co_await running.out.ended.wait_for(kOutputLimit);
  const bool err_ended = co_await running.err.ended.wait_for(kOutputLimit);
  if (!out_ended) running.out.source.close();
  if (!err_ended) running.err.source.close();
}

asio::awaitable<CommandResult> run_started(const CommandPlace& place, const CommandRequest& request,
                                           Running& running, const OnOutput& on_output) {
  const auto began = std::chrono::steady_clock::now();
  const std::uint64_t oom_before = place.count_oom_kills();
  CommandResult result;
  std::optional<Error> failure;
  try {
    const std::uint32_t pid = co_await start(place, request, running);
    place.note_start(pid, request.argv);
  } catch (const Error& error) {
    if (error.reason() != "start_failed") throw;
    failure = error;
  }
  if (failure) {
    result = result_of_failed_start(*failure);
    if (on_output) on_output(running.err.name, result.stderr_bytes);
    co_return result;
  }

  running.tasks.spawn(read_output(running.out, on_output));
  running.tasks.spawn(read_output(running.err, on_output));
  if (running.input.is_open()) {
    running.tasks.spawn(write_input(running.input, running.input_bytes));
  }
  running.tasks.spawn(kill_at(place, request.timeout, result.timed_out));
  if (place.stalls_at_oom) running.tasks.spawn(kill_at_oom(place));
  const DomainLink::Exit exit = co_await place.domain->wait_exit(place.id);
  kill(place);
  co_await drain(running);

  const ProgramStatus status = status_of(exit);
  result.exit_code = status.exit_code;
  result.signal = status.signal;
  result.lost = exit.lost;
  result.stdout_bytes = std::move(running.out.bytes);
  result.stderr_bytes = std::move(running.err.bytes);
  result.held = running.held;
  result.truncated = running.out.truncated || running.err.truncated;
  // A shell that lived on tells of its child's end by the same number.
  result.oom = result.exit_code == 128 + SIGKILL && place.count_oom_kills() > oom_before;
  result.duration = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - began);
  co_return result;
}

}  // namespace

asio::awaitable<CommandResult> run_command(CommandPlace place, CommandRequest request,
                                           OnOutput on_output, OutputRoom& room) {
  Running running(co_await asio::this_coro::executor, request, room);
  if (running.held->take(running.input_bytes->size()) < running.input_bytes->size()) {
    throw Error(ErrorCode::exhausted, "too_much_input",
                "what the cell's commands hold in memory leaves no room for this input",
                "wait until some have ended, or write it to a file");
  }
  std::exception_ptr failure;
  CommandResult result;
  try {
    result = co_await run_started(place, request, running, on_output);
  } catch (...) {
    failure = std::current_exception();
  }
  kill(place);
  // Its tasks refer to this frame: they end before it does, canceled or not.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await running.tasks.close();
  if (failure) std::rethrow_exception(failure);
  co_return result;
}

}  // namespace cellar::cell
