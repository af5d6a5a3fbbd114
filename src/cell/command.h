#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/lane.h"
#include "cell/domain_link.h"
#include "cell/output_room.h"
#include "json/value.h"
#include "sandbox/cgroup.h"
#include "sys/terminal.h"

namespace cellar::cell {

struct CommandRequest {
  std::vector<std::string> argv;
  std::string cwd = "/work";
  std::map<std::string, std::string> env;  // besides what every command has
  std::string stdin_bytes;
  std::chrono::milliseconds timeout{120'000};
  std::uint64_t output_bytes_max = 10 << 20;  // of stdout and stderr, each; the rest is dropped
  std::uint64_t open_files_max = 65536;
  std::uint64_t file_bytes_max = 0;   // 0: no limit
  sandbox::ResourceLimits resources;  // besides the cell's own
};

struct CommandResult {
  std::string stdout_bytes;
  std::string stderr_bytes;
  int exit_code = 0;  // 128 + the signal's number where one ended it, as a shell has it
  std::optional<int> signal;
  bool timed_out = false;
  bool oom = false;            // the kernel killed it, or something of it, for want of memory
  bool truncated = false;      // there was more output than the limit, or than there was room for
  bool disk_full = false;      // killed, as the cell had more on disk than it may
  std::optional<LostBy> lost;  // the cell's processes ended under it
  std::chrono::milliseconds duration{0};
  std::shared_ptr<OutputRoom::Held> held;  // the place of its output
};

inline constexpr std::chrono::hours kCommandTimeoutMax{24};
inline constexpr std::uint64_t kOutputBytesMax = 64 << 20;
inline constexpr std::size_t kCommandBytesMax = 128 << 10;  // argv and env together

// Where a command runs.
struct CommandPlace {
  std::shared_ptr<DomainLink> domain;  // it may end while the command runs
  // What keeps together all that it starts: a new cgroup v2 folder, removed by the caller, or,
  // where it is empty, the domain's cell-init: in gVisor, and where there are no cgroups.
  std::string group;
  std::vector<std::string> join;  // new v1 folders for it, removed likewise
  std::uint32_t id = 0;           // of the program there
  std::uint64_t number = 0;       // of the program in its cell
  // To be called once it runs: whoever asks later what was lost is told of it.
  std::function<void(std::uint32_t pid, const std::vector<std::string>& words)> note_start;
  std::uint32_t uid = 0;  // the host's id of the domain's root
  async::Lane pipes;      // of the cell: where what joins the program with us is used (PipeEnd)
  // Of all copies: kill() was called, maybe before there was something to kill.
  std::shared_ptr<bool> was_killed = std::make_shared<bool>(false);
  std::function<std::uint64_t()> count_oom_kills;
  std::function<void()> end_domain;  // without a group: ends the domain and all that runs in it
  bool stalls_at_oom = false;        // in gVisor: what memory ran out for stands still
  std::function<sys::PseudoTerminal()> make_terminal;  // in the domain; throws Error
};

// How long something in a domain may take to kill a program, before the domain ends.
inline constexpr std::chrono::milliseconds kKillLimit{2000};

// Kills the program there with all that it started; one that is being started ends as it begins.
// Never throws: nothing is left of it where it is gone with its domain.
void kill(const CommandPlace& place) noexcept;

// Runs a command to its end. When it ends, by itself, by the timeout or because this coroutine is
// canceled, all that it started is killed. `on_output` (may be empty) gets every piece as it comes,
// up to the limit. Throws Error as DomainLink::start() does, but a program that is not there is a
// result with exit code 127 (126 where it cannot be executed), as a shell has it. What it prints,
// and its input, take of `room`: output that has none is dropped, input that has none is refused
// (Error `exhausted`, reason `too_much_input`).
using OnOutput = std::function<void(std::string_view stream, std::string_view bytes)>;
asio::awaitable<CommandResult> run_command(CommandPlace place, CommandRequest request,
                                           OnOutput on_output, OutputRoom& room);

// A request from outside, {cmd, cwd?, env?, stdin?, timeout_ms?, limits?}, and its answer. `Names`
// tells REST's snake_case from the camelCase of ctx. Throws Error `invalid_argument`.
enum class Names : std::uint8_t { rest, ctx };
CommandRequest parse_command(std::string_view json_text, Names names);
std::string encode(const CommandResult& result, Names names);
// A piece of output: {text}, or {b64} where it is no UTF-8.
json::Value output_json(std::string_view bytes);

}  // namespace cellar::cell
