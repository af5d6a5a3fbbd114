#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/event.h"
#include "async/pool.h"
#include "async/serial.h"
#include "base/clock.h"
#include "cell/command.h"
#include "cell/output_log.h"
#include "cell/pipe_end.h"
#include "cell/process_files.h"
#include "json/reader.h"
#include "json/value.h"
#include "sys/terminal.h"

namespace cellar::cell {

struct ProcessRequest {
  CommandRequest command;  // a timeout of 0: none; its stdin_bytes are not used
  bool takes_input = false;
  std::optional<sys::TerminalSize> terminal;  // it has one in place of pipes; takes_input is meant
};

struct ProcessView {
  std::string id;
  std::string command;    // as command_line() has it
  std::uint32_t pid = 0;  // as its domain sees it
  bool has_terminal = false;
  WallTime started_at;
  std::optional<WallTime> ended_at;
  int exit_code = 0;  // once it has ended: 128 + the signal's number where one ended it
  std::optional<int> signal;
  bool timed_out = false;
  std::optional<LostBy> lost;      // its domain ended under it
  std::uint64_t output_first = 0;  // the place of the oldest byte that is kept (OutputLog)
  std::uint64_t output_next = 0;   // and of the next to come
};

// What the processes of a cell share.
struct ProcessHome {
  asio::any_io_executor executor;
  async::Pool& pool;
  std::string folder;  // of all of them; each has one of its own below it (process_files.h)
};

// A program that goes on in the background of a cell, whether anybody watches it or not, and
// whether its daemon lives or not, but in gVisor. Its newest output is kept. Loop thread only;
// shared by those who watch it.
//
//   auto process = std::make_shared<Process>(…);
//   co_await process->start(request);    // or, of one that was found: process->adopt(…);
//   tasks.spawn(Process::run(process));  // the owner's
class Process {
 public:
  // What is written to it and it has not read yet waits in the writers, of whom there are at most
  // so many.
  static constexpr std::size_t kWritersMax = 64;

  // One that is to begin.
  Process(const ProcessHome& home, CommandPlace place);
  // One that an earlier daemon left.
  Process(const ProcessHome& home, ProcessRecord record);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Throws what run_command() does, and Error `invalid_argument`, reason `start_failed`, for a
  // program that is not there; `unavailable`, reason `no_terminals`.
  asio::awaitable<void> start(ProcessRequest request);
  // Of one that runs on: its place, and what cell-init has kept. Throws Error.
  asio::awaitable<void> adopt(CommandPlace place, DomainLink::KeptProgram kept);
  // Until it has ended, with all that it started. Canceled, which happens where the daemon ends, it
  // lets go of a process that outlives that.
  static asio::awaitable<void> run(std::shared_ptr<Process> process);
  // One that nobody runs has ended with its domain, or with its daemon.
  asio::awaitable<void> lose(LostBy why);

  const std::string& id() const noexcept { return id_; }
  const ProcessRecord& record() const noexcept { return record_; }
  bool has_ended() const noexcept { return record_.end.has_value(); }
  ProcessView view() const;

  // Reads what was kept of one that ended before this daemon began: before output() is used.
  asio::awaitable<void> load_output();
  const OutputLog& output() const noexcept { return output_; }
  // Of one that has ended.
  asio::awaitable<void> forget_output();
  // Nothing of it is left on disk.
  asio::awaitable<void> remove();
  // Waits until there is output behind `place`, or it has ended; false where `limit` passed first.
  asio::awaitable<bool> advanced(std::uint64_t place, std::chrono::milliseconds limit);
  // Lets all who wait for that go on, as if their limit had passed.
  void wake_watchers();

  // Waits until it has ended, with all that it started.
  asio::awaitable<void> ended() { return end_.wait(); }

  // Returns once it could be written. Throws Error `conflict`: reason `no_input` where the process
  // takes none, or no more; `process_ended`.
  asio::awaitable<void> write(std::string bytes);
  // How many of them could be written within `limit`.
  asio::awaitable<std::size_t> write_within(std::string bytes, std::chrono::milliseconds limit);
  // No more input: what reads it comes to its end. A terminal gets the character for that.
  asio::awaitable<void> end_input();
  // Throws Error `conflict`, reason `no_terminal` or `process_ended`.
  void resize(sys::TerminalSize size);
  // For all of its process group. Throws Error `conflict`, reason `process_ended`.
  void signal(int number);
  // Ends it with all that it started.
  void kill() noexcept {
    if (place_.domain) cell::kill(place_);  // Else nothing of it is there.
  }

 private:
  void require_running() const;
  // Its ends close when the program has them. What is to be kept of ours, too.
  struct Ends;
  Ends make_ends(const ProcessRequest& request);
  // Also of those that cell-init kept, in the same order. False where there are others.
  bool take_ends(std::vector<sys::Fd> ends);
  asio::awaitable<void> read(PipeEnd& source, OutputLog::Stream stream, async::Event& ended);
  asio::awaitable<void> end(DomainLink::Exit exit, WallTime at);
  asio::awaitable<bool> save(ProcessRecord record);

  std::string id_;
  async::Pool& pool_;
  ProcessRecord record_;
  std::shared_ptr<ProcessFiles> files_;  // shared with a job that is stuck in the lane
  CommandPlace place_;
  bool timed_out_ = false;
  bool is_loaded_ = true;
  bool waits_for_room_ = false;
  OutputLog output_{ProcessFiles::kOutputKeptBytes};
  async::Event changed_;
  std::size_t wake_count_ = 0;  // of wake_watchers()
  async::Event end_;
  PipeEnd out_;  // the terminal, where it has one
  PipeEnd err_;
  PipeEnd in_;
  std::shared_ptr<const sys::Pipe> through_;  // of a terminal (ProcessFiles::take()); as files_
  async::Event out_ended_;
  async::Event err_ended_;
  async::Serial writers_;
  async::Serial pieces_;  // of output: in memory they come as in the file
};

// {cmd?, cwd?, env?, stdin?: bool, terminal?: true | {columns?, rows?}, timeout_ms?, limits?}; with
// a terminal, cmd may be left out: a login shell. Throws Error `invalid_argument` or `too_large`.
ProcessRequest parse_process(std::string_view json_text);
// "SIGTERM", "TERM" or 15. Throws Error `invalid_argument`.
int parse_signal(const json::Value& signal);
// {columns?, rows?} and nothing that was not asked for, each 1 to 1000. Throws Error
// `invalid_argument`.
sys::TerminalSize read_size(const json::Reader& from);

}  // namespace cellar::cell
