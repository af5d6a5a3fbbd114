#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/event_stream.h"
#include "json/json.h"
#include "sys/file.h"
#include "sys/terminal.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kStdinBytesMax = 64 << 20;

json::Value body_of(const Exec& command, int in) {
  json::Object body = request_of(command);
  if (!command.without_stdin && !sys::is_terminal(in)) {
    std::string bytes = sys::read_all(in, kStdinBytesMax, "standard input");
    if (!is_valid_utf8(bytes)) {
      throw Error(ErrorCode::invalid_argument, "invalid_stdin",
                  "standard input is not UTF-8 text, and only text can be passed on",
                  "copy it into the cell with \"cellar cp\", and read it from there");
    }
    if (!bytes.empty()) body.set("stdin", std::move(bytes));
  }
  return body;
}

bool flag_of(const json::Value& result, std::string_view name) {
  const json::Value* value = result.find(name);
  return value != nullptr && value->is_bool() && value->as_bool();
}

int run_streamed(const Exec& command, const json::Value& body, Context& context) {
  const Request request{.method = "POST",
                        .path = cell_path(command.cell_id, "/exec"),
                        .headers = {"Content-Type: application/json", kAcceptEvents},
                        .body = json::dump(body)};
  std::optional<json::Value> result;
  EventStreamParser parser;
  const auto on_event = [&](const StreamEvent& event) {
    const json::Value data = json::parse(event.data);
    if (event.type == "stdout") {
      context.output.write(bytes_of(data));
    } else if (event.type == "stderr") {
      context.output.write_error(bytes_of(data));
    } else if (event.type == "exit") {
      result = data;
    } else if (event.type == "error") {
      throw_answer(answer_in(event));
    }
  };
  context.api.stream(request, [&](const Response&, std::string_view bytes) {
    parser.feed(bytes, on_event);
    return Flow::go_on;
  });
  if (!result) {
    throw Error(ErrorCode::unavailable, "connection_lost",
                "the connection ended before the command did");
  }
  return finish(*result, context.output);
}

}  // namespace

json::Object request_of(const ProgramToRun& program) {
  json::Object body;
  if (program.command.size() == 1) body.set("cmd", program.command.front());
  if (program.command.size() > 1) {
    body.set("cmd", json::Array(program.command.begin(), program.command.end()));
  }
  if (!program.cwd.empty()) body.set("cwd", program.cwd);
  if (program.timeout_s) {
    body.set("timeout_ms", static_cast<std::int64_t>(*program.timeout_s * 1000));
  }
  if (!program.env.empty()) {
    json::Object env;
    for (const auto& [name, value] : program.env) env.set(name, value);
    body.set("env", std::move(env));
  }
  return body;
}

std::string bytes_of(const json::Value& data) {
  if (const json::Value* text = data.find("text"); text != nullptr && text->is_string()) {
    return text->as_string();
  }
  const json::Value* encoded = data.find("b64");
  if (encoded == nullptr || !encoded->is_string()) return "";
  return from_base64(encoded->as_string()).value_or("");
}

int finish(const json::Value& result, Output& output) {
  if (flag_of(result, "timed_out")) {
    output.note("the command was killed: it ran too long; --timeout gives it more");
  }
  if (flag_of(result, "oom")) output.note("the command was killed: the cell is out of memory");
  if (flag_of(result, "disk_full")) output.note("the command was killed: the cell's disk is full");
  if (flag_of(result, "lost")) {
    output.note("the command was lost with the cell's processes: " + column(result, "lost_by"));
  }
  if (flag_of(result, "truncated")) output.note("the command wrote too much: its output is cut");
  const json::Value* code = result.find("exit_code");
  if (code == nullptr || !code->is_int()) {
    throw Error(ErrorCode::internal, "the daemon did not say how the command ended");
  }
  return static_cast<int>(code->as_int() & 0xff);
}

int run(const Exec& command, Context& context) {
  const json::Value body = body_of(command, context.in);
  if (context.output.format() == Format::text) return run_streamed(command, body, context);
  const json::Value result = context.api.post(cell_path(command.cell_id, "/exec"), body);
  context.output.json(result);
  const json::Value* code = result.find("exit_code");
  return code != nullptr && code->is_int() ? static_cast<int>(code->as_int() & 0xff) : 1;
}

}  // namespace cellar::cli
