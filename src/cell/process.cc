#include "cell/process.h"

#include <fcntl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "async/task_group.h"
#include "base/error.h"
#include "cell/command_parts.h"
#include "cell/programs.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kOutputPieceBytes = 64 << 10;
constexpr char kEndOfInput = '\x04';  // typed at a terminal

}  // namespace

Process::Process(asio::any_io_executor executor, std::string id, ProcessRequest request,
                 CommandPlace place)
    : id_(std::move(id)),
      request_(std::move(request)),
      place_(std::move(place)),
      changed_(executor),
      end_(executor),
      out_(executor),
      err_(executor),
      in_(executor),
      out_ended_(executor),
      err_ended_(executor),
      writers_(executor, {.waiters_max = kWritersMax}) {}

asio::awaitable<void> Process::start() {
  // Its ends close when this returns.
  sys::PseudoTerminal terminal;
  ProgramPipes pipes;
  std::vector<int> stdio;
  const bool has_terminal = request_.terminal.has_value();
  if (has_terminal) {
    terminal = place_.make_terminal();
    sys::resize_terminal(terminal.master.get(), *request_.terminal);
    stdio.assign(3, terminal.slave.get());
    out_.assign(terminal.master.release());
  } else {
    pipes = make_program_pipes(place_.uid, request_.takes_input);
    stdio = pipes.stdio();
    if (pipes.in.write_end) in_.assign(pipes.in.write_end.release());
    out_.assign(pipes.out.read_end.release());
    err_.assign(pipes.err.read_end.release());
  }
  started_at_ = wall_now();
  std::optional<Error> failure;
  try {
    pid_ = co_await start_program(place_, request_.command, std::move(stdio),
                                  has_terminal ? Terminal::yes : Terminal::no);
  } catch (const Error& error) {
    if (error.reason() != "start_failed") throw;
    failure = error;
  }
  if (failure) {
    throw Error(ErrorCode::invalid_argument, "start_failed", failure->what(),
                "name a program that is there, and a folder for it");
  }
  place_.note_start(pid_, request_.command.argv);
  command_ = command_line(request_.command.argv);
  request_.command.argv = {};  // They may be large, and it may be remembered for long.
  request_.command.env = {};
}

asio::awaitable<void> Process::read(Descriptor& source, OutputLog::Stream stream,
                                    async::Event& ended) {
  std::string buffer(kOutputPieceBytes, '\0');
  for (;;) {
    const auto [error, size] =
        co_await source.async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
    if (error) break;  // A terminal that nobody has any more gives EIO.
    output_.append(stream, std::string_view(buffer).substr(0, size));
    changed_.set();
    changed_.reset();
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
  const auto timeout = self.request_.command.timeout;
  if (timeout.count() > 0) tasks.spawn(kill_at(self.place_, timeout, self.timed_out_));
  if (self.place_.stalls_at_oom) tasks.spawn(kill_at_oom(self.place_));
  std::exception_ptr failure;
  try {
    self.exit_ = co_await self.place_.domain->wait_exit(self.place_.id);
    self.kill();
    co_await self.out_ended_.wait_for(kOutputLimit);
    co_await self.err_ended_.wait_for(kOutputLimit);
  } catch (...) {
    failure = std::current_exception();
    self.exit_.lost = LostBy::daemon;
    self.kill();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  for (Descriptor* end : {&self.out_, &self.err_, &self.in_}) {
    if (end->is_open()) end->close();
  }
  co_await tasks.close();
  self.output_.end();
  self.ended_at_ = wall_now();
  self.changed_.set();
  self.end_.set();
  if (failure) std::rethrow_exception(failure);
}

ProcessView Process::view() const {
  ProcessView view;
  view.id = id_;
  view.command = command_;
  view.pid = pid_;
  view.has_terminal = request_.terminal.has_value();
  view.started_at = started_at_;
  view.ended_at = ended_at_;
  view.output_first = output_.first();
  view.output_next = output_.next();
  if (!has_ended()) return view;
  const ProgramStatus status = status_of(exit_);
  view.exit_code = status.exit_code;
  view.signal = status.signal;
  view.timed_out = timed_out_;
  if (!timed_out_) view.lost = exit_.lost;
  return view;
}

asio::awaitable<bool> Process::advanced(std::uint64_t place, std::chrono::milliseconds limit) {
  const auto give_up = std::chrono::steady_clock::now() + limit;
  while (!has_ended() && !output_.read(place)) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        give_up - std::chrono::steady_clock::now());
    if (left.count() <= 0) co_return false;
    co_await changed_.wait_for(left);
  }
  co_return true;
}

void Process::require_running() const {
  if (has_ended()) {
    throw Error(ErrorCode::conflict, "process_ended", "process " + id_ + " has ended");
  }
}

asio::awaitable<void> Process::write(std::string bytes) {
  const auto turn = co_await writers_.turn();
  require_running();
  Descriptor& sink = request_.terminal ? out_ : in_;
  if (!sink.is_open()) {
    throw Error(ErrorCode::conflict, "no_input", "process " + id_ + " takes no input",
                "start it with \"stdin\": true, and send nothing behind its end");
  }
  const auto [error, size] =
      co_await asio::async_write(sink, asio::buffer(bytes), asio::as_tuple(asio::use_awaitable));
  if (error == asio::error::operation_aborted && !has_ended() && sink.is_open()) {
    throw Error(ErrorCode::canceled, "whoever wrote has gone");
  }
  if (error && in_.is_open()) in_.close();  // It has closed its end.
  if (error) {
    throw Error(ErrorCode::conflict, "no_input",
                "process " + id_ + " took " + std::to_string(size) + " of " +
                    std::to_string(bytes.size()) + " bytes, and takes no more");
  }
}

asio::awaitable<void> Process::end_input() {
  if (request_.terminal) {
    co_await write(std::string(1, kEndOfInput));
    co_return;
  }
  const auto turn = co_await writers_.turn();
  require_running();
  if (in_.is_open()) in_.close();
}

void Process::resize(sys::TerminalSize size) {
  require_running();
  if (!request_.terminal) {
    throw Error(ErrorCode::conflict, "no_terminal", "process " + id_ + " has no terminal",
                "start it with \"terminal\"");
  }
  sys::resize_terminal(out_.native_handle(), size);
}

void Process::signal(int number) {
  require_running();
  place_.domain->signal(place_.id, number);
}

}  // namespace cellar::cell
