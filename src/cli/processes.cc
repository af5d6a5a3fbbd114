#include <charconv>
#include <string>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "json/json.h"
#include "sys/file.h"

namespace cellar::cli {
namespace {

// Without -f: what it has written so far is sent at once.
constexpr std::chrono::milliseconds kAllIsSent{500};
constexpr std::chrono::milliseconds kSilent{60'000};  // The daemon writes a comment every 15 s.
constexpr std::size_t kInputPieceBytes = 64 << 10;
constexpr long kNotTaken = 504;  // the status of input of which a part was taken

std::string process_status(const json::Value& process) {
  const std::string status = column(process, "status");
  if (status != "exited") return status;
  if (column(process, "lost") == "true") return "lost";
  if (column(process, "timed_out") == "true") return "timed out";
  return "exited " + column(process, "exit_code");
}

// Shows the output from `after` on, over as many connections as it takes. What the process was when
// it ended; nullopt where it has not.
std::optional<json::Value> show_output(const ProcessLog& command, Context& context) {
  std::string after = std::to_string(command.after.value_or(0));
  std::optional<json::Value> end;
  const auto on_event = [&](const StreamEvent& event) {
    after = event.id;
    const json::Value data = json::parse(event.data);
    if (event.type == "stdout") context.output.text(bytes_of(data));
    if (event.type == "stderr") context.output.write_error(printable(bytes_of(data), Lines::keep));
    if (event.type == "stale") context.output.note("older output is not kept any more");
    if (event.type == "exit") end = data;
  };
  using Connections = Following::Connections;
  const Following following{.request =
                                [&] {
                                  return Request{
                                      .path = process_path(command.process, "/log?after=" + after),
                                      .headers = {kAcceptEvents},
                                      .idle_max = command.follow ? kSilent : kAllIsSent};
                                },
                            .take = on_event,
                            .is_done = [&] { return end.has_value(); },
                            .connections = command.follow ? Connections::many : Connections::one};
  follow(context.api, following);
  return end;
}

}  // namespace

std::string process_path(const ProcessRef& ref, std::string_view rest) {
  return cell_path(ref.cell_id, "/processes/" + encode_segment(ref.process_id)) + std::string(rest);
}

json::Value to_json(sys::TerminalSize size) {
  return json::object({{"columns", size.columns}, {"rows", size.rows}});
}

// A process that reads nothing is waited for: whoever types, or the writer of a pipe, is too.
void send_input(const std::string& path, std::string bytes, Api& api) {
  for (;;) {
    const Response answer = api.ask({.method = "POST",
                                     .path = path,
                                     .headers = {"Content-Type: application/octet-stream"},
                                     .body = bytes});
    if (answer.is_success()) return;
    if (answer.status != kNotTaken) throw_answer(answer);
    const json::Value told = json::parse(answer.body);
    const json::Value* taken = told.find("taken");
    if (taken == nullptr || !taken->is_int()) throw_answer(answer);
    bytes.erase(0, static_cast<std::size_t>(taken->as_int()));
  }
}

json::Value start_process(const ProcessStart& start, std::optional<sys::TerminalSize> terminal,
                          Api& api) {
  json::Object body = request_of(start);
  if (start.takes_input) body.set("stdin", true);
  if (terminal) body.set("terminal", to_json(*terminal));
  return api.post(cell_path(start.cell_id, "/processes"), body);
}

int run(const ProcessStart& command, Context& context) {
  const auto terminal = command.has_terminal ? std::optional(sys::TerminalSize())
                                             : std::optional<sys::TerminalSize>();
  const json::Value process = start_process(command, terminal, context.api);
  if (context.output.format() == Format::json) {
    context.output.json(process);
  } else {
    context.output.text(column(process, "id") + "\n");
  }
  return 0;
}

int run(const ProcessList& command, Context& context) {
  Output& output = context.output;
  const json::Value answer = context.api.get(cell_path(command.cell_id, "/processes"));
  if (output.format() == Format::json) {
    output.json(answer);
    return 0;
  }
  std::vector<Row> rows;
  const json::Value* processes = answer.find("processes");
  if (processes == nullptr || !processes->is_array()) {
    throw Error(ErrorCode::internal, "the daemon's answer holds no processes");
  }
  for (const json::Value& process : processes->as_array()) {
    rows.push_back({column(process, "id"), process_status(process), column(process, "pid"),
                    column(process, "started_at"), column(process, "command")});
  }
  output.write(
      format_table({"PROCESS", "STATUS", "PID", "STARTED", "COMMAND"}, rows, output.look()));
  return 0;
}

int run(const ProcessLog& command, Context& context) {
  const auto end = show_output(command, context);
  return end && command.follow ? finish(*end, context.output) : 0;
}

int run(const ProcessInput& command, Context& context) {
  const std::string path = process_path(command.process, "/stdin");
  for (;;) {
    std::string bytes = sys::read_some(context.in, kInputPieceBytes, "standard input");
    if (bytes.empty()) break;
    send_input(path, std::move(bytes), context.api);
  }
  send_input(path + "?end=1", "", context.api);
  return 0;
}

int run(const ProcessKill& command, Context& context) {
  std::int64_t number = 0;
  const char* const end = command.signal.data() + command.signal.size();
  const bool is_number = std::from_chars(command.signal.data(), end, number).ptr == end;
  const json::Value signal = is_number ? json::Value(number) : json::Value(command.signal);
  context.api.post(process_path(command.process, "/signal"), json::object({{"signal", signal}}));
  return 0;
}

}  // namespace cellar::cli
