#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "cell/command.h"
#include "sys/fd.h"
#include "sys/process.h"
#include "sys/terminal.h"

// What commands (command.h) and processes (process.h) have in common: how a program is started in
// a place, and that nothing of it is left.
namespace cellar::cell {

// How long output may still come after everything of a program was killed.
inline constexpr std::chrono::milliseconds kOutputLimit{2000};

// What joins a program without a terminal with us. Its ends belong to its user, who may open them
// again as /dev/stdout.
enum class TakesInput : bool { no, yes };
struct ProgramPipes {
  sys::Pipe in;  // where it takes no input: /dev/null, and no end of ours
  sys::Pipe out;
  sys::Pipe err;
  // For start_program(); they are still these pipes'.
  std::vector<int> stdio() const {
    return {in.read_end.get(), out.write_end.get(), err.write_end.get()};
  }
  std::vector<sys::Fd> take_theirs();
};
// Throws Error; `unavailable`, reason `pipes_stuck`, where the cell's programs keep those of many
// that have ended from being closed.
ProgramPipes make_program_pipes(const CommandPlace& place, TakesInput takes_input);

enum class Terminal : bool { no, yes };
// Starts it with `stdio` as its 0, 1 and 2; its pid as the domain sees it. Where something is to
// be kept for the next daemon it outlives this one. Throws what DomainLink::start() does.
asio::awaitable<std::uint32_t> start_program(const CommandPlace& place,
                                             const CommandRequest& request, std::vector<int> stdio,
                                             Terminal terminal, std::vector<int> kept = {});

// A terminal of the domain whose cell-init that is; nullopt: one in gVisor. Throws Error
// `invalid_argument`, reason `not_in_gvisor`; `unavailable`, `no_terminals` or `domain_lost`.
sys::PseudoTerminal make_terminal_in(const std::optional<sys::ProcessId>& init);

// Each kills the program with all that it started, `kill_at` when the time is up, which it tells.
asio::awaitable<void> kill_at(const CommandPlace& place, std::chrono::milliseconds timeout,
                              bool& timed_out);
// What the machine kills for want of memory is a process that gVisor keeps for a program: the
// program then stands still, for ever. So the commands of the cell end.
asio::awaitable<void> kill_at_oom(const CommandPlace& place);

// As a shell has it: 128 + the signal's number where one ended it.
struct ProgramStatus {
  int exit_code = 0;
  std::optional<int> signal;
};
ProgramStatus status_of(const DomainLink::Exit& exit);

}  // namespace cellar::cell
