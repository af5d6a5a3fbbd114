#include "cell/process.h"

#include <fcntl.h>

#include <algorithm>

#include "async/sleep.h"
#include "async/task_group.h"
#include "base/error.h"
#include "base/log.h"
#include "cell/command_parts.h"
#include "cell/programs.h"
#include "sys/file.h"
#include "sys/splice.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kThroughBytes = 64 << 10;
constexpr std::size_t kInputEnd = 2;             // its place among those that are kept
constexpr std::chrono::seconds kNoRoomPause{1};  // between two looks at a disk that is full
constexpr std::chrono::milliseconds kNotTakenMaxPause{20};
constexpr char kEndOfInput = '\x04';  // typed at a terminal

[[noreturn]] void rethrow_as_start_failed(const std::exception_ptr& failure) {
  std::optional<Error> told;
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    if (error.reason() != "start_failed") throw;
    told = error;
  }
  throw Error(ErrorCode::invalid_argument, "start_failed", told->what(),
              "name a program that is there, and a folder for it");
}

// In the lane. A disk that fails is as good as a full one: nothing is lost yet.
ProcessFiles::Taken try_take(ProcessFiles& files, int source, OutputLog::Stream stream,
                             const sys::Pipe* through, const std::string& id) {
  try {
    return files.take(source, stream, through);
  } catch (const Error& error) {
    log::debug("output of process {}: {}", id, error.what());
  }
  return {.state = ProcessFiles::Taken::State::no_room};
}

}  // namespace

// What joins a program with us: `stdio` becomes its 0, 1 and 2, `ours` are kept.
struct Process::Ends {
  std::vector<sys::Fd> theirs;
  std::vector<int> stdio;
  std::vector<sys::Fd> ours;  // terminal, its pipe's both ends; or stdout, stderr and maybe stdin
};

Process::Process(const ProcessHome& home, CommandPlace place)
    : Process(home, ProcessRecord{.number = place.number,
                                  .program = place.id,
                                  .outlives_daemon = !place.stalls_at_oom,
                                  .joined = place.join}) {
  place_ = std::move(place);
  is_loaded_ = true;
}

Process::Process(const ProcessHome& home, ProcessRecord record)
    : id_("p" + std::to_string(record.number)),
      pool_(home.pool),
      record_(std::move(record)),
      files_(std::make_shared<ProcessFiles>(home.folder + "/" + std::to_string(record_.number))),
      is_loaded_(false),
      output_(ProcessFiles::kOutputKeptBytes, record_.end ? record_.end->output_next : 0),
      changed_(home.executor),
      end_(home.executor),
      out_(home.executor),
      err_(home.executor),
      in_(home.executor),
      out_ended_(home.executor),
      err_ended_(home.executor),
      writers_(home.executor, {.waiters_max = kWritersMax}),
      pieces_(home.executor) {
  if (record_.end) end_.set();
}

Process::Ends Process::make_ends(const ProcessRequest& request) {
  Ends ends;
  if (request.terminal) {
    sys::PseudoTerminal terminal = place_.make_terminal();
    sys::resize_terminal(terminal.master.get(), *request.terminal);
    ends.stdio.assign(3, terminal.slave.get());
    auto through = sys::make_splice_pipe(kThroughBytes);
    if (!through) throw_errno("pipe");
    ends.theirs.push_back(std::move(terminal.slave));
    ends.ours.push_back(std::move(terminal.master));
    ends.ours.push_back(std::move(through->read_end));
    ends.ours.push_back(std::move(through->write_end));
    return ends;
  }
  ProgramPipes pipes = make_program_pipes(place_, TakesInput(request.takes_input));
  ends.stdio = pipes.stdio();
  ends.theirs = pipes.take_theirs();
  ends.ours.push_back(std::move(pipes.out.read_end));
  ends.ours.push_back(std::move(pipes.err.read_end));
  if (pipes.in.write_end) ends.ours.push_back(std::move(pipes.in.write_end));
  return ends;
}

bool Process::take_ends(std::vector<sys::Fd> ends) {
  const bool has_input = record_.takes_input && ends.size() == kInputEnd + 1;  // Else it ended.
  if (ends.size() != (record_.has_terminal || has_input ? 3 : 2)) return false;
  out_.open(place_.pipes, std::move(ends[0]));
  if (record_.has_terminal) {
    through_ = std::make_shared<const sys::Pipe>(std::move(ends[1]), std::move(ends[2]));
    return true;
  }
  err_.open(place_.pipes, std::move(ends[1]));
  if (has_input) in_.open(place_.pipes, std::move(ends[kInputEnd]));
  return true;
}

asio::awaitable<void> Process::start(ProcessRequest request) {
  record_.command = command_line(request.command.argv);
  record_.has_terminal = request.terminal.has_value();
  record_.takes_input = !record_.has_terminal && request.takes_input;
  record_.started_at = wall_now();
  const auto timeout = request.command.timeout;
  if (timeout.count() > 0) record_.times_out_at = record_.started_at + timeout;
  auto create = [this] { files_->create(record_); };
  co_await async::offload(pool_, create);
  Ends ends = make_ends(request);
  std::vector<int> kept;
  for (const sys::Fd& end : ends.ours) {
    if (record_.outlives_daemon) kept.push_back(end.get());
  }
  take_ends(std::move(ends.ours));
  const LentEnds lent(place_.pipes, std::move(ends.theirs));
  std::exception_ptr failure;
  try {
    record_.pid = co_await start_program(place_, request.command, ends.stdio,
                                         record_.has_terminal ? Terminal::yes : Terminal::no,
                                         std::move(kept));
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    // Whoever asked may have gone while it began: the caller ends it.
    if (record_.outlives_daemon) place_.domain->forget_from(place_.id, 0);
    co_await remove();
    rethrow_as_start_failed(failure);
  }
  place_.note_start(record_.pid, request.command.argv);
  co_await save(record_);
}

asio::awaitable<void> Process::adopt(CommandPlace place, DomainLink::KeptProgram kept) {
  place_ = std::move(place);
  record_.pid = kept.pid;
  auto load = [this] {
    files_->open();
    return files_->load();
  };
  output_ = co_await async::offload(pool_, load);
  is_loaded_ = true;
  if (!take_ends(std::move(kept.fds))) {
    throw Error(ErrorCode::unavailable, "domain_lost", "cell-init has kept something else");
  }
}

asio::awaitable<void> Process::read(PipeEnd& source, OutputLog::Stream stream,
                                    async::Event& ended) {
  using State = ProcessFiles::Taken::State;
  for (;;) {
    auto turn = std::make_optional(co_await pieces_.turn());
    auto take = [files = files_, stream, through = through_, from = source.number(), id = id_] {
      return try_take(*files, from, stream, through.get(), id);
    };
    const ProcessFiles::Taken taken = co_await source.run_in_lane(std::move(take));
    if (taken.state == State::ended) break;
    if (taken.state == State::some) {
      output_.append(taken.stream, taken.bytes);
      changed_.pulse();
      continue;
    }
    turn.reset();
    if (taken.state == State::no_room) {
      if (!std::exchange(waits_for_room_, true)) {
        log::warning("what process {} writes waits: the disk has no room for it", id_);
      }
      co_await async::sleep_for(kNoRoomPause);
      continue;
    }
    const bool has_some = co_await source.readable();
    if (!has_some) break;
  }
  ended.set();
}

asio::awaitable<void> Process::run(std::shared_ptr<Process> process) {
  Process& self = *process;
  async::TaskGroup tasks(co_await asio::this_coro::executor);
  tasks.spawn(self.read(self.out_, OutputLog::Stream::out, self.out_ended_));
  if (self.err_.is_open()) {
    tasks.spawn(self.read(self.err_, OutputLog::Stream::err, self.err_ended_));
  } else {
    self.err_ended_.set();
  }
  if (self.record_.times_out_at) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(*self.record_.times_out_at - wall_now());
    tasks.spawn(
        kill_at(self.place_, std::max(left, std::chrono::milliseconds(0)), self.timed_out_));
  }
  if (self.place_.stalls_at_oom) tasks.spawn(kill_at_oom(self.place_));
  std::exception_ptr failure;
  DomainLink::Exit exit;
  std::optional<WallTime> ended_at;
  try {
    exit = co_await self.place_.domain->wait_exit(self.place_.id);
    ended_at = wall_now();
    self.kill();
    co_await self.out_ended_.wait_for(kOutputLimit);
    co_await self.err_ended_.wait_for(kOutputLimit);
  } catch (...) {
    failure = std::current_exception();
    exit.lost = LostBy::daemon;
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  const bool runs_on = failure && self.record_.outlives_daemon;
  if (!runs_on) self.kill();
  co_await tasks.close();  // What is stuck in the lane has all that it needs.
  for (PipeEnd* end : {&self.out_, &self.err_, &self.in_}) end->close();
  if (!runs_on) co_await self.end(exit, ended_at.value_or(wall_now()));
  if (failure) std::rethrow_exception(failure);
}

asio::awaitable<void> Process::end(DomainLink::Exit exit, WallTime at) {
  output_.end();
  ProcessRecord ended = record_;
  ended.end = ProcessRecord::End{.at = at,
                                 .wait_status = exit.wait_status,
                                 .lost = timed_out_ ? std::nullopt : exit.lost,
                                 .timed_out = timed_out_,
                                 .output_first = output_.first(),
                                 .output_next = output_.next()};
  const bool is_kept = co_await save(ended);
  record_ = std::move(ended);
  // Where the disk is full, cell-init is who tells the next daemon.
  if (is_kept && place_.domain && record_.outlives_daemon) place_.domain->forget(place_.id);
  through_.reset();
  changed_.set();
  end_.set();
}

// Without it the next daemon knows less of the process, and no more.
asio::awaitable<bool> Process::save(ProcessRecord record) {
  auto write = [this, record = std::move(record)] { files_->write(record); };
  try {
    co_await async::offload(pool_, write);
    co_return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::warning("what is known of process {} is not kept: {}", id_, error.what());
  }
  co_return false;
}

asio::awaitable<void> Process::lose(LostBy why) {
  if (has_ended()) co_return;
  co_await load_output();
  const DomainLink::Exit exit{.lost = why};
  co_await end(exit, wall_now());
}

asio::awaitable<void> Process::load_output() {
  if (is_loaded_) co_return;
  auto load = [this] { return files_->load(); };
  try {
    OutputLog log = co_await async::offload(pool_, load);
    if (!is_loaded_) output_ = std::move(log);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::warning("the output of process {} is lost: {}", id_, error.what());
  }
  if (has_ended()) output_.end();
  is_loaded_ = true;
}

asio::awaitable<void> Process::forget_output() {
  if (record_.end->output_first == record_.end->output_next) co_return;
  output_.clear();
  is_loaded_ = true;
  record_.end->output_first = record_.end->output_next;
  co_await save(record_);
  auto forget = [this] { files_->forget_output(); };
  co_await async::offload(pool_, forget);
}

asio::awaitable<void> Process::remove() {
  if (place_.domain && record_.outlives_daemon) place_.domain->forget(place_.id);
  auto remove = [this] { files_->remove(); };
  co_await async::offload(pool_, remove);
}

ProcessView Process::view() const {
  ProcessView view;
  view.id = id_;
  view.command = record_.command;
  view.pid = record_.pid;
  view.has_terminal = record_.has_terminal;
  view.started_at = record_.started_at;
  view.output_first = output_.first();
  view.output_next = output_.next();
  if (!record_.end) return view;
  const ProcessRecord::End& end = *record_.end;
  view.ended_at = end.at;
  view.output_first = end.output_first;
  view.output_next = end.output_next;
  const ProgramStatus status = status_of({.wait_status = end.wait_status, .lost = end.lost});
  view.exit_code = status.exit_code;
  view.signal = status.signal;
  view.timed_out = end.timed_out;
  view.lost = end.lost;
  return view;
}

asio::awaitable<bool> Process::advanced(std::uint64_t place, std::chrono::milliseconds limit) {
  const auto give_up = std::chrono::steady_clock::now() + limit;
  const std::size_t before = wake_count_;
  while (!has_ended() && !output_.read(place)) {
    if (wake_count_ != before) co_return false;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        give_up - std::chrono::steady_clock::now());
    if (left.count() <= 0) co_return false;
    co_await changed_.wait_for(left);
  }
  co_return true;
}

void Process::wake_watchers() {
  ++wake_count_;
  changed_.pulse();
}

void Process::require_running() const {
  if (has_ended()) {
    throw Error(ErrorCode::conflict, "process_ended", "process " + id_ + " has ended");
  }
}

asio::awaitable<void> Process::write(std::string bytes) {
  co_await write_within(std::move(bytes), async::Event::kForever);
}

asio::awaitable<std::size_t> Process::write_within(std::string bytes,
                                                   std::chrono::milliseconds limit) {
  const auto give_up = std::chrono::steady_clock::now() + limit;
  const auto turn = co_await writers_.turn_within(limit);
  if (!turn) co_return 0;
  require_running();
  PipeEnd& sink = record_.has_terminal ? out_ : in_;
  if (!sink.is_open()) {
    throw Error(ErrorCode::conflict, "no_input", "process " + id_ + " takes no input",
                "start it with \"stdin\": true, and send nothing behind its end");
  }
  const auto input = std::make_shared<const std::string>(std::move(bytes));
  std::size_t taken = 0;
  // What waits until it can be written would be canceled with all that reads at a terminal.
  std::chrono::milliseconds pause{1};
  for (;;) {
    const sys::PipeWrite written = co_await sink.write(input, taken);
    taken += written.byte_count;
    if (taken == input->size()) co_return taken;
    require_running();
    if (written.is_broken) break;
    if (std::chrono::steady_clock::now() >= give_up) co_return taken;
    co_await async::sleep_for(pause);
    pause = std::min(2 * pause, kNotTakenMaxPause);
    require_running();
  }
  in_.close();  // It has closed its end.
  throw Error(ErrorCode::conflict, "no_input",
              "process " + id_ + " took " + std::to_string(taken) + " of " +
                  std::to_string(input->size()) + " bytes, and takes no more");
}

asio::awaitable<void> Process::end_input() {
  if (record_.has_terminal) {
    co_await write(std::string(1, kEndOfInput));
    co_return;
  }
  const auto turn = co_await writers_.turn();
  require_running();
  if (!in_.is_open()) co_return;
  in_.close();
  if (record_.outlives_daemon) place_.domain->forget_from(place_.id, kInputEnd);
}

void Process::resize(sys::TerminalSize size) {
  require_running();
  if (!record_.has_terminal) {
    throw Error(ErrorCode::conflict, "no_terminal", "process " + id_ + " has no terminal",
                "start it with \"terminal\"");
  }
  sys::resize_terminal(out_.number(), size);
}

void Process::signal(int number) {
  require_running();
  place_.domain->signal(place_.id, number);
}

}  // namespace cellar::cell
