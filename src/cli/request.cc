#include "base/error.h"
#include "cli/commands.h"
#include "cli/event_stream.h"
#include "json/json.h"
#include "sys/file.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kJsonBytesMax = 64 << 20;

json::Value body_of(const AgentRequest& command, Context& context) {
  json::Object body;
  body.set("method", command.method);
  body.set("params", read_json("params", command.params, json::object({}), context));
  return body;
}

// The last line of a stream that failed is {"error", "code", "run"}; an agent's own value that only
// has an "error" is none.
std::optional<Error> failure_of(const std::string& line, const std::string& cell_id) {
  const json::Value value = json::parse(line, {.depth_max = 512});
  if (!value.is_object()) return std::nullopt;
  for (const std::string_view name : {"error", "code", "run"}) {
    const json::Value* text = value.find(name);
    if (text == nullptr || !text->is_string()) return std::nullopt;
  }
  return Error(
      ErrorCode::internal, column(value, "code"), column(value, "error"),
      "\"cellar runs get " + cell_id + " " + column(value, "run") + "\" says what was done");
}

}  // namespace

json::Value read_json(std::string_view what, const std::string& text, json::Value otherwise,
                      Context& context) {
  const std::string given =
      text == "-" ? sys::read_all(context.in, kJsonBytesMax, "standard input") : text;
  if (given.empty()) return otherwise;
  try {
    return json::parse(given);
  } catch (const Error& error) {  // To the user this is a wrong argument, and nothing was sent.
    throw Error(ErrorCode::invalid_argument, "usage",
                std::string(what) + " must be JSON: " + error.what(),
                "a text has quotes of its own: '\"text\"'");
  }
}

void show_value(const json::Value& value, Output& output) {
  if (output.format() == Format::text && value.is_string()) {
    output.text(value.as_string() + "\n");
  } else {
    output.json(value);
  }
}

int run(const AgentRequest& command, Context& context) {
  Output& output = context.output;
  const Request request{
      .method = "POST",
      .path = cell_path(command.cell_id, "/request"),
      .headers = {"Content-Type: application/json", "Accept: application/json, text/event-stream"},
      .body = json::dump(body_of(command, context))};

  EventStreamParser parser;
  std::string whole;  // of an answer that is no stream
  std::optional<Error> failure;
  const auto on_event = [&](const StreamEvent& event) {
    if (event.data == "[DONE]") return;
    failure = failure_of(event.data, command.cell_id);
    if (!failure) output.text(event.data + "\n");
  };
  context.api.stream(request, [&](const Response& head, std::string_view bytes) {
    if (head.content_type == "text/event-stream") {
      parser.feed(bytes, on_event);
    } else if (whole.size() + bytes.size() > Client::kBodyBytesMax) {
      throw Error(ErrorCode::too_large, "the answer is too large");
    } else {
      whole.append(bytes);
    }
    return Flow::go_on;
  });

  if (failure) throw *failure;
  if (whole.empty()) return 0;
  show_value(json::parse(whole, {.depth_max = 512}), output);
  return 0;
}

}  // namespace cellar::cli
